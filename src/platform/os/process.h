// Child processes: started whole or not at all, waited for with a limit, ended with all their descendants.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::os {

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH (of `environment` if given) unless it has a slash
  // NAME=value, whole; without it the child gets the parent's environment.
  std::optional<std::vector<std::string>> environment;
  std::string working_directory;  // empty: the parent's
  // Descriptors of the parent; -1 is /dev/null. The parent keeps (and should close) its own copies.
  int standard_input = -1, standard_output = -1, standard_error = -1;
  // More descriptors, {parent's, number in the child}; numbers from 3. Everything else is closed in the child.
  std::vector<std::pair<int, int>> descriptors;
  bool new_session = true;              // a session and process group of its own; so the terminal's Ctrl-C passes by
  bool die_with_parent = true;          // SIGKILL to the direct child when the thread that spawned it ends
  uint64_t address_space_bytes = 0;     // RLIMIT_AS; 0 leaves it
};

struct ExitStatus {
  bool exited = false;   // else ended by a signal
  int code = 0;          // exit code, when exited
  int signal = 0;        // else
  bool core_dumped = false;
  double user_seconds = 0, system_seconds = 0;
  uint64_t peak_rss_bytes = 0;

  bool success() const { return exited && code == 0; }
  std::string to_string() const;  // "exit code 3", "killed by signal 11 (SIGSEGV)"
};

// One child. The destructor ends the whole tree and reaps the child, so no child outlives its owner unnoticed.
//
// Note on die_with_parent: the kernel ties it to the *thread* that called spawn; spawn from a thread that lives as long
// as the child may.
class Child {
 public:
  // OK only once execve has succeeded; a failure before or in it comes back whole, with errno and what was attempted
  // (kNotFound: no such program; kPermissionDenied: not executable).
  static Result<Child> spawn(const SpawnOptions& options);

  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0 && !status_; }
  int pid_descriptor() const { return pidfd_.get(); }  // readable once the child has ended: for poll

  // Waits at most timeout_micros (-1: for ever; 0: only looks). nullopt: still running. Again after the end: the same.
  // The ended child stays a zombie until kill_tree or the destructor, so that its pid and group cannot be reused.
  Result<std::optional<ExitStatus>> wait(int64_t timeout_micros = -1);

  Status kill_group(int signal) const;  // to the process group; a group that is gone is OK; nothing once reaped
  // SIGTERM to the group, up to grace_micros for the child to end, then kill_tree. Reaps. Returns its status.
  Result<ExitStatus> terminate(int64_t grace_micros);
  // SIGKILL to the group and to every descendant, also those that left the group or whose parent has gone (see
  // become_subreaper); repeats until none is left, then reaps. Returns how many processes besides the child itself it
  // found: a step that leaves a child behind is known by that. Afterwards wait() still tells the child's status.
  Result<int> kill_tree();
  // Processes besides the child itself that descend from it and still run.
  std::vector<pid_t> descendants() const;

 private:
  void survey(std::vector<pid_t>* running, std::vector<pid_t>* ended) const;
  void reap();

  pid_t pid_ = -1;
  uint64_t start_ticks_ = 0;
  std::string marker_;  // RUNINK_SPAWN=… in its environment: how an orphan in a session of its own is recognised
  bool own_group_ = false, reaped_ = false;
  Fd pidfd_;
  std::optional<ExitStatus> status_;
};

// Orphans among this process's descendants become its children, so that kill_tree finds those that left their group and
// lost their parent. Once per process, before spawning.
Status become_subreaper();

// A process named so that a reused pid is not taken for it. Kept in records on disk.
struct ProcessIdentity {
  int64_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat: clock ticks after boot
  std::string boot_id;       // /proc/sys/kernel/random/boot_id
  bool operator==(const ProcessIdentity&) const = default;
};
ProcessIdentity current_process();
// False once it has ended (a zombie counts as ended), and after a reboot. True where this cannot be known.
bool is_alive(const ProcessIdentity& process);

std::string signal_name(int signal);  // "SIGSEGV"; "signal 99" if it has no name

}  // namespace runink::os
