#include "worker/sandbox/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/sandbox/child.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/seccomp.h"
#include "worker/sandbox/sources.h"
#include "worker/sandbox/user_namespace.h"

namespace runink::sandbox {
namespace {

// A file system that does not answer is the one thing that a start can wait for.
constexpr int64_t kStartLimitMicros = 30'000'000;

bool is_root_plan(const Operations& operations) {
  return std::any_of(operations.list.begin(), operations.list.end(),
                     [](const Operation& operation) { return operation.action == Action::kPickIds; });
}

// A folder as a stream would be a way out of the slice's root: openat(0, "..").
Status check_stream(int stream) {
  struct stat info = {};
  if (::fstat(stream, &info) != 0) return from_errno(errno, fmt::format("look at descriptor {}", stream));
  const int flags = ::fcntl(stream, F_GETFL);
  if (!S_ISDIR(info.st_mode) && flags >= 0 && (flags & O_PATH) == 0) return {};
  return invalid_argument("start a slice: its input, output or error (descriptor {}) is a folder", stream)
      .with_hint("give it a file, a pipe or a terminal; a slice sees folders by --mount");
}

// What is open on the launcher's side while a slice is made.
class Launch {
 public:
  Launch(const model::SliceSpec& spec, const Operations& operations)
      : spec_(spec), operations_(operations), root_(is_root_plan(operations)) {}

  Status prepare(const SliceStreams& streams) {
    for (const int stream : {streams.input, streams.output, streams.error})
      RUNINK_RETURN_IF_ERROR(check_stream(stream));
    if (spec_.resources.any()) group_ = RUNINK_TRY(SliceGroup::make(spec_.resources));
    if (root_) ids_ = RUNINK_TRY(IdRange::take());
    for (const MountSource& source : operations_.sources) {
      OpenSource open = RUNINK_TRY(open_source(source));
      if (root_) RUNINK_RETURN_IF_ERROR(clone_source(source, ids_.first(), spec_.user, spec_.group, &open));
      sources_.push_back(std::move(open));
    }
    for (const OpenSource& open : sources_) child_sources_.push_back({open.tree.get(), open.device, open.inode});
    for (const std::string& word : spec_.argv) argv_.push_back(const_cast<char*>(word.c_str()));
    argv_.push_back(nullptr);
    for (const auto& [name, value] : spec_.environment) entries_.push_back(name + "=" + value);
    for (std::string& entry : entries_) environment_.push_back(entry.data());
    environment_.push_back(nullptr);
    go_ = RUNINK_TRY(os::make_pipe("the start of a slice"));
    start_ = RUNINK_TRY(os::make_pipe("the start of a slice"));
    end_ = RUNINK_TRY(os::make_pipe("the end of a slice"));
    context_ = {.operations = &operations_,
                .spec = &spec_,
                .sources = child_sources_.data(),
                .filter = &default_filter(),
                .argv = argv_.data(),
                .environment = environment_.data(),
                .go_read = go_.read.get(),
                .go_write = go_.write.get(),
                .start_write = start_.write.get(),
                .end_write = end_.write.get(),
                .ids_lock = ids_.lock(),
                .streams = {streams.input, streams.output, streams.error}};
    return {};
  }

  // The child begins with all signals blocked: process 1 takes them one by one, and the program has its own mask.
  Status clone(pid_t* pid, os::Fd* pidfd) {
    int descriptor = -1;
    clone_args arguments = {};
    arguments.flags = namespaces() | CLONE_PIDFD;
    if (group_.clone_descriptor() >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<uint64_t>(group_.clone_descriptor());
    }
    arguments.pidfd = reinterpret_cast<uint64_t>(&descriptor);
    arguments.exit_signal = SIGCHLD;
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    *pid = static_cast<pid_t>(raw::clone3(&arguments));
    if (*pid == 0) run_child(context_);
    const int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (*pid < 0) return clone_failed(error);
    *pidfd = os::Fd(descriptor, "slice");
    go_.read.reset();
    start_.write.reset();
    end_.write.reset();
    return {};
  }

  Status map(pid_t pid) {
    RUNINK_RETURN_IF_ERROR(group_.attach(pid));
    const Operation* operation = find(Action::kMapIds);
    IdMap users = {0, ids_.first(), model::kSliceIds}, groups = users;
    if (!root_) {
      users = {spec_.user, ::geteuid(), 1};
      groups = {spec_.group, ::getegid(), 1};
    }
    RUNINK_RETURN_IF_ERROR(forget_oom_protection(pid));
    RUNINK_RETURN_IF_ERROR(map_ids(pid, users, groups, !root_).with_context(operation->says));
    return os::write_all(go_.write, "g");
  }

  // OK when the program runs: its end of the start pipe was closed by the kernel in execve.
  Status wait_for_start() {
    const int64_t deadline = os::monotonic_nanos() + kStartLimitMicros * 1000;
    StartFailure failure;
    for (;;) {
      const int64_t left = (deadline - os::monotonic_nanos()) / 1'000'000;
      if (left <= 0) {
        return deadline_exceeded("start a slice: it was not ready after {} s", kStartLimitMicros / 1'000'000)
            .with_hint("does a file system that it mounts still answer?");
      }
      struct pollfd waiting = {start_.read.get(), POLLIN, 0};
      const int ready = ::poll(&waiting, 1, static_cast<int>(left));
      if (ready < 0 && errno != EINTR) return from_errno(errno, "wait for the start of a slice");
      if (ready > 0) break;
    }
    const size_t n = RUNINK_TRY(os::read_full(start_.read, &failure, sizeof failure));
    if (n == 0) return {};
    if (n != sizeof failure || failure.operation >= operations_.list.size()) {
      return internal_error("start a slice: its first process ended without saying why");
    }
    return failed(operations_.list[failure.operation], failure.error);
  }

  SliceGroup take_group() { return std::move(group_); }
  IdRange take_ids() { return std::move(ids_); }
  os::Fd take_end() { return std::move(end_.read); }

 private:
  const Operation* find(Action action) const {
    const auto at = std::find_if(operations_.list.begin(), operations_.list.end(),
                                 [&](const Operation& operation) { return operation.action == action; });
    RUNINK_CHECK(at != operations_.list.end());
    return &*at;
  }
  uint64_t namespaces() const { return find(Action::kClone)->number; }

  Status clone_failed(int error) const {
    Status status = from_errno(error, find(Action::kClone)->says);
    if (error == ENOSPC || error == EPERM) {
      return std::move(status).with_hint(
          "this host lets nobody, or not this user, make user namespaces: sysctl user.max_user_namespaces, and on some "
          "kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns");
    }
    if (error == ENOSYS) return std::move(status).with_hint("slices need Linux 5.12 or newer");
    return status;
  }

  Status failed(const Operation& operation, int error) const {
    switch (operation.action) {
      case Action::kOpenProgram:
      case Action::kExecute:
        return program_failed(error);
      case Action::kEnterFolder:
        return from_errno(error, fmt::format("enter {} in the slice", escape_control(spec_.working_directory)))
            .with_hint("the slice sees only what is mounted: --mount FOLDER:" + escape_control(operation.path));
      case Action::kCloneSource:
        if (error == ESTALE) {
          return aborted("{}: it was replaced while the slice was being made", operation.says)
              .with_hint("start it again");
        }
        return from_errno(error, operation.says);
      case Action::kFilterCalls:
        if (Status probe = probe_seccomp(); !probe.ok()) return probe;
        return from_errno(error, operation.says);
      default:
        return from_errno(error, operation.says);
    }
  }

  Status program_failed(int error) const {
    const std::string name = escape_control(spec_.argv[0]);
    if (error == ENOENT || error == ENOTDIR) {
      const bool path = spec_.argv[0].find('/') != std::string::npos;
      return not_found("run {}: there is no such program in the slice", name)
          .with_kind(kKindProgramMissing)
          .with_hint(path ? "a slice sees /usr of the host and what is mounted; for a script, the interpreter named in "
                            "its first line must be there, too"
                          : "it is looked for in the folders of PATH inside the slice; mount its folder and name it by "
                            "its path there");
    }
    if (error == ENOEXEC) {
      return failed_precondition("run {}: it is no program for this machine", name)
          .with_kind(kKindProgramRefused)
          .with_hint(
              "built for another processor? a script needs a first line that names its interpreter, such as #!/bin/sh");
    }
    if (error == EISDIR) {
      return failed_precondition("run {}: it is a folder", name).with_kind(kKindProgramRefused);
    }
    return from_errno(error, fmt::format("run {}", name))
        .with_kind(kKindProgramRefused)
        .with_hint(error == EACCES
                       ? fmt::format("user {} of the slice may not execute it: chmod +x, or chmod o+rx where "
                                     "it belongs to another user",
                                     spec_.user)
                       : "");
  }

  const model::SliceSpec& spec_;
  const Operations& operations_;
  const bool root_;
  SliceGroup group_;
  IdRange ids_;
  std::vector<OpenSource> sources_;
  std::vector<ChildSource> child_sources_;
  std::vector<char*> argv_, environment_;
  std::vector<std::string> entries_;
  os::Pipe go_, start_, end_;
  ChildContext context_;
};

}  // namespace

Result<Slice> Slice::start(const model::SliceSpec& spec, const Operations& operations, const SliceStreams& streams) {
  Launch launch(spec, operations);
  RUNINK_RETURN_IF_ERROR(launch.prepare(streams));
  Slice slice;  // from here on its destructor ends what was begun
  RUNINK_RETURN_IF_ERROR(launch.clone(&slice.pid_, &slice.pidfd_));
  Status mapped = launch.map(slice.pid_);
  // Removed when the slice is: an empty group only can be.
  slice.group_ = launch.take_group();
  slice.ids_ = launch.take_ids();
  RUNINK_RETURN_IF_ERROR(std::move(mapped));
  slice.end_pipe_ = launch.take_end();
  RUNINK_RETURN_IF_ERROR(launch.wait_for_start());
  return slice;
}

Slice::Slice(Slice&& other) noexcept { *this = std::move(other); }

Slice& Slice::operator=(Slice&& other) noexcept {
  if (this == &other) return *this;
  end();
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::move(other.pidfd_);
  end_pipe_ = std::move(other.end_pipe_);
  ids_ = std::move(other.ids_);
  group_ = std::move(other.group_);
  ended_ = std::exchange(other.ended_, std::nullopt);
  return *this;
}

Slice::~Slice() { end(); }

void Slice::end() {
  if (pid_ <= 0 || ended_) return;
  kill();
  (void)wait(-1);
}

void Slice::kill() {
  if (pid_ > 0 && !ended_) (void)raw::send_signal(pidfd_.get(), SIGKILL);
}

Status Slice::signal(int signal) {
  if (pid_ <= 0 || ended_) return {};
  if (raw::send_signal(pidfd_.get(), signal) != 0 && errno != ESRCH) {
    return from_errno(errno, fmt::format("send signal {} to a slice", signal));
  }
  return {};
}

// Process 1 ends last: the kernel kills and reaps all others of its namespace before its own end is told.
Result<std::optional<SliceEnd>> Slice::wait(int64_t timeout_micros) {
  if (ended_) return ended_;
  if (pid_ <= 0) return failed_precondition("wait for a slice that was not started");
  const int64_t deadline = timeout_micros < 0 ? -1 : os::monotonic_nanos() + timeout_micros * 1000;
  for (;;) {
    int status = 0;
    const pid_t waited = ::waitpid(pid_, &status, WNOHANG | __WALL);
    if (waited < 0 && errno != EINTR) return from_errno(errno, "wait for a slice");
    if (waited == pid_) {
      ProgramEnd end = {status};  // of process 1 itself, where it was killed before it could tell
      ProgramEnd told;
      const auto n = end_pipe_.valid() ? os::read_full(end_pipe_, &told, sizeof told) : Result<size_t>(size_t{0});
      if (n.ok() && *n == sizeof told) {
        end = told;
      } else if (WIFEXITED(status)) {
        ended_ = SliceEnd{.exited = true, .code = WEXITSTATUS(status)};
        group_ = SliceGroup();
        return internal_error("process 1 of a slice ended without telling how its program did");
      }
      SliceEnd out{.exited = WIFEXITED(end.wait_status)};
      (out.exited ? out.code : out.signal) = out.exited ? WEXITSTATUS(end.wait_status) : WTERMSIG(end.wait_status);
      out.limits_hit = group_.limits_hit();
      group_ = SliceGroup();
      ended_ = out;
      return ended_;
    }
    int64_t left_millis = -1;
    if (deadline >= 0) {
      const int64_t left = deadline - os::monotonic_nanos();
      if (left <= 0) return std::optional<SliceEnd>();
      left_millis = std::min<int64_t>((left + 999'999) / 1'000'000, 60'000);
    }
    struct pollfd waiting = {pidfd_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(left_millis)) < 0 && errno != EINTR) {
      return from_errno(errno, "wait for a slice");
    }
  }
}

}  // namespace runink::sandbox
