#include "data/engine/letter_queue.h"

#include <cstring>

namespace runink::engine {

namespace {

constexpr size_t kMemoryMax = size_t{1} << 20;

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
  put<uint64_t>(out, text.size());
  out += text;
}

class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}
  template <typename T>
  T get() {
    T value{};
    if (rest_.size() < sizeof value) {
      good_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view text() {
    const auto size = get<uint64_t>();
    if (size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

Status damaged() { return data_loss("a spill file of dead letters is damaged"); }

Status give(std::string_view bytes, const std::function<Status(uint32_t, const RejectedRecord&)>& take) {
  Cursor in(bytes);
  RejectedRecord record;
  std::vector<RejectedRecord::Rule> rules;
  const auto op = in.get<uint32_t>();
  record.source = in.get<uint32_t>();
  record.offset = in.get<int64_t>();
  record.line = in.get<uint64_t>();
  record.bytes = in.text();
  for (auto count = in.get<uint32_t>(); count > 0 && in.good(); --count) {
    auto& rule = rules.emplace_back();
    rule.rule = in.text();
    rule.field = in.text();
    rule.message = in.text();
    rule.words = in.text();
  }
  if (!in.good()) return damaged();
  record.rules = &rules;
  return take(op, record);
}

}  // namespace

Status LetterQueue::add(uint32_t op, const RejectedRecord& record) {
  const size_t at = memory_.size();
  put<uint64_t>(memory_, 0);
  put(memory_, op);
  put(memory_, record.source);
  put(memory_, record.offset);
  put(memory_, record.line);
  put_text(memory_, record.bytes);
  put<uint32_t>(memory_, static_cast<uint32_t>(record.rules->size()));
  for (const auto& rule : *record.rules) {
    put_text(memory_, rule.rule);
    put_text(memory_, rule.field);
    put_text(memory_, rule.message);
    put_text(memory_, rule.words);
  }
  const uint64_t bytes = memory_.size() - at - sizeof(uint64_t);
  std::memcpy(memory_.data() + at, &bytes, sizeof bytes);
  ++size_;
  if (memory_.size() < kMemoryMax) return {};
  if (!file_.fd().valid()) file_ = RUNINK_TRY_CONTEXT(os::SpillFile::create(folder_), "create a spill file");
  RUNINK_RETURN_IF_ERROR(status_of(file_.append(memory_)).with_context("keep dead letters"));
  memory_.clear();
  return {};
}

Status LetterQueue::drain(const std::function<Status(uint32_t op, const RejectedRecord& record)>& take) {
  std::string bytes;
  for (uint64_t at = 0; at < file_.size();) {
    uint64_t size = 0;
    if (RUNINK_TRY(file_.read_at(at, &size, sizeof size)) != sizeof size || size > file_.size() - at - sizeof size)
      return damaged();
    bytes.resize(size);
    if (RUNINK_TRY(file_.read_at(at + sizeof size, bytes.data(), size)) != size) return damaged();
    RUNINK_RETURN_IF_ERROR(give(bytes, take));
    at += sizeof size + size;
  }
  for (size_t at = 0; at < memory_.size();) {
    uint64_t size = 0;
    std::memcpy(&size, memory_.data() + at, sizeof size);
    RUNINK_RETURN_IF_ERROR(give(std::string_view(memory_).substr(at + sizeof size, size), take));
    at += sizeof size + size;
  }
  memory_.clear();
  file_ = {};
  size_ = 0;
  return {};
}

}  // namespace runink::engine
