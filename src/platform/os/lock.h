// A lock between processes: flock on a file which also says who holds it.
#pragma once

#include <string>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::os {

// Held until destroyed; the kernel lets go of it however the process ends. The lock file stays.
class FileLock {
 public:
  // Does not wait. Held by another: kAborted, kind "lock.held", naming the owner ("held by process 4711 since
  // 2026-11-21T19:55:00Z: runi run features/clean.dsl"). `purpose` is what others will be told.
  static Result<FileLock> try_acquire(const std::string& path, const std::string& purpose);
  // Waits for it.
  static Result<FileLock> acquire(const std::string& path, const std::string& purpose);

  FileLock() = default;
  FileLock(FileLock&&) = default;
  FileLock& operator=(FileLock&&) = default;
  bool held() const { return fd_.valid(); }
  void release() { fd_.reset(); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace runink::os
