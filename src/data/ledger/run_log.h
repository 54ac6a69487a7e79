// The log of one run: <run folder>/log.ndjson, one line per message:
//   {"time":"2026-11-21T19:55:00.000000Z","level":"info","step":"check","message":"…"}
// Messages hold no values of pii fields (the caller's duty); control bytes are escaped by JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::ledger {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
std::string_view log_level_name(LogLevel level);  // "debug", "info", "warning", "error"

struct LogLine {
  int64_t time_micros = 0;
  LogLevel level = LogLevel::kInfo;
  std::string step, message;
};

// Appends. May be used by several threads. A write that fails is remembered in status() and does not stop the run.
class RunLog {
 public:
  static Result<std::unique_ptr<RunLog>> open(const std::string& path, const Clock& clock = system_clock());
  void write(LogLevel level, std::string_view step, std::string_view message);
  Status status() const;

 private:
  RunLog(os::Fd fd, const Clock& clock) : fd_(std::move(fd)), clock_(clock) {}
  mutable std::mutex mutex_;
  os::Fd fd_;
  const Clock& clock_;
  Status status_;
  std::string line_;
};

// The last `count` lines (0: all), oldest first; lines that are not log lines are left out. Reads from the end.
Result<std::vector<LogLine>> tail_log(const std::string& path, size_t count, LogLevel least = LogLevel::kDebug);

// Lines from byte `*offset` on; *offset moves behind the last whole line. For following a log.
Result<std::vector<LogLine>> read_log_from(const std::string& path, uint64_t* offset);

}  // namespace runink::ledger
