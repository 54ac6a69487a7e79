// What would starve a host (L13). Each takes until it is refused and says so: "refused after N: REASON", exit code 0;
// or it is killed, or ended by its time. Exit code 1: it had all it wanted, which is more than any slice may have.
//
// attack_bombs forks|threads|memory|files|inodes|shared|descriptors|watches|spin|flood
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "attack.h"

namespace {

constexpr long kPieces = 300'000;

// `take` gives false with errno when it is refused.
int until_refused(const std::function<bool(long)>& take) {
  for (long taken = 0; taken < kPieces; ++taken) {
    if (take(taken)) continue;
    std::printf("refused after %ld: %s\n", taken, std::strerror(errno));
    std::fflush(stdout);
    return 0;
  }
  std::puts("never refused");
  return 1;
}

bool fork_one(long) {
  const pid_t pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  return pid > 0;
}

bool begin_thread(long) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  pthread_t thread;
  errno = pthread_create(
      &thread, &attributes,
      [](void*) -> void* {
        for (;;) pause();
      },
      nullptr);
  return errno == 0;
}

bool take_memory(long) {
  constexpr size_t kBytes = 1u << 20;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  std::memset(memory, 1, kBytes);
  return true;
}

bool make_file(long number) {
  const int fd = open(("/tmp/" + std::to_string(number)).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  close(fd);
  return true;
}

bool keep_file(long) { return open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0; }

bool watch(long) { return inotify_init1(IN_CLOEXEC) >= 0; }

int fill(const char* path) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  return until_refused([fd](long number) { return fallocate(fd, 0, number << 20, 1 << 20) == 0; });
}

int flood() {
  static char line[1 << 16];
  std::memset(line, 'x', sizeof line);
  for (size_t at = 79; at < sizeof line; at += 80) line[at] = '\n';
  while (write(1, line, sizeof line) > 0) {
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  refuse_to_be_host_root();
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "forks") return until_refused(fork_one);
  if (what == "threads") return until_refused(begin_thread);
  if (what == "memory") return until_refused(take_memory);
  if (what == "files") return fill("/tmp/filled");
  if (what == "inodes") return until_refused(make_file);
  if (what == "shared") return fill("/dev/shm/filled");
  if (what == "descriptors") return until_refused(keep_file);
  if (what == "watches") return until_refused(watch);
  if (what == "flood") return flood();
  if (what == "spin") {
    for (;;) asm volatile("");
  }
  return 2;
}
