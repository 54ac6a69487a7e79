#include "worker/slice/letter_stream.h"

#include <algorithm>

#include "base/little_endian.h"
#include "platform/net/bytes.h"

namespace runink::slice {
namespace {

// A frame is its length in four bytes, a kind, and the rest.
constexpr size_t kHead = 4;
constexpr size_t kMostFrame = size_t{1} << 30;  // the longest record there may be
constexpr size_t kMostText = kMostFrame;
constexpr size_t kMostRules = 100'000;
constexpr uint32_t kMostSources = 10'000'000;
enum : uint8_t { kSource = 0, kLetter = 1 };

Status broken() { return data_loss("the dead letters of a stage cannot be read: they were cut or changed"); }

void finish_frame(std::string& frame) {
  store_little_endian(frame.data(), static_cast<uint32_t>(frame.size() - kHead));
}

}  // namespace

LetterWriter::LetterWriter(size_t piece_bytes, std::function<Status(std::string_view)> send,
                           std::function<std::string(uint32_t)> name)
    : piece_bytes_(piece_bytes), send_(std::move(send)), name_(std::move(name)) {}

Status LetterWriter::add(uint32_t op, const engine::RejectedRecord& record) {
  for (; record.source != engine::kNoSource && named_ <= record.source; ++named_) {
    frame_.assign(kHead, '\0');
    net::put_byte(frame_, kSource);
    net::put_number(frame_, named_);
    net::put_bytes(frame_, name_(named_));
    finish_frame(frame_);
    waiting_ += frame_;
  }
  frame_.assign(kHead, '\0');
  net::put_byte(frame_, kLetter);
  net::put_number(frame_, op);
  net::put_number(frame_, record.source == engine::kNoSource ? 0 : uint64_t{record.source} + 1);
  net::put_number(frame_, static_cast<uint64_t>(record.offset + 1));
  net::put_number(frame_, record.line);
  net::put_bytes(frame_, record.bytes);
  net::put_number(frame_, record.rules->size());
  for (const auto& rule : *record.rules) {
    for (const std::string* text : {&rule.rule, &rule.field, &rule.message, &rule.words}) net::put_bytes(frame_, *text);
  }
  if (frame_.size() - kHead > kMostFrame) {
    return resource_exhausted("a dead letter of {} bytes is longer than the {} that there may be", frame_.size(),
                              kMostFrame);
  }
  finish_frame(frame_);
  waiting_ += frame_;
  if (frame_.capacity() > piece_bytes_ * 16) std::string().swap(frame_);
  return send_pieces(false);
}

Status LetterWriter::flush() { return send_pieces(true); }

Status LetterWriter::send_pieces(bool all) {
  size_t at = 0;
  while (waiting_.size() - at >= piece_bytes_ || (all && at < waiting_.size())) {
    const size_t size = std::min(piece_bytes_, waiting_.size() - at);
    RUNINK_RETURN_IF_ERROR(send_(std::string_view(waiting_).substr(at, size)));
    at += size;
  }
  waiting_.erase(0, at);
  return {};
}

Status LetterReader::add(std::string_view piece) {
  rest_.append(piece);
  size_t at = 0;
  while (rest_.size() - at >= kHead) {
    const auto size = load_little_endian<uint32_t>(rest_.data() + at);
    if (size > kMostFrame) return broken();
    if (rest_.size() - at - kHead < size) break;
    RUNINK_RETURN_IF_ERROR(frame(std::string_view(rest_).substr(at + kHead, size)));
    at += kHead + size;
  }
  rest_.erase(0, at);
  return {};
}

Status LetterReader::frame(std::string_view bytes) {
  net::ByteReader in(bytes);
  const uint8_t kind = in.byte();
  if (kind == kSource) {
    const uint64_t number = in.number_at_most(kMostSources);
    const std::string_view name = in.bytes(kMostText);
    if (!in.at_end() || number != sources_) return broken();
    ++sources_;
    return handlers_.source(static_cast<uint32_t>(number), name);
  }
  if (kind != kLetter) return broken();
  engine::RejectedRecord record;
  std::vector<engine::RejectedRecord::Rule> rules;
  const auto op = static_cast<uint32_t>(in.number_at_most(UINT32_MAX));
  const uint64_t source = in.number_at_most(sources_);
  record.source = source == 0 ? engine::kNoSource : static_cast<uint32_t>(source - 1);
  record.offset = static_cast<int64_t>(in.number_at_most(INT64_MAX)) - 1;
  record.line = in.number_at_most(INT64_MAX);
  record.bytes = in.bytes(kMostText);
  for (uint64_t count = in.number_at_most(kMostRules); count > 0 && !in.failed(); --count) {
    auto& rule = rules.emplace_back();
    for (std::string* text : {&rule.rule, &rule.field, &rule.message, &rule.words}) *text = in.bytes(kMostText);
  }
  if (!in.at_end()) return broken();
  record.rules = &rules;
  return handlers_.letter(op, record);
}

}  // namespace runink::slice
