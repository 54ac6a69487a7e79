#include "data/contract/text_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "platform/os/file.h"

namespace runink::contract {
namespace {
constexpr size_t kRecordBytesMax = size_t{256} << 20;
constexpr size_t kReadBytes = 256 << 10;
}  // namespace

Result<RecordFile> RecordFile::open(const std::string& path, bool quoted) {
  return read(path, RUNINK_TRY(read_plain_file(path)), quoted);
}

Result<ByteReader> read_plain_file(const std::string& path) {
  auto fd = std::make_shared<os::Fd>(RUNINK_TRY(os::open_file(path)));
  return ByteReader([fd](char* into, size_t size) { return os::read_full(*fd, into, size); });
}

Result<RecordFile> RecordFile::read(std::string name, ByteReader bytes, bool quoted) {
  RecordFile file;
  file.path_ = std::move(name);
  file.bytes_ = std::move(bytes);
  file.quoted_ = quoted;
  RUNINK_RETURN_IF_ERROR(file.fill());
  if (file.buffer_.starts_with("\xEF\xBB\xBF")) file.at_ = 3;
  return file;
}

Status RecordFile::fill() {
  buffer_.erase(0, at_);
  at_ = 0;
  const size_t old = buffer_.size();
  buffer_.resize(old + kReadBytes);
  auto count = bytes_(buffer_.data() + old, kReadBytes);
  if (!count.ok()) return std::move(count).status().with_context("read " + path_);
  buffer_.resize(old + *count);
  ended_ = *count < kReadBytes;
  return {};
}

Result<bool> RecordFile::next(std::string& record) {
  bool inside = false;
  uint64_t breaks = 0;
  size_t i = at_;
  while (true) {
    for (; i < buffer_.size(); ++i) {
      const char c = buffer_[i];
      if (quoted_ && c == '"') inside = !inside;
      if (c != '\n') continue;
      ++breaks;
      if (!inside) break;
    }
    if (i < buffer_.size()) break;
    if (ended_) {
      if (at_ == buffer_.size()) return false;
      break;
    }
    if (i - at_ > kRecordBytesMax) {
      return resource_exhausted("{}:{}: a record of more than {} MiB", path_, next_line_, kRecordBytesMax >> 20);
    }
    const size_t seen = i - at_;
    RUNINK_RETURN_IF_ERROR(fill());
    i = seen;
  }
  record.assign(buffer_, at_, i - at_);
  if (!record.empty() && record.back() == '\r') record.pop_back();
  at_ = std::min(i + 1, buffer_.size());
  line_ = next_line_;
  next_line_ += breaks;
  return true;
}

bool split_csv(std::string_view record, char separator, std::vector<CsvCell>& cells) {
  cells.clear();
  size_t i = 0;
  while (true) {
    CsvCell cell;
    cell.begin = i;
    if (i < record.size() && record[i] == '"') {
      cell.quoted = true;
      ++i;
      while (true) {
        const size_t quote = record.find('"', i);
        if (quote == std::string_view::npos) return false;
        cell.text.append(record.substr(i, quote - i));
        i = quote + 1;
        if (i >= record.size() || record[i] != '"') break;
        cell.text += '"';
        ++i;
      }
      if (i < record.size() && record[i] != separator) return false;
    } else {
      const size_t end = std::min(record.find(separator, i), record.size());
      cell.text = record.substr(i, end - i);
      i = end;
    }
    cell.end = i;
    cells.push_back(std::move(cell));
    if (i >= record.size()) return true;
    ++i;  // the separator
  }
}

}  // namespace runink::contract
