// A core dump with a name that its program chose (L17): none is written, and no handler of the host is run.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

namespace {

int crash(const std::string& name) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_NAME, name.c_str());
    prctl(PR_SET_DUMPABLE, 1);
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &all);
    abort();
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

}  // namespace

int main() {
  refuse_to_be_host_root();
  struct rlimit now = {};
  getrlimit(RLIMIT_CORE, &now);
  attempt("a limit of core dumps above 1", now.rlim_max > 1);
  char folder[] = "/tmp/attack-XXXXXX";
  if (mkdtemp(folder) == nullptr || chdir(folder) != 0) {
    std::puts("no folder in /tmp");
    return 2;
  }
  for (const char* name : {"core", "../../../x", "|/bin/sh", "%P%e"}) {
    attempt(std::string("a core dump of ") + name, WCOREDUMP(crash(name)));
  }
  DIR* files = opendir(".");
  while (const dirent* entry = files == nullptr ? nullptr : readdir(files)) {
    if (entry->d_name[0] == '.') continue;
    attempt(std::string("a file ") + entry->d_name, true);
    unlink(entry->d_name);
  }
  rmdir(folder);
  return verdict();
}
