// Control groups (L06): none can be seen, mounted or written, and no release_agent set (CVE-2022-0492).
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "attack.h"

namespace {

void mounted() {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    attempt("a mounted cgroup file system: " + line, line.find(" - cgroup") != std::string::npos);
  }
}

// Its own group is all it knows of.
void names() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t path = line.find(":/");
    attempt("the name of a group: " + line, path != std::string::npos && path + 2 < line.size());
  }
}

void mounts() {
  for (const char* controller : {"memory", "cpu", "pids", "rdma", "misc", "none,name=attack", "devices"}) {
    attempt(std::string("mount cgroup ") + controller, mount("none", "/tmp", "cgroup", 0, controller) == 0);
  }
  attempt("mount cgroup2", mount("none", "/tmp", "cgroup2", 0, nullptr) == 0);
  attempt("mount cgroup2 in a new namespace", unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) == 0 &&
                                                  mount("none", "/tmp", "cgroup2", 0, nullptr) == 0);
}

void files() {
  for (const char* folder : {"/sys/fs/cgroup", "/cgroup", "/dev/cgroup", "/proc/1/root/sys/fs/cgroup"}) {
    attempt(folder, access(folder, F_OK) == 0);
    for (const char* file : {"cgroup.procs", "release_agent", "notify_on_release", "cgroup.subtree_control", "tasks"}) {
      const int fd = open((std::string(folder) + "/" + file).c_str(), O_WRONLY | O_CLOEXEC);
      attempt(std::string("write ") + folder + "/" + file, fd >= 0);
    }
  }
}

}  // namespace

int main() {
  refuse_to_be_host_root();
  mounted();
  names();
  files();
  mounts();
  return verdict();
}
