#include "platform/os/lock.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "base/text.h"
#include "platform/os/file.h"

namespace runink::os {

namespace {

// Who holds it, for the message only; the lock itself is the kernel's, and is held on a full disk too.
void write_owner(const Fd& fd, const std::string& purpose) {
  const std::string text = fmt::format("process {} since {}: {}\n", ::getpid(),
                                       format_utc(system_clock().unix_micros() / 1'000'000 * 1'000'000), purpose);
  if (truncate_file(fd, 0).ok()) (void)pwrite_all(fd, text, 0);
}

}  // namespace

Result<FileLock> FileLock::try_acquire(const std::string& path, const std::string& purpose) {
  Fd fd = RUNINK_TRY_CONTEXT(open_file(path, OpenMode::kReadWrite, 0600), "lock");
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return from_errno(errno, fmt::format("lock {}", path));
    std::string owner(512, '\0');
    const auto n = pread_full(fd, owner.data(), owner.size(), 0);
    owner.resize(n.ok() ? *n : 0);
    const std::string told = escape_control(trim(owner));
    return aborted("lock {}: held by {}", path, told.empty() ? "another process" : told).with_kind("lock.held");
  }
  write_owner(fd, purpose);
  return FileLock(std::move(fd));
}

Result<FileLock> FileLock::acquire(const std::string& path, const std::string& purpose) {
  Fd fd = RUNINK_TRY_CONTEXT(open_file(path, OpenMode::kReadWrite, 0600), "lock");
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return from_errno(errno, fmt::format("lock {}", path));
  }
  write_owner(fd, purpose);
  return FileLock(std::move(fd));
}

}  // namespace runink::os
