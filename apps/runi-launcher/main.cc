// runi-launcher: makes slices and keeps them. Started by `runi exec` or the agent, which carry it within them, from a
// sealed memory file: a slice whose process 1 is a copy of it finds no program of the host behind /proc/1/exe.
//
//   runi-launcher --sealed [--listen PATH --outlive-micros N]      descriptor 3: the socket to its owner
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <string>

#include "worker/launcher/server.h"

namespace {

constexpr int kOwner = 3;
constexpr int kExitUsage = 2, kExitFailed = 1;

int fail(const std::string& why, int code) {
  const std::string line = "runi-launcher: " + why + "\n";
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  return code;
}

// Whether nobody, not even root, can change what /proc/self/exe leads to.
bool is_sealed() {
  const int self = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0) return false;
  constexpr int kAll = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = ::fcntl(self, F_GET_SEALS);
  ::close(self);
  return seals >= 0 && (seals & kAll) == kAll;
}

// What started it may have ignored signals, or blocked them.
void reset_signals() {
  for (int signal = 1; signal < 65; ++signal) (void)::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  runink::launcher::ServerOptions options;
  bool sealed = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--sealed") {
      sealed = true;
    } else if (word == "--listen" && i + 1 < argc) {
      options.listen_path = argv[++i];
    } else if (word == "--outlive-micros" && i + 1 < argc) {
      const char* text = argv[++i];
      const auto [end, error] = std::from_chars(text, text + std::strlen(text), options.outlive_micros);
      if (error != std::errc() || *end != '\0' || options.outlive_micros < 0) {
        return fail("--outlive-micros is a number", kExitUsage);
      }
    } else {
      return fail("unknown argument " + word + "; it is started by runi", kExitUsage);
    }
  }
  reset_signals();
  // Slices are copies of it, and what it has open must not be theirs to look at.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return fail("cannot keep others from looking into it", kExitFailed);
  if (sealed && !is_sealed()) return fail("not started from sealed memory", kExitFailed);
  if (::fcntl(kOwner, F_SETFD, FD_CLOEXEC) != 0) return fail("descriptor 3 is not the socket to its owner", kExitUsage);
  (void)::close_range(kOwner + 1, ~0U, 0);
  if (::chdir("/") != 0) return fail("cannot enter /", kExitFailed);
  options.owner = runink::os::Fd(kOwner, "owner");
  const runink::Status served = runink::launcher::serve(std::move(options));
  return served.ok() ? 0 : fail(served.to_string(), kExitFailed);
}
