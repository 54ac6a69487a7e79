#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "data/ledger/dead_letters.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

constexpr size_t kPieceBytes = 1u << 20;
constexpr size_t kMaxLineBytes = 1u << 30;

}  // namespace

Result<DeadLetterReader> DeadLetterReader::open(const std::string& path) {
  DeadLetterReader reader;
  reader.fd_ = RUNINK_TRY(os::open_file(path));
  return reader;
}

Result<std::optional<std::string_view>> DeadLetterReader::next_line() {
  for (;;) {
    const void* newline = std::memchr(buffer_.data() + begin_ + scanned_, '\n', buffer_.size() - begin_ - scanned_);
    if (newline != nullptr) {
      const size_t end = static_cast<size_t>(static_cast<const char*>(newline) - buffer_.data());
      const std::string_view line(buffer_.data() + begin_, end - begin_);
      begin_ = end + 1;
      scanned_ = 0;
      ++line_number_;
      return std::optional(line);
    }
    scanned_ = buffer_.size() - begin_;
    if (ended_) return std::optional<std::string_view>();  // what is left is a line cut short by a kill
    if (scanned_ > kMaxLineBytes) {
      return data_loss("read {}: line {} is longer than {}", fd_.path(), line_number_ + 1, human_bytes(kMaxLineBytes));
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    const size_t before = buffer_.size();
    buffer_.resize(before + std::max(kPieceBytes, before));
    const size_t n = RUNINK_TRY(os::read_some(fd_, buffer_.data() + before, buffer_.size() - before));
    buffer_.resize(before + n);
    ended_ = n == 0;
  }
}

Result<std::optional<DeadLetter>> DeadLetterReader::next() {
  const std::optional<std::string_view> line = RUNINK_TRY(next_line());
  if (!line) return std::optional<DeadLetter>();
  auto letter = parse_dead_letter(*line, fmt::format("{}:{}", fd_.path(), line_number_));
  if (!letter.ok()) return std::move(letter).status();
  return std::optional(std::move(*letter));
}

}  // namespace runink::ledger
