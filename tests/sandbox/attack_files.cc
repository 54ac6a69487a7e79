// Files of the host (L05): by path, by /proc, by handle, by device; and what a slice may not change.
//
// attack_files [PATH…]: files of the host that a test has planted.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>

#include "attack.h"

namespace {

bool can_open(const std::string& path, int flags = O_RDONLY) {
  const int fd = open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

void planted(const std::string& path) {
  for (const char* before : {"", "/..", "/../../../..", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/..",
                             "/proc/1/cwd", "/proc/self/root/../../..", "/tmp/..", "/usr/../.."}) {
    attempt(before + path, can_open(before + path));
  }
}

void handle() {
  // The inode number of the root folder of most file systems: what "shocker" used.
  struct {
    file_handle head;
    unsigned char bytes[8];
  } root = {};
  root.head.handle_bytes = 8;
  root.head.handle_type = 1;
  root.bytes[0] = 2;
  const int mount = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int fd = open_by_handle_at(mount, &root.head, O_RDONLY);
  attempt("open_by_handle_at", fd >= 0);
}

void devices() {
  for (const char* path : {"/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda", "/dev/console", "/dev/tty", "/dev/ptmx",
                           "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/userfaultfd", "/dev/port"}) {
    attempt(path, access(path, F_OK) == 0);
  }
  attempt("a device made in /tmp", mknod("/tmp/device", S_IFCHR | 0600, makedev(1, 1)) == 0);
}

void writes() {
  for (const char* folder : {"/", "/usr", "/etc", "/dev", "/run", "/proc", "/etc/ssl/certs", "/usr/bin"}) {
    const std::string path = std::string(folder) + "/made-by-attack";
    attempt("write in " + std::string(folder), can_open(path, O_WRONLY | O_CREAT));
    attempt("remount " + std::string(folder), mount(nullptr, folder, nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0);
  }
  for (const char* file : {"/etc/passwd", "/proc/self/exe", "/proc/1/exe", "/usr/bin/env"}) {
    attempt(std::string("write to ") + file, can_open(file, O_WRONLY));
  }
  const int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
  attempt("map other users", write(map, "0 0 1", 5) == 5);
  attempt("change the mode of /dev/null", chmod("/dev/null", 0600) == 0);
}

void set_user_id() {
  // A file may be marked, but no mount of a slice honours it.
  for (const char* folder : {"/", "/tmp", "/usr", "/dev", "/dev/shm", "/proc"}) {
    struct statvfs info = {};
    attempt(std::string("set-user-id programs of ") + folder,
            statvfs(folder, &info) == 0 && !(info.f_flag & ST_NOSUID));
  }
}

}  // namespace

int main(int argc, char** argv) {
  refuse_to_be_host_root();
  for (int i = 1; i < argc; ++i) planted(argv[i]);
  for (const char* path : {"/etc/shadow", "/etc/machine-id", "/etc/ssh", "/root", "/home", "/var", "/srv", "/boot",
                           "/sys", "/etc/ssl/private", "/run/runink", "/run/systemd", "/lost+found", "/opt", "/mnt"}) {
    attempt(path, access(path, F_OK) == 0);
  }
  handle();
  devices();
  writes();
  set_user_id();
  return verdict();
}
