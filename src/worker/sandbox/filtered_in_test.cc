#include "worker/sandbox/filtered_in_test.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "worker/sandbox/seccomp.h"

namespace runink::sandbox::testing {
namespace {

int memory_file(const std::string& content) {
  int fd = ::memfd_create("input", 0);
  RUNINK_CHECK(fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

ChildEnd collect(pid_t pid, int read_end) {
  ChildEnd end;
  char buffer[4096];
  for (;;) {
    ssize_t got = ::read(read_end, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    end.output.append(buffer, static_cast<size_t>(got));
  }
  ::close(read_end);
  int status = 0;
  RUNINK_CHECK(::waitpid(pid, &status, 0) == pid);
  end.exited = WIFEXITED(status);
  end.code = end.exited ? WEXITSTATUS(status) : 0;
  end.signal = end.exited ? 0 : WTERMSIG(status);
  return end;
}

}  // namespace

ChildEnd in_child(const std::function<int()>& body, bool filtered) {
  const SeccompFilter& filter = default_filter();
  int ends[2];
  RUNINK_CHECK(::pipe(ends) == 0);
  pid_t pid = ::fork();
  RUNINK_CHECK(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (filtered) {
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      int refused = install_filter(filter);
      if (refused != 0) {
        dprintf(STDOUT_FILENO, "filter refused: %s\n", strerror(refused));
        ::_exit(120);
      }
    }
    ::_exit(body());
  }
  ::close(ends[1]);
  return collect(pid, ends[0]);
}

ChildEnd run_program(const std::vector<std::string>& argv, const std::string& input, bool filtered) {
  int standard_input = memory_file(input);
  std::vector<char*> pointers;
  for (const std::string& word : argv) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  ChildEnd end = in_child(
      [&] {
        ::dup2(standard_input, STDIN_FILENO);
        ::close(standard_input);
        ::execvp(pointers[0], pointers.data());
        dprintf(STDOUT_FILENO, "%s: %s\n", pointers[0], strerror(errno));
        return 127;
      },
      filtered);
  ::close(standard_input);
  return end;
}

bool has_program(const std::string& name) {
  const char* path = ::getenv("PATH");
  std::string folders = path ? path : "";
  for (size_t at = 0; at <= folders.size();) {
    size_t colon = std::min(folders.find(':', at), folders.size());
    if (::access((folders.substr(at, colon - at) + "/" + name).c_str(), X_OK) == 0) return true;
    at = colon + 1;
  }
  return false;
}

}  // namespace runink::sandbox::testing
