#include "stop_at_call_in_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "leak_counters_in_test.h"

namespace runink::sandbox {
namespace {

constexpr long kOptions = PTRACE_O_TRACESYSGOOD;
constexpr long kOfParents = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
constexpr int kCallStop = SIGTRAP | 0x80;

long trace(__ptrace_request request, pid_t pid, long data = 0) {
  return ::ptrace(request, pid, nullptr, reinterpret_cast<void*>(data));
}

bool is_child(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    if (word != "PPid:") continue;
    pid_t parent = 0;
    return status >> parent && parent == ::getpid();
  }
  return false;
}

}  // namespace

Status can_follow() {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  if (child < 0) return from_errno(errno, "make a process");
  const bool can = trace(PTRACE_SEIZE, child, kOptions) == 0;
  const int error = errno;
  (void)::kill(child, SIGKILL);
  while (::waitpid(child, nullptr, __WALL) < 0 && errno == EINTR) {
  }
  return can ? Status() : from_errno(error, "follow a process by ptrace");
}

Status KillAtCall::begin(pid_t launcher) {
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  signals_ = os::Fd(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK), "ended and stopped processes");
  if (!signals_.valid()) return from_errno(errno, "take signals");
  const pid_t first = which_ == CountedProcess::kLauncher ? launcher : spawner_of(launcher);
  if (first == 0) return not_found("look for the spawner of launcher {}", launcher);
  const int above = which_ == CountedProcess::kInit ? 1 : which_ == CountedProcess::kProgram ? 2 : 0;
  if (trace(PTRACE_SEIZE, first, above == 0 ? kOptions : kOptions | kOfParents) != 0) {
    return from_errno(errno, "follow a process by ptrace");
  }
  followed_[first] = above;
  // It goes on from call to call from its next stop on.
  if (above == 0 && trace(PTRACE_INTERRUPT, first) != 0) return from_errno(errno, "stop a process by ptrace");
  return {};
}

void KillAtCall::handle() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) > 0) {
  }
  for (bool any = true; any;) {
    any = false;
    std::vector<pid_t> now;
    for (const auto& [pid, above] : followed_) now.push_back(pid);
    for (const pid_t pid : now) {
      siginfo_t what = {};
      const int waited =
          ::waitid(P_PID, static_cast<id_t>(pid), &what, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL);
      if (waited == 0 && what.si_pid == 0) continue;
      any = true;
      int status = 0;
      const bool ended = waited < 0 || what.si_code == CLD_EXITED || what.si_code == CLD_KILLED;
      // A child of this process is its owner's to wait for; another's hears of the end when it was waited for here.
      if (!ended || !is_child(pid)) (void)::waitpid(pid, &status, WNOHANG | __WALL);
      if (!ended) {
        if (WIFSTOPPED(status)) handle_stop(pid, status);
        continue;
      }
      if (told_ && followed_[pid] == 0) killed_ = true;
      followed_.erase(pid);
    }
  }
}

void KillAtCall::handle_stop(pid_t pid, int status) {
  const int above = followed_[pid], event = status >> 16, signal = WSTOPSIG(status);
  if (above > 0) {
    const bool made = event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK;
    unsigned long child = 0;
    if (made && ::ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &child) == 0) {
      // Which is followed already, and waits.
      followed_[static_cast<pid_t>(child)] = above - 1;
      (void)trace(PTRACE_DETACH, pid);
      followed_.erase(pid);
      return;
    }
    (void)trace(PTRACE_CONT, pid, event == 0 ? signal : 0);
    return;
  }
  if (event == 0 && signal == kCallStop && ++stops_ == number_) {
    told_ = true;
    (void)::kill(pid, SIGKILL);
    return;
  }
  // It has its parent's options, and would have its children stopped for us.
  if (event == PTRACE_EVENT_STOP) (void)trace(PTRACE_SETOPTIONS, pid, kOptions);
  (void)trace(PTRACE_SYSCALL, pid, event == 0 && signal != kCallStop ? signal : 0);
}

KillAtCall::~KillAtCall() {
  for (const auto& [pid, above] : followed_) stand_and_let_go(pid);
}

void KillAtCall::stand_and_let_go(pid_t pid) {
  int status = 0;
  pid_t waited = ::waitpid(pid, &status, WNOHANG | __WALL);
  if (waited == 0 && trace(PTRACE_INTERRUPT, pid) == 0) waited = ::waitpid(pid, &status, __WALL);
  if (waited != pid || !WIFSTOPPED(status)) return;
  const bool sent = status >> 16 == 0 && WSTOPSIG(status) != kCallStop;
  (void)trace(PTRACE_DETACH, pid, sent ? WSTOPSIG(status) : 0);
}

}  // namespace runink::sandbox
