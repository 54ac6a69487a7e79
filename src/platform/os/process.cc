#include "platform/os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <set>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/process_table.h"

extern char** environ;

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace runink::os {

namespace {

enum class SpawnStep : int { kSession, kParentDeath, kDescriptors, kFolder, kLimits, kExec };

const char* step_name(SpawnStep step) {
  switch (step) {
    case SpawnStep::kSession: return "make its session";
    case SpawnStep::kParentDeath: return "tie it to its parent";
    case SpawnStep::kDescriptors: return "set up its descriptors";
    case SpawnStep::kFolder: return "enter its working directory";
    case SpawnStep::kLimits: return "set its limits";
    case SpawnStep::kExec: break;
  }
  return "execute it";
}

struct SpawnFailure {
  SpawnStep step;
  int error;
};

// All that the child needs, made before fork: after it only async-signal-safe calls are allowed.
struct Prepared {
  std::string program;
  std::vector<char*> argv, environment;
  std::vector<std::pair<int, int>> descriptors;  // {source, target}
  int lift_to = 64;                              // above every target
  const SpawnOptions* options;
  pid_t parent;
  int failure_pipe;
};

[[noreturn]] void fail_child(const Prepared& p, SpawnStep step) {
  const SpawnFailure failure{step, errno};
  const ssize_t ignored = ::write(p.failure_pipe, &failure, sizeof failure);
  (void)ignored;
  ::_exit(127);
}

void mark_all_close_on_exec() {
  if (::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Kernels before 5.11 and some sandboxes: one by one, as far as descriptors may go.
  struct rlimit limit;
  int most = 65536;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536) most = static_cast<int>(limit.rlim_cur);
  for (int fd = 3; fd < most; ++fd) (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void run_child(Prepared& p) {
  // Handlers and ignored signals of the parent are not the child's.
  struct sigaction defaults = {};
  defaults.sa_handler = SIG_DFL;
  for (int s : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGQUIT, SIGCHLD}) (void)::sigaction(s, &defaults, nullptr);
  sigset_t none;
  sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);

  if (p.options->new_session) {
    if (::setsid() < 0) fail_child(p, SpawnStep::kSession);
  } else if (::setpgid(0, 0) < 0) {
    fail_child(p, SpawnStep::kSession);
  }
  if (p.options->die_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail_child(p, SpawnStep::kParentDeath);
    if (::getppid() != p.parent) ::_exit(127);  // it ended before the line above
  }
  // Lift every source above all targets first, so that no dup2 overwrites one that is still needed.
  p.failure_pipe = ::fcntl(p.failure_pipe, F_DUPFD_CLOEXEC, p.lift_to);
  if (p.failure_pipe < 0) ::_exit(127);
  for (auto& [source, target] : p.descriptors) {
    source = source < 0 ? ::open("/dev/null", target == 0 ? O_RDONLY : O_WRONLY) : source;
    if (source < 0) fail_child(p, SpawnStep::kDescriptors);
    source = ::fcntl(source, F_DUPFD_CLOEXEC, p.lift_to);
    if (source < 0) fail_child(p, SpawnStep::kDescriptors);
  }
  mark_all_close_on_exec();
  for (const auto& [source, target] : p.descriptors) {
    if (::dup2(source, target) < 0) fail_child(p, SpawnStep::kDescriptors);
  }
  if (!p.options->working_directory.empty() && ::chdir(p.options->working_directory.c_str()) != 0) {
    fail_child(p, SpawnStep::kFolder);
  }
  if (p.options->address_space_bytes > 0) {
    const struct rlimit limit = {p.options->address_space_bytes, p.options->address_space_bytes};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) fail_child(p, SpawnStep::kLimits);
  }
  ::execve(p.program.c_str(), p.argv.data(), p.environment.data());
  fail_child(p, SpawnStep::kExec);
}

std::string value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name)) {
      return entry.substr(name.size() + 1);
    }
  }
  return {};
}

// What execvp would find, found before fork so that a misspelt program costs nothing and is told plainly.
Result<std::string> find_program(const std::string& name, const std::vector<std::string>& environment,
                                 const std::string& working_directory) {
  if (name.empty()) return invalid_argument("start a program: its name is empty");
  if (name.find('/') != std::string::npos) return name;
  std::string path = value_of(environment, "PATH");
  if (path.empty()) path = "/usr/local/bin:/usr/bin:/bin";
  bool refused = false;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = path.find(':', begin);
    if (end == std::string::npos) end = path.size();
    std::string folder = path.substr(begin, end - begin);
    begin = end + 1;
    if (folder.empty()) folder = working_directory.empty() ? "." : working_directory;
    const std::string candidate = join_path(folder, name);
    const auto info = file_info(candidate);
    if (!info.ok() || info->folder()) continue;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    refused = true;
  }
  if (refused) return permission_denied("start {}: the file found in PATH is not executable", name);
  return not_found("start {}: there is no such program in PATH", name)
      .with_hint("give a path with a slash (./steps/score.py), or an interpreter (python3 steps/score.py)");
}

std::string random_marker() {
  static std::atomic<uint64_t> next{0};
  return fmt::format("RUNINK_SPAWN={}-{}-{}", ::getpid(), monotonic_nanos(), next.fetch_add(1));
}

}  // namespace

Result<Child> Child::spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return invalid_argument("start a program: the command is empty");
  std::vector<std::string> environment;
  if (options.environment) {
    environment = *options.environment;
  } else {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) environment.emplace_back(*entry);
  }
  std::erase_if(environment, [](const std::string& entry) { return entry.starts_with("RUNINK_SPAWN="); });
  const std::string marker = random_marker();
  environment.push_back(marker);

  Prepared p;
  p.options = &options;
  p.program = RUNINK_TRY(find_program(options.argv[0], environment, options.working_directory));
  for (const std::string& word : options.argv) {
    if (word.find('\0') != std::string::npos) return invalid_argument("start {}: an argument holds a NUL byte", p.program);
    p.argv.push_back(const_cast<char*>(word.c_str()));
  }
  p.argv.push_back(nullptr);
  for (const std::string& entry : environment) p.environment.push_back(const_cast<char*>(entry.c_str()));
  p.environment.push_back(nullptr);
  p.descriptors = {{options.standard_input, 0}, {options.standard_output, 1}, {options.standard_error, 2}};
  for (const auto& [source, target] : options.descriptors) {
    if (target < 3 || target > 1000) return invalid_argument("start {}: no descriptor can be number {}", p.program, target);
    p.descriptors.emplace_back(source, target);
    p.lift_to = std::max(p.lift_to, target + 1);
  }
  Pipe failure = RUNINK_TRY(make_pipe("the start of " + p.program));
  p.failure_pipe = failure.write.get();
  p.parent = ::getpid();

  // No signal may run the parent's handlers in the child between fork and exec.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) run_child(p);
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return from_errno(fork_error, fmt::format("start {}", p.program));

  Child child;
  child.pid_ = pid;
  child.own_group_ = true;
  child.marker_ = marker;
  child.pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), p.program);  // -1 where there is none
  if (child.pidfd_.valid()) (void)::fcntl(child.pidfd_.get(), F_SETFD, FD_CLOEXEC);
  if (const auto stat = read_process_stat(pid)) child.start_ticks_ = stat->start_ticks;

  failure.write.reset();
  SpawnFailure told;
  const auto n = read_full(failure.read, &told, sizeof told);
  if (n.ok() && *n == 0) return child;
  if (!n.ok() || *n != sizeof told) return internal_error("start {}: the child ended before it began", p.program);
  Status status = from_errno(told.error, fmt::format("start {}: {}", p.program, step_name(told.step)));
  if (told.step == SpawnStep::kExec && told.error == ENOEXEC) {
    return std::move(status).with_hint("a script needs a first line that names its interpreter, such as #!/bin/sh");
  }
  if (told.step == SpawnStep::kExec && told.error == ENOENT && exists(p.program)) {
    return std::move(status).with_hint("the interpreter named in its first line does not exist");
  }
  return status;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  if (pid_ > 0 && !reaped_) (void)kill_tree();
  pid_ = std::exchange(other.pid_, -1);
  start_ticks_ = other.start_ticks_;
  marker_ = std::move(other.marker_);
  own_group_ = other.own_group_;
  reaped_ = other.reaped_;
  pidfd_ = std::move(other.pidfd_);
  status_ = std::move(other.status_);
  return *this;
}

Child::~Child() {
  if (pid_ > 0 && !reaped_) (void)kill_tree();
}

Result<std::optional<ExitStatus>> Child::wait(int64_t timeout_micros) {
  if (status_) return status_;
  if (pid_ <= 0) return failed_precondition("wait for a child that was not started");
  const int64_t deadline = timeout_micros < 0 ? -1 : monotonic_nanos() + timeout_micros * 1000;
  for (;;) {
    siginfo_t info = {};
    struct rusage usage = {};
    // The raw call: glibc's waitid does not pass the resource usage on. WNOWAIT leaves the zombie.
    const long waited = ::syscall(SYS_waitid, P_PID, pid_, &info, WEXITED | WNOHANG | WNOWAIT, &usage);
    if (waited != 0 && errno != EINTR) return from_errno(errno, fmt::format("wait for process {}", pid_));
    if (waited == 0 && info.si_pid == pid_) {
      ExitStatus status;
      status.exited = info.si_code == CLD_EXITED;
      (status.exited ? status.code : status.signal) = info.si_status;
      status.core_dumped = info.si_code == CLD_DUMPED;
      status.user_seconds = usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6;
      status.system_seconds = usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6;
      status.peak_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
      status_ = status;
      return status_;
    }
    int64_t left_millis = -1;
    if (deadline >= 0) {
      const int64_t left = deadline - monotonic_nanos();
      if (left <= 0) return std::optional<ExitStatus>();
      left_millis = std::min<int64_t>((left + 999'999) / 1'000'000, 60'000);
    }
    struct pollfd waiting = {pidfd_.get(), POLLIN, 0};
    if (pidfd_.valid()) {
      if (::poll(&waiting, 1, static_cast<int>(left_millis)) < 0 && errno != EINTR) {
        return from_errno(errno, fmt::format("wait for process {}", pid_));
      }
    } else {
      (void)::poll(nullptr, 0, left_millis < 0 ? 5 : static_cast<int>(std::min<int64_t>(left_millis, 5)));
    }
  }
}

Status Child::kill_group(int signal) const {
  if (pid_ <= 0 || reaped_) return {};
  if (::kill(own_group_ ? -pid_ : pid_, signal) != 0 && errno != ESRCH) {
    return from_errno(errno, fmt::format("send {} to process group {}", signal_name(signal), pid_));
  }
  return {};
}

void Child::survey(std::vector<pid_t>* running, std::vector<pid_t>* ended) const {
  const std::vector<ProcessStat> table = read_process_table();
  std::set<pid_t> family = {pid_};
  // Parents may stand behind their children in the table (pids wrap around), hence until nothing is added.
  for (bool grew = true; grew;) {
    grew = false;
    for (const ProcessStat& p : table) {
      if (family.contains(p.pid) || p.start_ticks < start_ticks_) continue;
      if (family.contains(p.parent) || p.group == pid_ || p.session == pid_ ||
          (!p.ended() && process_has_environment(p.pid, marker_))) {
        family.insert(p.pid);
        grew = true;
      }
    }
  }
  for (const ProcessStat& p : table) {
    if (p.pid != pid_ && family.contains(p.pid)) (p.ended() ? ended : running)->push_back(p.pid);
  }
}

constexpr int kQuietPasses = 10;

// One that ends while the table is read may have forked just before, and its child be missing in the list of pids that was made
// earlier: /proc was seen to show a daemon up to some milliseconds late, its parent being a zombie already. So the table is read
// once a millisecond, kQuietPasses times at least, and until it shows nobody new.
std::vector<pid_t> Child::descendants() const {
  if (pid_ <= 0 || reaped_) return {};
  std::set<pid_t> family;
  for (int pass = 0;; ++pass) {
    std::vector<pid_t> running, ended;
    survey(&running, &ended);
    const size_t before = family.size();
    family.insert(running.begin(), running.end());
    family.insert(ended.begin(), ended.end());
    if ((family.size() == before && pass >= kQuietPasses) || pass == 100) return running;
    (void)::poll(nullptr, 0, 1);
  }
}

void Child::reap() {
  if (pid_ <= 0 || reaped_) return;
  if (!status_) (void)wait(-1);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
}

namespace {

// Waits until a killed process is gone, or is a zombie that is somebody else's to reap.
void bury(pid_t pid) {
  for (int tries = 0; tries < 1000; ++tries) {
    const auto stat = read_process_stat(pid);
    if (!stat) return;
    if (stat->parent == ::getpid()) {
      if (::waitpid(pid, nullptr, WNOHANG) != 0) return;
    } else if (stat->ended()) {
      return;
    }
    (void)::poll(nullptr, 0, 1);
  }
}

}  // namespace

Result<int> Child::kill_tree() {
  if (pid_ <= 0 || reaped_) return 0;
  std::set<pid_t> found, family;
  // A process may fork while the table is read, so until a reading finds none and nobody new; the family cannot outrun this for
  // long, since each pass kills all it saw.
  for (int pass = 0; pass < 1000; ++pass) {
    std::vector<pid_t> running, ended;
    survey(&running, &ended);
    RUNINK_RETURN_IF_ERROR(kill_group(SIGKILL));
    // A pid cannot be another process's an instant after its entry was read, unless all pids were gone through.
    for (const pid_t pid : running) (void)::kill(pid, SIGKILL);
    found.insert(running.begin(), running.end());
    const size_t before = family.size();
    family.insert(running.begin(), running.end());
    family.insert(ended.begin(), ended.end());
    if (running.empty() && family.size() == before && pass > 0) break;  // as for descendants()
    (void)::poll(nullptr, 0, 1);  // the kernel needs a moment to end them, and /proc to show new ones
  }
  reap();
  for (const pid_t pid : family) bury(pid);
  return static_cast<int>(found.size());
}

Result<ExitStatus> Child::terminate(int64_t grace_micros) {
  RUNINK_RETURN_IF_ERROR(kill_group(SIGTERM));
  (void)RUNINK_TRY(wait(grace_micros));
  (void)RUNINK_TRY(kill_tree());
  const std::optional<ExitStatus> status = RUNINK_TRY(wait(-1));
  return *status;
}

Status become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return from_errno(errno, "become the reaper of orphaned descendants");
  return {};
}

ProcessIdentity current_process() {
  ProcessIdentity identity;
  identity.pid = ::getpid();
  if (const auto stat = read_process_stat(::getpid())) identity.start_ticks = stat->start_ticks;
  identity.boot_id = boot_id();
  return identity;
}

bool is_alive(const ProcessIdentity& process) {
  if (process.pid <= 0) return false;
  const std::string boot = boot_id();
  if (!boot.empty() && !process.boot_id.empty() && boot != process.boot_id) return false;
  const auto stat = read_process_stat(static_cast<pid_t>(process.pid));
  if (!stat) return ::kill(static_cast<pid_t>(process.pid), 0) == 0 || errno != ESRCH;
  return !stat->ended() && (process.start_ticks == 0 || stat->start_ticks == process.start_ticks);
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::string ExitStatus::to_string() const {
  if (exited) return fmt::format("exit code {}", code);
  return fmt::format("killed by signal {} ({}){}", signal, signal_name(signal), core_dumped ? ", core dumped" : "");
}

}  // namespace runink::os
