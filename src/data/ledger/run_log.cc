#include "data/ledger/run_log.h"

#include <algorithm>

#include "base/text.h"
#include "data/ledger/json_access.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

constexpr size_t kPieceBytes = 256u << 10;
constexpr size_t kMaxLineBytes = 16u << 20;
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};

std::optional<LogLine> parse_line(std::string_view text) {
  if (text.empty() || text.size() > kMaxLineBytes) return std::nullopt;
  const auto j = parse_json(text, "a log line");
  if (!j.ok() || !j->is_object()) return std::nullopt;
  const std::string level = get_text(*j, "level");
  for (size_t i = 0; i < std::size(kLevels); ++i) {
    if (level != kLevels[i]) continue;
    return LogLine{get_time(*j, "time"), static_cast<LogLevel>(i), get_text(*j, "step"), get_text(*j, "message")};
  }
  return std::nullopt;
}

}  // namespace

std::string_view log_level_name(LogLevel level) { return kLevels[static_cast<size_t>(level)]; }

Result<std::unique_ptr<RunLog>> RunLog::open(const std::string& path, const Clock& clock) {
  os::Fd fd = RUNINK_TRY_CONTEXT(os::open_file(path, os::OpenMode::kAppend, 0600), "open the log of the run");
  return std::unique_ptr<RunLog>(new RunLog(std::move(fd), clock));
}

void RunLog::write(LogLevel level, std::string_view step, std::string_view message) {
  const std::lock_guard lock(mutex_);
  line_ = "{\"time\":\"" + format_utc(clock_.unix_micros()) + "\",\"level\":\"";
  line_.append(log_level_name(level)).append("\"");
  if (!step.empty()) {
    line_ += ",\"step\":";
    append_json_quoted(line_, step);
  }
  line_ += ",\"message\":";
  append_json_quoted(line_, message);
  line_ += "}\n";
  Status written = os::write_all(fd_, line_);  // one write: lines of several processes do not mix
  if (!written.ok() && status_.ok()) status_ = std::move(written);
}

Status RunLog::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

Result<std::vector<LogLine>> tail_log(const std::string& path, size_t count, LogLevel least) {
  std::vector<LogLine> newest_first;
  auto fd = os::open_file(path);
  if (!fd.ok()) {
    if (fd.status().code() == Code::kNotFound) return newest_first;
    return std::move(fd).status();
  }
  uint64_t begin = RUNINK_TRY(os::file_info(*fd)).size;
  std::string text;  // from `begin` to the last line not yet taken
  bool last = true;  // what follows the last newline is a line being written
  while (begin > 0 && (count == 0 || newest_first.size() < count)) {
    const size_t size = static_cast<size_t>(std::min<uint64_t>(begin, kPieceBytes));
    begin -= size;
    std::string piece(size, '\0');
    piece.resize(RUNINK_TRY(os::pread_full(*fd, piece.data(), size, begin)));
    text.insert(0, piece);
    for (;;) {
      const size_t newline = text.rfind('\n');
      if (newline == std::string::npos && begin > 0) break;
      const size_t line_begin = newline == std::string::npos ? 0 : newline + 1;
      const auto line = last ? std::nullopt : parse_line(std::string_view(text).substr(line_begin));
      last = false;
      if (line && line->level >= least) newest_first.push_back(*line);
      if (newline == std::string::npos) break;
      text.resize(newline);
      if (count != 0 && newest_first.size() >= count) break;
    }
    if (text.size() > kMaxLineBytes) text.clear();  // no line of ours is that long
  }
  std::reverse(newest_first.begin(), newest_first.end());
  return newest_first;
}

Result<std::vector<LogLine>> read_log_from(const std::string& path, uint64_t* offset) {
  std::vector<LogLine> lines;
  auto fd = os::open_file(path);
  if (!fd.ok()) {
    if (fd.status().code() == Code::kNotFound) return lines;
    return std::move(fd).status();
  }
  std::string text;
  for (;;) {
    const size_t before = text.size();
    text.resize(before + kPieceBytes);
    const size_t n = RUNINK_TRY(os::pread_full(*fd, text.data() + before, kPieceBytes, *offset + before));
    text.resize(before + n);
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (const auto line = parse_line(std::string_view(text).substr(begin, end - begin))) lines.push_back(*line);
    }
    *offset += begin;
    text.erase(0, begin);
    if (n < kPieceBytes || text.size() > kMaxLineBytes) return lines;
  }
}

}  // namespace runink::ledger
