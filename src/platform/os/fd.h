// A file descriptor that closes itself and remembers the path it was opened by, so that errors can name it.
#pragma once

#include <string>
#include <utility>

#include "base/status.h"

namespace runink::os {

// Move-only. Not to be used by two threads at once, except for positional reads on get().
class Fd {
 public:
  Fd() = default;
  Fd(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  Fd(Fd&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  explicit operator bool() const { return valid(); }
  const std::string& path() const { return path_; }

  int release() { return std::exchange(descriptor_, -1); }  // the caller closes it
  void reset();                                             // closes, errors ignored
  Status close();                                           // closes and reports what close(2) says (full disk on NFS, …)

  Result<Fd> duplicate() const;  // close-on-exec

 private:
  int descriptor_ = -1;
  std::string path_;
};

struct Pipe {
  Fd read, write;
};
// Both ends close-on-exec. `name` is what errors call them. capacity_bytes 0 keeps the kernel's default (64 KiB);
// a larger wish is granted as far as the kernel allows.
Result<Pipe> make_pipe(std::string name, size_t capacity_bytes = 0);

// A pair of connected stream sockets, both close-on-exec.
struct SocketPair {
  Fd first, second;
};
Result<SocketPair> make_socket_pair(std::string name);

Status set_nonblocking(const Fd& fd, bool on);

}  // namespace runink::os
