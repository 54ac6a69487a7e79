// The logs of all slices of a node: takes what slices write, cuts it into lines, holds each to its rate (log_rate.h),
// and keeps them in files (log_files.h) and hands them to a forwarder.
//
// Whoever hands in bytes never waits for a disk: files are written by a thread of the store's own. A line that comes
// too often, or does not fit into the queue because the disk is slow, or that a full disk does not take, is dropped and
// counted; the next line of that log that is written says how many are missing, and why. Logs never fill a disk:
// each slice has its most; all logs together have theirs (those of ended slices go first, the oldest before the others,
// then the oldest lines of the largest log); and nothing is written while the file system has less than
// keep_free_bytes. A slice that writes nothing leaves nothing.
//
// Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/status.h"
#include "platform/telemetry/log.h"
#include "worker/agent/log_files.h"
#include "worker/agent/log_forwarder.h"
#include "worker/agent/log_rate.h"
#include "worker/agent/log_record.h"
#include "worker/agent/log_splitter.h"

namespace runink::agent {

class LogStore {
 public:
  struct Options {
    std::string folder;                       // made if need be (0700); a folder in it for each slice
    LogFiles::Limits files;                   // of each slice
    uint64_t most_bytes = uint64_t{4} << 30;  // of all slices
    size_t most_ended = 10'000;               // slices that have ended and whose logs are kept
    uint64_t keep_free_bytes = 256 << 20;     // of the file system
    double bytes_per_second = 1 << 20;        // of each slice, lasting
    double burst_bytes = 8 << 20;             // of each slice, at once; 64 KiB at least
    size_t queue_bytes = 32 << 20;            // of lines that are not on disk yet; one slice's: a quarter of it
    int64_t tell_nanos = 1'000'000'000;       // between two lines of a log that say what was dropped
    LogForwarder* forwarder = nullptr;        // outlives the store
    telemetry::Log* log = nullptr;  // the agent's own: told when the disk is full, and when it is not any more
    const Clock* clock = nullptr;   // null: the machine's
  };
  struct Dropped {
    uint64_t rate = 0, queue = 0, disk = 0;  // lines
  };
  struct Counters {
    uint64_t lines = 0, bytes = 0;  // written to files
    Dropped dropped;
    uint64_t disk_errors = 0;   // times that a file could not be written
    uint64_t stored_bytes = 0;  // on disk now
    uint64_t stored_logs = 0;   // now
    bool disk_full = false;     // now
  };

  static Result<std::unique_ptr<LogStore>> open(Options options);
  ~LogStore();  // writes what is queued
  LogStore(const LogStore&) = delete;
  LogStore& operator=(const LogStore&) = delete;

  // From here on the slice's log takes lines; one that is there (the agent was restarted) goes on. kInvalidArgument:
  // the id names no log. Twice is OK.
  Status begin(const LogOrigin& origin);

  // Bytes that the slice wrote. Returns how many nanoseconds its stream is better left unread: 0 but for a slice that
  // writes far more than it may. A slice that was not begun, or has ended, is ignored.
  int64_t write(std::string_view slice, LogStream stream, std::string_view bytes);
  // A line of the agent's own in the slice's log ("killed: out of memory"); not held to the rate.
  void note(std::string_view slice, std::string_view text);
  // No more comes: lines without an end are written. The log stays.
  void end(std::string_view slice);
  // Takes the log away. Of a slice that has not ended: kFailedPrecondition.
  Status remove(const std::string& slice);

  // Waits until what was handed in before is in the files or given up. False: it took longer.
  bool flush(int64_t max_nanos);

  // For LogReader (log_reader.h); of a slice that is unknown too.
  std::string folder_of(std::string_view slice) const;
  Counters counters() const;
  std::map<std::string, Dropped> dropped_by_slice() const;  // of those that have not ended

 private:
  struct Slice;
  struct Entry;
  struct Stored {
    uint64_t bytes = 0;
    int64_t ended_micros = 0;        // 0: it runs
    std::shared_ptr<Slice> running;  // then
  };
  struct Pending;

  explicit LogStore(Options options);
  void find_stored();

  // Under mutex_.
  void take(const std::shared_ptr<Slice>& slice, LogStream stream, std::string_view text, bool continues, int64_t now);
  void queue(const std::shared_ptr<Slice>& slice, LogLine line, bool always);
  void tell_dropped(const std::shared_ptr<Slice>& slice);
  bool tell_all_dropped(int64_t now);

  // The writer's, under files_mutex_.
  void run();
  void write_batch(std::deque<Entry> batch);
  void write_pending(Pending& pending);
  Status append(const std::shared_ptr<Slice>& slice, const std::string& text);
  void close_log(const std::shared_ptr<Slice>& slice);
  void set_bytes(const std::string& slice, uint64_t bytes);
  void forget(const std::string& slice);
  Status check_room();
  void make_room();
  void count_stored();

  const Options options_;
  const Clock& clock_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, drained_;
  std::map<std::string, std::shared_ptr<Slice>, std::less<>> slices_;  // that have not ended
  std::deque<Entry> queue_;
  size_t queued_bytes_ = 0;
  uint64_t handed_in_ = 0, done_ = 0;  // entries
  bool stop_ = false;
  Counters counters_;

  std::mutex files_mutex_;  // taken before mutex_
  std::map<std::string, Stored> stored_;
  std::set<std::pair<int64_t, std::string>> ended_;  // of stored_, by when they ended
  uint64_t stored_bytes_ = 0;
  int64_t room_checked_at_ = 0;
  uint64_t free_bytes_ = 0;  // of the file system, when it was last looked at

  std::thread thread_;
};

}  // namespace runink::agent
