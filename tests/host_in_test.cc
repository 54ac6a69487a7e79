#include "tests/host_in_test.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

namespace runink::tests {

bool can_make_user_namespaces(std::optional<unsigned> user) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (user && ::geteuid() == 0 && (::setgid(*user) != 0 || ::setuid(*user) != 0)) ::_exit(2);
    ::_exit(::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_on_path(const std::string& program) {
  for (const char* folder : {"/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"}) {
    if (::access((folder + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

os::Fd must_open(const std::string& path, os::OpenMode mode) {
  auto file = os::open_file(path, mode);
  EXPECT_TRUE(file.ok()) << file.status().to_string();
  return file.ok() ? std::move(*file) : os::Fd();
}

}  // namespace runink::tests
