#include "worker/sandbox/slice_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

namespace runink::sandbox {
namespace {

// 0 or errno.
int send_descriptor(int channel, int descriptor) noexcept {
  char byte = 't';
  struct iovec part = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  ::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  ssize_t n;
  while ((n = ::sendmsg(channel, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  return n == 1 ? 0 : n < 0 ? errno : EIO;
}

// Text of many languages: without it, erasing a letter erases one byte of it.
int expect_utf8(int terminal) noexcept {
  struct termios settings = {};
  if (::tcgetattr(terminal, &settings) != 0) return errno;
  settings.c_iflag |= IUTF8;
  return ::tcsetattr(terminal, TCSANOW, &settings) == 0 ? 0 : errno;
}

int prepare(int terminal, const model::SliceTerminal& size) noexcept {
  struct winsize window = {};
  window.ws_row = size.rows;
  window.ws_col = size.columns;
  if (::ioctl(terminal, TIOCSWINSZ, &window) != 0) return errno;
  return expect_utf8(terminal);
}

}  // namespace

Result<TerminalChannel> make_terminal_channel() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return from_errno(errno, "make the socket over which a slice's terminal comes");
  }
  return TerminalChannel{os::Fd(ends[0], "terminal of a slice"), os::Fd(ends[1], "terminal of a slice")};
}

Result<os::Fd> receive_terminal(const os::Fd& ours) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  while ((n = ::recvmsg(ours.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)) < 0 && errno == EINTR) {
  }
  if (n < 0) return from_errno(errno, "receive the terminal of a slice");
  const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  const bool there = n == 1 && header != nullptr && header->cmsg_level == SOL_SOCKET &&
                     header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int));
  if (!there) return internal_error("receive the terminal of a slice: there is none in what it sent");
  int descriptor = -1;
  ::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  os::Fd master(descriptor, "terminal of a slice");
  if (::isatty(master.get()) != 1) return internal_error("receive the terminal of a slice: it is none");
  return master;
}

int open_slice_terminal(const model::SliceTerminal& size, int channel) noexcept {
  const int master = ::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
  if (master < 0) return -errno;
  int error = 0;
  int unlocked = 0, terminal = -1;
  if (::ioctl(master, TIOCSPTLCK, &unlocked) != 0) error = errno;
  if (error == 0) {
    // By the master, and not by a name.
    terminal = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0) error = errno;
  }
  if (error == 0) error = prepare(terminal, size);
  if (error == 0) error = send_descriptor(channel, master);
  ::close(master);
  if (error == 0) return terminal;
  if (terminal >= 0) ::close(terminal);
  return -error;
}

int take_slice_terminal(int terminal) noexcept { return ::ioctl(terminal, TIOCSCTTY, 0) == 0 ? 0 : errno; }

}  // namespace runink::sandbox
