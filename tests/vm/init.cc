// Process 1 of the virtual machine of tests, in its initramfs: loads the modules that lie beside it, makes the disk the
// root, and executes /vm/run.sh there. Static, since there is nothing else in the initramfs.
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace {

[[noreturn]] void give_up(const char* what) {
  std::printf("vm: %s: %s\n", what, std::strerror(errno));
  std::fflush(stdout);
  reboot(RB_POWER_OFF);
  for (;;) pause();
}

// In the order of their names, which is that of their dependencies.
void load_modules() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("/modules")) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    // Some are for hardware that is not there: EEXIST and ENODEV are no faults.
    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST && errno != ENODEV)) {
      std::printf("vm: module %s: %s\n", path.c_str(), std::strerror(errno));
    }
    close(fd);
  }
}

// The driver finds it a moment after it was loaded.
void wait_for(const char* device) {
  for (int i = 0; i < 2000 && access(device, F_OK) != 0; ++i) usleep(10'000);
  if (access(device, F_OK) != 0) give_up(device);
}

}  // namespace

int main() {
  mkdir("/dev", 0755);
  mkdir("/disk", 0755);
  if (mount("dev", "/dev", "devtmpfs", 0, nullptr) != 0 && errno != EBUSY) give_up("mount /dev");
  load_modules();
  wait_for("/dev/vda");
  if (mount("/dev/vda", "/disk", "ext4", 0, nullptr) != 0) give_up("mount the disk");
  if (mount("/dev", "/disk/dev", nullptr, MS_MOVE, nullptr) != 0) give_up("move /dev");
  if (chdir("/disk") != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 || chdir("/") != 0)
    give_up("make the disk the root");
  char* const arguments[] = {const_cast<char*>("/bin/bash"), const_cast<char*>("/vm/run.sh"), nullptr};
  char* const environment[] = {const_cast<char*>("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), const_cast<char*>("HOME=/root"),
                               nullptr};
  execve(arguments[0], arguments, environment);
  give_up("execute /vm/run.sh");
}
