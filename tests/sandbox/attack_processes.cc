// Other processes and the kernel's windows in /proc (L01, L12): who can be seen, read and signalled.
//
// attack_processes PID…: processes of the host.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "attack.h"

int main(int argc, char** argv) {
  refuse_to_be_host_root();
  for (const char* path : {"/proc/sys", "/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/proc/timer_list",
                           "/proc/kallsyms", "/proc/modules", "/proc/bus", "/proc/irq", "/proc/fs", "/proc/scsi",
                           "/proc/cmdline", "/proc/interrupts", "/proc/meminfo", "/proc/cpuinfo"}) {
    attempt(path, access(path, F_OK) == 0);
  }
  // Process 1 is a copy of the launcher's memory, the host's environment included.
  for (const char* name : {"environ", "mem", "maps", "exe", "root", "cwd", "fd", "auxv", "stack"}) {
    const std::string path = std::string("/proc/1/") + name;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char byte;
    attempt("read " + path, fd >= 0 && read(fd, &byte, 1) > 0);
    attempt("follow " + path, readlink(path.c_str(), &byte, 1) > 0);
    if (fd >= 0) close(fd);
  }
  for (int i = 1; i < argc; ++i) attempt(std::string("signal ") + argv[i], kill(std::atoi(argv[i]), 0) == 0);
  if (getpid() > 100) attempt("a process number of the host", true);
  if (DIR* folder = opendir("/proc")) {
    while (const dirent* entry = readdir(folder)) {
      const int pid = std::atoi(entry->d_name);
      attempt(std::string("see process ") + entry->d_name, pid > 0 && pid != getpid());
    }
  }
  return verdict();
}
