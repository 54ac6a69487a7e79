// Structured logs: one event a line. A line names its event by a stable dotted word ("barn.alarm.raised") that programs
// may rely on, has a message for people, and fields. As JSON (RFC 8259):
//
//   {"time":"2026-11-21T19:55:00.123456Z","level":"info","event":"barn.leader.elected","message":"…","fields":{…}}
//
// and, where it goes to a terminal, as text. Control characters are escaped in both forms, so that what a peer or a
// file said cannot break a line or steer a terminal.
//
// Whoever logs never waits for the disk or the reader: lines are made in the calling thread and written by one of the
// log's own. What does not fit into the queue, comes too often, or cannot be written (a full disk) is dropped and
// counted; the log goes on when it can, and then says how many lines are missing. Logging never fails.
//
// Threads: any.
#pragma once

#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::telemetry {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError };
std::string_view level_name(Level level);  // "debug", "info", "warning", "error"

// Looks at its name and text: for use within the call.
struct Field {
  Field(std::string_view n, std::string_view text) : name(n), value(text) {}
  Field(std::string_view n, const char* text) : name(n), value(std::string_view(text)) {}
  Field(std::string_view n, const std::string& text) : name(n), value(std::string_view(text)) {}
  Field(std::string_view n, bool truth) : name(n), value(truth) {}
  Field(std::string_view n, double number) : name(n), value(number) {}
  template <std::signed_integral T>
  Field(std::string_view n, T number) : name(n), value(static_cast<int64_t>(number)) {}
  template <std::unsigned_integral T>
  Field(std::string_view n, T number) : name(n), value(static_cast<uint64_t>(number)) {}

  std::string_view name;
  std::variant<std::string_view, int64_t, uint64_t, double, bool> value;
};

inline constexpr size_t kMaxLineBytes = 4096;  // PIPE_BUF: lines of several processes on one pipe do not mix
inline constexpr size_t kMaxValueBytes = 1024;

class Log {
 public:
  enum class Form : uint8_t { kAuto, kJson, kText };  // kAuto: text on a terminal, else JSON
  struct Options {
    Form form = Form::kAuto;
    Level least = Level::kInfo;
    double burst = 20, per_second = 2;                        // lines of one event: at once, and lasting
    size_t queue_bytes = 1 << 20;                             // of lines not written yet
    int64_t close_nanos = 1'000'000'000;                      // how long the destructor lets a slow reader take
    std::vector<std::pair<std::string, std::string>> common;  // fields of every line
    const Clock* clock = nullptr;                             // null: the machine's
  };
  struct Counters {
    uint64_t lines = 0, bytes = 0;  // written
    uint64_t dropped_often = 0;     // too many lines of one event
    uint64_t dropped_queue = 0;     // the queue was full: whoever reads is too slow, or has stopped
    uint64_t dropped_error = 0;     // could not be written
  };

  // The descriptor stays the caller's, and open for as long as the log lives.
  static std::unique_ptr<Log> to_descriptor(int descriptor, Options options);
  // Appends; makes the file (mode 0600).
  static Result<std::unique_ptr<Log>> to_file(const std::string& path, Options options);
  ~Log();  // writes what is queued, at most for close_nanos
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void write(Level level, std::string_view event, std::string_view message, std::span<const Field> fields);
  void write(Level level, std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(level, event, message, std::span<const Field>(fields.begin(), fields.size()));
  }
  void debug(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::kDebug, event, message, fields);
  }
  void info(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::kInfo, event, message, fields);
  }
  void warning(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::kWarning, event, message, fields);
  }
  void error(std::string_view event, std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::kError, event, message, fields);
  }

  // Waits until what was queued before has been written or given up. False: it took longer.
  bool flush(int64_t max_nanos);
  Counters counters() const;

 private:
  struct Bucket {
    double left = 0;
    int64_t at = 0;
    uint64_t suppressed = 0;  // since its last line
  };
  Log(int descriptor, os::Fd own, Options options);
  bool admit(std::string_view event, uint64_t* suppressed);
  std::string render(Level level, std::string_view event, std::string_view message, std::span<const Field> fields,
                     uint64_t suppressed) const;
  void enqueue(std::string line);
  void run();
  bool wait_writable();
  bool write_chunk(std::string_view chunk);
  void tell_lost(uint64_t full);

  const Options options_;
  const Clock& clock_;
  const os::Fd own_;
  const int descriptor_;
  const bool text_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, drained_;
  std::map<std::string, Bucket, std::less<>> buckets_;
  std::deque<std::string> queue_;
  size_t queued_bytes_ = 0, writing_ = 0;
  bool stop_ = false;
  int64_t give_up_nanos_ = 0;  // once stop_ is set
  Counters counters_;

  // The writer's.
  uint64_t lost_ = 0;       // lines that could not be written, and that nobody was told of
  uint64_t told_full_ = 0;  // of dropped_queue, those that were told of
  bool torn_ = false;       // the last line is there in part
  std::thread thread_;
};

}  // namespace runink::telemetry
