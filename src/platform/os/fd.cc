#include "platform/os/fd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace runink::os {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    descriptor_ = std::exchange(other.descriptor_, -1);
    path_ = std::move(other.path_);
  }
  return *this;
}

void Fd::reset() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

Status Fd::close() {
  if (descriptor_ < 0) return {};
  // Not repeated after EINTR: Linux has released the descriptor by then.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) {
    return from_errno(errno, fmt::format("close {}", path_));
  }
  return {};
}

Result<Fd> Fd::duplicate() const {
  const int copy = fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return from_errno(errno, fmt::format("duplicate the descriptor of {}", path_));
  return Fd(copy, path_);
}

Result<Pipe> make_pipe(std::string name, size_t capacity_bytes) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return from_errno(errno, fmt::format("make a pipe for {}", name));
  Pipe pipe{Fd(ends[0], name), Fd(ends[1], name)};
  if (capacity_bytes > 0) {
    for (size_t wish = capacity_bytes; wish >= 65536 && fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(wish)) < 0;) {
      wish /= 2;  // over the user's pipe quota: take what is granted
    }
  }
  return pipe;
}

Result<SocketPair> make_socket_pair(std::string name) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return from_errno(errno, fmt::format("make a socket pair for {}", name));
  }
  return SocketPair{Fd(ends[0], name), Fd(ends[1], name)};
}

Status set_nonblocking(const Fd& fd, bool on) {
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0) {
    return from_errno(errno, fmt::format("set the mode of {}", fd.path()));
  }
  return {};
}

}  // namespace runink::os
