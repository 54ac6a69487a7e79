#include "worker/agent/log_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "platform/os/file.h"

namespace runink::agent {
namespace {

constexpr std::string_view kEnding = ".jsonl";

std::optional<uint64_t> number_of(std::string_view name) {
  if (!name.ends_with(kEnding)) return std::nullopt;
  name.remove_suffix(kEnding.size());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0) return std::nullopt;
  return number;
}

// Whether the last byte ends a line; an empty file does.
Result<bool> ends_a_line(const std::string& path, uint64_t size) {
  if (size == 0) return true;
  const os::Fd file = RUNINK_TRY(os::open_file(path));
  char last = 0;
  const size_t got = RUNINK_TRY(os::pread_full(file, &last, 1, size - 1));
  return got == 1 && last == '\n';
}

}  // namespace

Result<std::vector<uint64_t>> log_file_numbers(const std::string& folder) {
  const auto names = os::list_directory(folder);
  if (!names.ok() && names.status().code() == Code::kNotFound) return std::vector<uint64_t>();
  if (!names.ok()) return names.status();
  std::vector<uint64_t> numbers;
  for (const std::string& name : *names) {
    if (const auto number = number_of(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string log_file_path(const std::string& folder, uint64_t number) {
  return folder + "/" + std::to_string(number) + std::string(kEnding);
}

Result<LogFiles> LogFiles::open(const std::string& folder, const Limits& limits) {
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700).with_context("make a folder for the log"));
  LogFiles files;
  files.folder_ = folder;
  files.limits_ = limits;
  uint64_t size = 0;
  for (const uint64_t number : RUNINK_TRY(log_file_numbers(folder))) {
    if (files.number_ != 0) files.older_.emplace_back(files.number_, size);
    size = RUNINK_TRY(os::file_info(log_file_path(folder, number))).size;
    files.number_ = number;
  }
  if (files.number_ == 0) {
    RUNINK_RETURN_IF_ERROR(files.begin_file(1));
    return files;
  }
  files.size_ = size;
  const std::string last = log_file_path(folder, files.number_);
  files.cut_ = !RUNINK_TRY(ends_a_line(last, size));
  files.file_ = RUNINK_TRY(os::open_file(last, os::OpenMode::kAppend, 0600));
  return files;
}

Status LogFiles::begin_file(uint64_t number) {
  os::Fd file = RUNINK_TRY(os::open_file(log_file_path(folder_, number), os::OpenMode::kAppend, 0600));
  if (number_ != 0) older_.emplace_back(number_, size_);
  file_ = std::move(file);
  number_ = number;
  size_ = 0;
  cut_ = false;
  while (older_.size() + 1 > limits_.files) remove_oldest();
  return {};
}

void LogFiles::remove_oldest() {
  // One that cannot be removed now is found again when the log is opened the next time.
  (void)os::remove_file(log_file_path(folder_, older_.front().first));
  older_.pop_front();
}

Status LogFiles::append(std::string_view lines) {
  if (cut_ || (size_ > 0 && size_ + lines.size() > limits_.file_bytes)) {
    RUNINK_RETURN_IF_ERROR(begin_file(number_ + 1));
  }
  Status written = os::write_all(file_, lines);
  if (written.ok()) {
    size_ += lines.size();
    return {};
  }
  if (::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) cut_ = true;
  return written;
}

bool LogFiles::drop_oldest() {
  if (older_.empty()) return false;
  remove_oldest();
  return true;
}

uint64_t LogFiles::bytes() const {
  uint64_t sum = size_;
  for (const auto& [number, bytes] : older_) sum += bytes;
  return sum;
}

}  // namespace runink::agent
