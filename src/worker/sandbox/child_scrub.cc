// What a slice can leave in its namespaces when all its processes have ended, and whether it has.
//
// It has no capability in any namespace of its own, so links, addresses, routes, packet filters, sysctls, the host name
// and mounts are as they were made. What is left to look at is what needs no right: files in memory, IPC objects, and
// sockets that outlive who opened them.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <memory>

#include "worker/sandbox/child.h"

namespace runink::sandbox {
namespace {

// More than this is not worth deleting: the slice is destroyed instead.
constexpr int kMostEntries = 256;
constexpr int kMostDepth = 16;

// A union of what the kernel's calls take (semctl(2)).
union SemaphoreArgument {
  int value;
  seminfo* info;
};

std::string left_ipc() {
  shm_info memory = {};
  if (::shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&memory)) < 0 || memory.used_ids != 0) return "shared memory";
  seminfo semaphores = {};
  if (::semctl(0, 0, SEM_INFO, SemaphoreArgument{.info = &semaphores}) < 0 || semaphores.semusz != 0) {
    return "semaphores";
  }
  msginfo queues = {};
  if (::msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&queues)) < 0 || queues.msgpool != 0) return "message queues";
  return {};
}

// Message queues with names lie in a file system of the IPC namespace, which is mounted nowhere in the slice.
int open_queues() noexcept {
  const int context = ::fsopen("mqueue", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int mount = -1;
  if (::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    mount = ::fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }
  ::close(context);
  return mount;
}

// False where there is more than is worth it, or something that cannot be removed.
bool empty_folder(ScrubbedFolder* folder, int depth, int* removed) {
  if (!folder->is_open() || depth > kMostDepth) return false;
  while (const char* entry = folder->next()) {
    if (++*removed > kMostEntries) return false;
    if (::unlinkat(folder->descriptor(), entry, 0) == 0) continue;
    if (errno != EISDIR) return false;
    ScrubbedFolder below;
    below.begin(folder->descriptor(), entry);
    if (!empty_folder(&below, depth + 1, removed) || ::unlinkat(folder->descriptor(), entry, AT_REMOVEDIR) != 0) {
      return false;
    }
  }
  return true;
}

// As it was mounted: empty, of who made the slice's root, open to all, and nothing hangs on it.
bool is_pristine(int fd, const struct stat& root) {
  struct stat info = {};
  const timespec none[2] = {};
  // Files made in it would inherit its flags.
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) flags = 0;  // a file system without any
  return flags == 0 && ::fstat(fd, &info) == 0 && info.st_uid == root.st_uid && info.st_gid == root.st_gid &&
         (info.st_mode & 07777) == 01777 && ::flistxattr(fd, nullptr, 0) <= 0 && ::futimens(fd, none) == 0;
}

// Sockets of this network namespace, also those that nobody has open any more: "sockets: used 0", "TCP: inuse 0 orphan
// 3 tw 0 …" (orphans are those of the whole host). `closed`: those there are may be closed already, and only counted
// until the kernel has freed them.
std::string left_sockets(int file, bool* closed) {
  char text[1024];
  const ssize_t n = ::pread(file, text, sizeof text - 1, 0);
  if (n <= 0) return "sockets that cannot be counted";
  text[n] = '\0';
  int used = -1, in_use = -1, waiting = -1;
  const char* tcp = ::strstr(text, "TCP: ");
  if (::sscanf(text, "sockets: used %d", &used) != 1 || tcp == nullptr ||
      ::sscanf(tcp, "TCP: inuse %d orphan %*d tw %d", &in_use, &waiting) != 2) {
    return "sockets that cannot be counted";
  }
  if (waiting != 0) return "connections in TIME_WAIT";
  *closed = in_use == 0;
  return used != 0 ? "sockets" : "";
}

// "  lo: BYTES PACKETS …": what other slices have sent and received on it, the next one would see.
bool was_loopback_used(int file) {
  char text[2048];
  const ssize_t n = ::pread(file, text, sizeof text - 1, 0);
  if (n <= 0) return true;
  text[n] = '\0';
  const char* lo = ::strstr(text, " lo:");
  unsigned long long bytes = 1;
  return lo == nullptr || ::sscanf(lo, " lo: %llu", &bytes) != 1 || bytes != 0;
}

std::string left_sockets(int file) {
  constexpr int kTries = 15;
  constexpr timespec kBetween = {0, 2'000'000};
  for (int i = 1;; ++i) {
    bool closed = false;
    std::string left = left_sockets(file, &closed);
    if (left.empty() || !closed || i == kTries) return left;
    (void)::nanosleep(&kBetween, nullptr);
  }
}

}  // namespace

ScrubbedFolder::~ScrubbedFolder() {
  if (stream_ != nullptr) ::closedir(stream_);
}

void ScrubbedFolder::begin(int at, const char* name) noexcept {
  if (stream_ != nullptr) return ::rewinddir(stream_);
  const int fd = ::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  stream_ = fd < 0 ? nullptr : ::fdopendir(fd);
}

const char* ScrubbedFolder::next() noexcept {
  while (const dirent* entry = ::readdir(stream_)) {
    if (::strcmp(entry->d_name, ".") != 0 && ::strcmp(entry->d_name, "..") != 0) return entry->d_name;
  }
  return nullptr;
}

Scrubber::Limits::Limits() noexcept {
  for (size_t i = 0; i < kCount; ++i) {
    struct rlimit limit = {};
    (void)::getrlimit(static_cast<__rlimit_resource>(i), &limit);
    values[2 * i] = limit.rlim_cur;
    values[2 * i + 1] = limit.rlim_max;
  }
}

std::string Scrubber::scrub() noexcept {
  if (std::string left = left_ipc(); !left.empty()) return left;
  if (!queues_.valid()) queues_ = os::Fd(open_queues(), "message queues");
  if (!queues_.valid()) return "message queues that cannot be counted";
  if (queue_names_.begin(queues_.get(), "."); !queue_names_.is_open() || queue_names_.next() != nullptr) {
    return "message queues";
  }
  if (!sockets_.valid()) {
    sockets_ = os::Fd(::open("/proc/self/net/sockstat", O_RDONLY | O_CLOEXEC), "/proc/self/net/sockstat");
  }
  if (std::string left = left_sockets(sockets_.get()); !left.empty()) return left;
  if (!links_.valid()) links_ = os::Fd(::open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC), "/proc/self/net/dev");
  if (was_loopback_used(links_.get())) return "traffic of its loopback, which is counted";
  if (limits_ && *limits_ != Limits()) return "changed limits of process 1";
  struct stat root = {};
  if (::stat("/", &root) != 0) return "a root that cannot be looked at";
  for (const auto& [path, folder] : {std::pair("/tmp", &temporary_), std::pair("/dev/shm", &shared_)}) {
    int removed = 0;
    folder->begin(AT_FDCWD, path);
    if (!empty_folder(folder, 0, &removed)) return std::string("files in ") + path;
    if (!is_pristine(folder->descriptor(), root)) return std::string("a changed folder ") + path;
  }
  return {};
}

}  // namespace runink::sandbox
