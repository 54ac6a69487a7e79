// Preloaded into a process under test (LD_PRELOAD): makes chosen system calls on chosen files fail, wait, or write less
// than they were given. What happens is said by rules in a file of one page, named by BARN_FAULTS, which both sides
// map: faults.py writes them at any time, and reads how often each struck. Without a rule a call costs one load.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

enum Call : uint32_t { kWrite = 1, kSync = 2, kOpenDirect = 3, kReserve = 4, kRead = 5, kName = 6 };
enum Action : uint32_t { kFail = 1, kDelay = 2, kShort = 3, kSkip = 4, kKillAfter = 5 };

// As in faults.py.
struct Rule {
  std::atomic<uint32_t> active;  // set last
  uint32_t call, action;
  uint32_t argument;          // errno; milliseconds; bytes that are written; calls before the one that kills
  std::atomic<int32_t> left;  // how often still; negative: always
  std::atomic<uint32_t> struck;
  char path[104];  // part of the file's path
};
constexpr int kRules = 16;
Rule* g_rules = nullptr;

__attribute__((constructor)) void map_rules(void) {
  const char* const path = getenv("BARN_FAULTS");
  if (path == nullptr) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();  // a test whose faults cannot strike would pass for nothing
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) abort();
  close(fd);
  g_rules = static_cast<Rule*>(page);
}

bool path_of(int fd, char* path, size_t room) {
  char name[32];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(name, path, room - 1);
  if (size >= 0) path[size] = 0;
  return size >= 0;
}

// The rule that strikes such a call on this file, counted; none: nullptr.
Rule* strike_path(Call call, const char* path) {
  for (int i = 0; i < kRules; ++i) {
    Rule* const rule = &g_rules[i];
    if (!rule->active.load(std::memory_order_acquire) || rule->call != call) continue;
    if (strstr(path, rule->path) == nullptr) continue;
    int32_t left = rule->left.load();
    while (left > 0 && !rule->left.compare_exchange_weak(left, left - 1)) {
    }
    if (left == 0) continue;
    rule->struck.fetch_add(1);
    return rule;
  }
  return nullptr;
}

// Without any rule for such calls it costs no look at the path.
Rule* strike(Call call, int fd) {
  if (g_rules == nullptr) return nullptr;
  bool any = false;
  for (int i = 0; i < kRules; ++i) any = any || (g_rules[i].active && g_rules[i].call == call);
  char path[4096];
  return any && path_of(fd, path, sizeof path) ? strike_path(call, path) : nullptr;
}

void wait_milliseconds(uint32_t milliseconds) {
  timespec left{milliseconds / 1000, static_cast<long>(milliseconds % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

// True: the call fails with errno as it is now. Otherwise `size` may have become less, and `skip` true: it is not to be
// made, and succeeds.
bool faulty(Call call, int fd, size_t* size, bool* skip = nullptr) {
  const Rule* rule = strike(call, fd);
  if (rule == nullptr) return false;
  if (rule->action == kKillAfter && rule->struck > rule->argument) kill(getpid(), SIGKILL);
  if (rule->action == kDelay) wait_milliseconds(rule->argument);
  if (rule->action == kShort && size != nullptr && *size > rule->argument) *size = rule->argument;
  if (rule->action == kSkip && skip != nullptr) *skip = true;
  if (rule->action != kFail) return false;
  errno = static_cast<int>(rule->argument);
  return true;
}

// Renames, links and removals, by their path.
bool faulty_name(const char* path) {
  if (g_rules == nullptr) return false;
  Rule* const rule = strike_path(kName, path);
  if (rule == nullptr) return false;
  if (rule->action == kKillAfter && rule->struck > rule->argument) kill(getpid(), SIGKILL);
  if (rule->action != kFail) return false;
  errno = static_cast<int>(rule->argument);
  return true;
}

// A file that is opened for writing past the page cache is opened through /proc/self/fd by the journal, so that the
// path is that of the descriptor.
bool refuses_direct(const char* path, int flags) {
  const char* const prefix = "/proc/self/fd/";
  if (!(flags & O_DIRECT) || strncmp(path, prefix, strlen(prefix)) != 0) return false;
  return faulty(kOpenDirect, atoi(path + strlen(prefix)), nullptr);
}
// The function that this one stands before.
#define NEXT(type, name) static const auto next = reinterpret_cast<type>(dlsym(RTLD_NEXT, #name))
using Pwrite = ssize_t (*)(int, const void*, size_t, off_t);
using Pread = ssize_t (*)(int, void*, size_t, off_t);
using Write = ssize_t (*)(int, const void*, size_t);
using Sync = int (*)(int);
using Reserve = int (*)(int, off_t, off_t);
using Open = int (*)(const char*, int, ...);
using Two = int (*)(const char*, const char*);
using One = int (*)(const char*);

}  // namespace

extern "C" {
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  NEXT(Pwrite, pwrite);
  return faulty(kWrite, fd, &size) ? -1 : next(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  NEXT(Pwrite, pwrite64);
  return faulty(kWrite, fd, &size) ? -1 : next(fd, bytes, size, offset);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  NEXT(Write, write);
  return faulty(kWrite, fd, &size) ? -1 : next(fd, bytes, size);
}
ssize_t pread(int fd, void* bytes, size_t size, off_t offset) {
  NEXT(Pread, pread);
  return faulty(kRead, fd, &size) ? -1 : next(fd, bytes, size, offset);
}
ssize_t pread64(int fd, void* bytes, size_t size, off64_t offset) {
  NEXT(Pread, pread64);
  return faulty(kRead, fd, &size) ? -1 : next(fd, bytes, size, offset);
}
int fdatasync(int fd) {
  NEXT(Sync, fdatasync);
  bool skip = false;
  if (faulty(kSync, fd, nullptr, &skip)) return -1;
  return skip ? 0 : next(fd);
}
int fsync(int fd) {
  NEXT(Sync, fsync);
  bool skip = false;
  if (faulty(kSync, fd, nullptr, &skip)) return -1;
  return skip ? 0 : next(fd);
}
// Returns the error, and leaves errno alone.
int posix_fallocate(int fd, off_t offset, off_t size) {
  NEXT(Reserve, posix_fallocate);
  return faulty(kReserve, fd, nullptr) ? errno : next(fd, offset, size);
}
int posix_fallocate64(int fd, off64_t offset, off64_t size) {
  NEXT(Reserve, posix_fallocate64);
  return faulty(kReserve, fd, nullptr) ? errno : next(fd, offset, size);
}

int rename(const char* from, const char* to) noexcept {
  NEXT(Two, rename);
  return faulty_name(to) ? -1 : next(from, to);
}
int link(const char* from, const char* to) noexcept {
  NEXT(Two, link);
  return faulty_name(to) ? -1 : next(from, to);
}
int unlink(const char* path) noexcept {
  NEXT(One, unlink);
  return faulty_name(path) ? -1 : next(path);
}
int open(const char* path, int flags, ...) {
  NEXT(Open, open);
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return refuses_direct(path, flags) ? -1 : next(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  NEXT(Open, open64);
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return refuses_direct(path, flags) ? -1 : next(path, flags, mode);
}

}  // extern "C"
