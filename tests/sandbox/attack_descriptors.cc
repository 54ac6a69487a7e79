// Descriptors that came along, and a working folder outside (L02).
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "attack.h"

int main() {
  refuse_to_be_host_root();
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) {
    attempt("nothing to list in /proc/self/fd", true);
    return verdict();
  }
  while (const dirent* entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd <= 2 || fd == dirfd(folder)) continue;
    attempt(std::string("descriptor ") + entry->d_name, true);
  }
  // Numbers that the listing might not show.
  for (int fd = 3; fd < 1024; ++fd) {
    if (fd != dirfd(folder)) attempt("open descriptor " + std::to_string(fd), fcntl(fd, F_GETFD) >= 0);
  }
  char where[4096] = {};
  attempt("a working folder outside the root", syscall(SYS_getcwd, where, sizeof where) < 0 || where[0] != '/');
  for (int fd = 0; fd < 64; ++fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (chdir(path.c_str()) != 0 || fd == dirfd(folder)) continue;
    attempt("a folder by " + path, true);
  }
  return verdict();
}
