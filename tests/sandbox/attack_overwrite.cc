// The program that one was started from, overwritten once nobody executes it any more (L01): what CVE-2019-5736 did to
// the runtime's own program, through a descriptor that was opened while it ran.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "attack.h"

namespace {

constexpr int kTries = 1000;

// Becomes a copy of this program, so that nothing executes the file itself.
void become_copy(const char* path, int target) {
  const int from = open(path, O_RDONLY | O_CLOEXEC);
  const int copy = memfd_create("copy", MFD_CLOEXEC);
  struct stat info = {};
  if (from < 0 || copy < 0 || fstat(from, &info) != 0) return;
  while (info.st_size > 0) {
    const ssize_t n = sendfile(copy, from, nullptr, static_cast<size_t>(info.st_size));
    if (n <= 0) return;
    info.st_size -= n;
  }
  const std::string number = std::to_string(target);
  char* const arguments[] = {const_cast<char*>("attack"), const_cast<char*>(number.c_str()), nullptr};
  fexecve(copy, arguments, environ);
}

bool opens_for_writing(const std::string& path) {
  for (int i = 0; i < kTries; ++i) {
    const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) continue;
    close(fd);
    return true;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  refuse_to_be_host_root();
  if (argc > 1) {
    attempt("write to the program's file", opens_for_writing(std::string("/proc/self/fd/") + argv[1]));
    return verdict();
  }
  for (const char* path : {"/proc/1/exe", "/proc/self/exe"}) {
    attempt(std::string("write to ") + path, opens_for_writing(path));
    const int by_path = open("/proc/1/exe", O_PATH | O_CLOEXEC);
    if (by_path >= 0)
      attempt("write to process 1's file", opens_for_writing("/proc/self/fd/" + std::to_string(by_path)));
  }
  const int self = open("/proc/self/exe", O_PATH);
  if (self >= 0) become_copy("/proc/self/exe", self);
  std::puts("could not become a copy");
  return 2;
}
