// Reads what slices without a caller write to their output and error, and hands it to their logs (log_store.h).
//
// A line leaves its pipe only once it is in the log's file: it is looked at first (tee(2)), written, and then taken.
// The pipes outlive the agent, since the launcher keeps their read ends; so an agent that is killed loses no line, and
// its successor may write the last ones a second time, at most what one pipe holds. What has no line end yet waits in
// the pipe for a second, and after that in memory.
//
// A slice that writes faster than its log may grow is read no faster than the log says (LogStore::write): its own
// writes wait then. All of this happens on a thread of its own, so that floods, and disks that hang, never hold up the
// agent.
//
// Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"
#include "worker/agent/log_store.h"

namespace runink::agent {

class Capture {
 public:
  // Called once for each slice: all that it wrote was read. On the capture's thread, or in finish().
  using OnEnd = std::function<void(const std::string& slice)>;

  // The store outlives it.
  static Result<std::unique_ptr<Capture>> start(LogStore& store, OnEnd on_end);
  ~Capture();  // reads no more; what is in the pipes stays there
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // The read ends of pipes; one that is invalid counts as ended. The slice's log was begun.
  Status add(const std::string& slice, os::Fd output, os::Fd error);
  // The slice has ended: its streams end where there is nothing left in them, also if somebody still has the other end.
  void finish(const std::string& slice);

 private:
  struct Stream;
  Capture(LogStore& store, OnEnd on_end);
  Status prepare();
  void run();
  void wake() const;
  int wait_millis() const;
  std::vector<Stream*> ready_streams();
  void look(Stream& stream);
  void hand_in(Stream& stream, std::string_view bytes, int64_t now);
  void take(Stream& stream);
  void rest(Stream& stream, int64_t nanos);

  LogStore& store_;
  const OnEnd on_end_;
  os::Fd epoll_, wake_, nowhere_;
  os::Pipe scratch_;
  std::vector<char> buffer_;

  std::mutex mutex_;
  bool stop_ = false;                                     // under mutex_
  std::map<uint64_t, std::unique_ptr<Stream>> streams_;   // by number; under mutex_
  std::map<std::string, int, std::less<>> open_streams_;  // of each slice; under mutex_
  uint64_t next_number_ = 1;                              // 0 is the wake-up
  std::thread thread_;
};

}  // namespace runink::agent
