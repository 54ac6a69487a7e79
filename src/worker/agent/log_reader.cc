#include "worker/agent/log_reader.h"

#include <algorithm>

#include "base/clock.h"
#include "platform/os/file.h"
#include "worker/agent/log_files.h"

namespace runink::agent {
namespace {

// More than the longest line takes: kMostLineBytes, each at most six bytes in JSON, and what stands around it.
constexpr size_t kReadBytes = 256 << 10;

LogLine lost_lines() {
  LogLine line;
  line.unix_micros = system_clock().unix_micros();
  line.stream = LogStream::kRunink;
  line.text = "lines are missing here: they were removed to make room before they could be read";
  return line;
}

// Where the last `lines` lines of this file begin, and how many of them are in it.
struct Tail {
  uint64_t offset = 0, lines = 0;
};
Result<Tail> tail_of(const std::string& path, uint64_t lines) {
  const std::string text = RUNINK_TRY(os::read_file(path));
  Tail tail = {text.size(), 0};
  // Of what is being written, only whole lines count.
  size_t end = text.rfind('\n');
  if (end == std::string::npos) return Tail();
  tail.offset = end + 1;
  while (tail.lines < lines && tail.offset > 0) {
    const size_t before = tail.offset < 2 ? std::string::npos : text.rfind('\n', tail.offset - 2);
    tail.offset = before == std::string::npos ? 0 : before + 1;
    ++tail.lines;
  }
  return tail;
}

}  // namespace

Result<LogReader> LogReader::open(const std::string& folder, std::optional<uint64_t> last_lines) {
  if (!os::exists(folder)) return not_found("there is no log at {}", folder);
  LogReader reader;
  reader.folder_ = folder;
  if (last_lines) RUNINK_RETURN_IF_ERROR(reader.skip_to_last(*last_lines));
  return reader;
}

Status LogReader::skip_to_last(uint64_t lines) {
  const std::vector<uint64_t> numbers = RUNINK_TRY(log_file_numbers(folder_));
  uint64_t wanted = lines;
  for (auto number = numbers.rbegin(); number != numbers.rend(); ++number) {
    const std::string path = log_file_path(folder_, *number);
    const auto tail = tail_of(path, wanted);
    if (!tail.ok() && tail.status().code() == Code::kNotFound) break;  // removed meanwhile, and all before it
    if (!tail.ok()) return tail.status();
    auto file = os::open_file(path);
    if (!file.ok()) break;
    file_ = std::move(*file);
    number_ = *number;
    offset_ = tail->offset;
    wanted -= tail->lines;
    if (wanted == 0) break;
  }
  return {};
}

// The file after the one that was read to its end; false: there is none yet.
Result<bool> LogReader::open_next(std::vector<LogLine>* lines) {
  const std::vector<uint64_t> numbers = RUNINK_TRY(log_file_numbers(folder_));
  for (const uint64_t number : numbers) {
    if (number <= number_) continue;
    auto file = os::open_file(log_file_path(folder_, number));
    if (!file.ok() && file.status().code() == Code::kNotFound) continue;
    if (!file.ok()) return file.status();
    if (number_ != 0 && number != number_ + 1) lines->push_back(lost_lines());
    file_ = std::move(*file);
    number_ = number;
    offset_ = 0;
    return true;
  }
  return false;
}

Result<LogReader::Found> LogReader::read_lines(size_t most, std::vector<LogLine>* lines) {
  if (!file_.valid()) return Found::kFileEnded;
  std::string buffer(kReadBytes, '\0');
  buffer.resize(RUNINK_TRY(os::pread_full(file_, buffer.data(), buffer.size(), offset_)));
  size_t at = 0;
  while (lines->size() < most) {
    const size_t end = buffer.find('\n', at);
    if (end == std::string::npos) break;
    // What a crash cut is skipped.
    if (auto line = parse_log_line(std::string_view(buffer).substr(at, end - at))) lines->push_back(std::move(*line));
    at = end + 1;
  }
  // A line that is longer than any is none: what is not ours in this folder does not hold the reader up.
  if (at == 0 && buffer.size() == kReadBytes && buffer.find('\n') == std::string::npos) at = buffer.size();
  offset_ += at;
  if (at > 0) return Found::kLines;
  return lines->size() >= most ? Found::kLines : Found::kFileEnded;
}

Result<std::vector<LogLine>> LogReader::next(size_t most) {
  std::vector<LogLine> lines;
  while (lines.size() < most) {
    Found found = RUNINK_TRY(read_lines(most, &lines));
    if (found == Found::kLines) continue;
    // The writer begins the next file only after it has written the last of this one; so once there is a next one, a
    // look at this one finds all of it.
    const std::vector<uint64_t> numbers = RUNINK_TRY(log_file_numbers(folder_));
    if (numbers.empty() || numbers.back() <= number_) break;
    if (file_.valid() && RUNINK_TRY(read_lines(most, &lines)) == Found::kLines) continue;
    if (!RUNINK_TRY(open_next(&lines))) break;
  }
  return lines;
}

}  // namespace runink::agent
