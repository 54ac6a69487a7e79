// A process is stopped at its n-th system call, and killed there (ptrace).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

// Whose system calls are counted: one of a launcher's processes, or, of the next slice that its spawner makes, process
// 1 or the process that becomes the program.
enum class CountedProcess { kLauncher, kSpawner, kInit, kProgram };

// Follows processes from begin() to the end of its life. One thread, in which SIGCHLD is blocked. What it follows goes
// on only while handle() is called: whenever descriptor() is readable.
class KillAtCall {
 public:
  // Every stop counts, where a call begins and where it is done: those of the `number`-th from 1 on. 0: none.
  KillAtCall(CountedProcess which, uint64_t number) : which_(which), number_(number) {}
  KillAtCall(const KillAtCall&) = delete;
  ~KillAtCall();  // lets go of those that live

  Status begin(pid_t launcher);
  int descriptor() const { return signals_.get(); }
  void handle();

  bool killed() const { return killed_; }  // and has ended
  uint64_t stops() const { return stops_; }

 private:
  void handle_stop(pid_t pid, int status);
  void stand_and_let_go(pid_t pid);

  const CountedProcess which_;
  const uint64_t number_;
  os::Fd signals_;
  std::map<pid_t, int> followed_;  // how many generations above the one that is counted
  bool told_ = false, killed_ = false;
  uint64_t stops_ = 0;
};

// Why no process can be followed here; OK where it can.
Status can_follow();

}  // namespace runink::sandbox
