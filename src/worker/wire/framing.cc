#include "worker/wire/framing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "base/little_endian.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"

namespace runink::wire {
namespace {

constexpr uint32_t kMagic = 0x314C4E52;  // "RNL1"
constexpr uint16_t kBodyInMemory = 1;
constexpr size_t kHeaderBytes = 24;
constexpr int kWhole = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

struct Header {
  uint16_t type = 0, flags = 0;
  uint64_t subject = 0;
  uint32_t body_bytes = 0, descriptors = 0;
};

std::string encode_header(const Header& header) {
  std::string out;
  append_little_endian(out, kMagic);
  append_little_endian(out, header.type);
  append_little_endian(out, header.flags);
  append_little_endian(out, header.subject);
  append_little_endian(out, header.body_bytes);
  append_little_endian(out, header.descriptors);
  return out;
}

std::optional<Header> decode_header(std::string_view packet) {
  if (packet.size() < kHeaderBytes || load_little_endian<uint32_t>(packet.data()) != kMagic) return std::nullopt;
  return Header{.type = load_little_endian<uint16_t>(packet.data() + 4),
                .flags = load_little_endian<uint16_t>(packet.data() + 6),
                .subject = load_little_endian<uint64_t>(packet.data() + 8),
                .body_bytes = load_little_endian<uint32_t>(packet.data() + 16),
                .descriptors = load_little_endian<uint32_t>(packet.data() + 20)};
}

void wipe(std::string* bytes) {
  if (!bytes->empty()) ::explicit_bzero(bytes->data(), bytes->size());
  bytes->clear();
}

Result<os::Fd> body_in_memory(std::string_view body) {
  os::Fd memory(::memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING), "a message");
  if (!memory.valid()) return from_errno(errno, "make room for a message");
  RUNINK_RETURN_IF_ERROR(os::write_all(memory, body));
  if (::fcntl(memory.get(), F_ADD_SEALS, kWhole | F_SEAL_SEAL) != 0) return from_errno(errno, "seal a message");
  return memory;
}

// What it holds cannot change between the look at its size and the reading.
Status read_body(const os::Fd& memory, size_t bytes, std::string* body) {
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  struct stat info = {};
  if (seals < 0 || (seals & kWhole) != kWhole || ::fstat(memory.get(), &info) != 0 ||
      static_cast<uint64_t>(info.st_size) != bytes) {
    return data_loss("receive a message: its body is no sealed memory of the size that was announced");
  }
  body->resize(bytes);
  if (RUNINK_TRY(os::pread_full(memory, body->data(), bytes, 0)) != bytes) {
    return data_loss("receive a message: its body ends early");
  }
  return {};
}

Status gone() { return unavailable("the other end of the connection has gone"); }

// The descriptors that came with a packet; all of them, so that none stays open unnoticed.
void take_descriptors(msghdr* message, std::vector<os::Fd>* out) {
  out->clear();
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      ::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      out->emplace_back(fd, "received");
    }
  }
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return invalid_argument("socket {}: the path is empty or too long", path)
        .with_hint("a path of a socket has at most 107 bytes");
  }
  ::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<os::Fd> make_socket(const std::string& name) {
  os::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), name);
  if (!socket.valid()) return from_errno(errno, "make a socket");
  return socket;
}

}  // namespace

Message::~Message() { wipe(&body); }

Message& Message::operator=(Message&& other) noexcept {
  if (this == &other) return *this;
  wipe(&body);
  type = other.type;
  subject = other.subject;
  body = std::move(other.body);
  descriptors = std::move(other.descriptors);
  return *this;
}

Result<std::pair<Channel, Channel>> Channel::make_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return from_errno(errno, "make a pair of sockets");
  }
  return std::make_pair(Channel(os::Fd(ends[0], "socket")), Channel(os::Fd(ends[1], "socket")));
}

Channel::Channel(os::Fd socket) : socket_(std::move(socket)) { (void)os::set_nonblocking(socket_, true); }

void Channel::close() {
  for (Queued& queued : queue_) wipe(&queued.packet);
  queue_.clear();
  queued_bytes_ = 0;
  socket_.reset();
}

os::Fd Channel::release() {
  os::Fd socket = std::move(socket_);
  close();
  return socket;
}

Result<bool> Channel::send_now(std::string_view packet, std::span<const int> descriptors) const {
  iovec piece = {const_cast<char*>(packet.data()), packet.size()};
  msghdr message = {};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    ::memset(control, 0, message.msg_controllen);
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    ::memcpy(CMSG_DATA(part), descriptors.data(), descriptors.size_bytes());
  }
  for (;;) {
    if (::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EINTR) continue;
    // Of a socket's pair: too many descriptors on their way wait like a full buffer.
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ETOOMANYREFS) return false;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return gone();
    return from_errno(errno, "send a message");
  }
}

Status Channel::send(uint16_t type, uint64_t subject, std::string_view body, std::span<const int> descriptors) {
  if (!valid()) return gone();
  if (body.size() > kMostBody || descriptors.size() > kMostDescriptors - 1) {
    return invalid_argument("send a message of {} bytes with {} descriptors: at most {} and {}", body.size(),
                            descriptors.size(), kMostBody, kMostDescriptors - 1);
  }
  Header header = {.type = type, .subject = subject, .body_bytes = static_cast<uint32_t>(body.size())};
  std::vector<int> all(descriptors.begin(), descriptors.end());
  os::Fd memory;
  if (body.size() > kMostPacketBody) {
    memory = RUNINK_TRY(body_in_memory(body));
    all.push_back(memory.get());
    header.flags = kBodyInMemory;
    body = {};
  }
  header.descriptors = static_cast<uint32_t>(all.size());
  std::string packet = encode_header(header);
  packet.append(body);
  Status sent;
  if (queue_.empty()) {
    const auto now = send_now(packet, all);
    if (!now.ok() || *now) {
      wipe(&packet);
      return now.status();
    }
  }
  if (queue_.size() >= kMostQueuedMessages || queued_bytes_ + packet.size() > kMostQueuedBytes) {
    wipe(&packet);
    return resource_exhausted("send a message: the other end has left {} unread", queue_.size());
  }
  Queued queued{.packet = std::move(packet)};
  for (const int fd : all) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return from_errno(errno, "keep a descriptor to send it");
    queued.descriptors.emplace_back(copy, "to be sent");
  }
  queued_bytes_ += queued.packet.size();
  queue_.push_back(std::move(queued));
  return {};
}

Status Channel::flush() {
  while (!queue_.empty()) {
    Queued& next = queue_.front();
    std::vector<int> descriptors;
    for (const os::Fd& fd : next.descriptors) descriptors.push_back(fd.get());
    if (!RUNINK_TRY(send_now(next.packet, descriptors))) return {};
    queued_bytes_ -= next.packet.size();
    wipe(&next.packet);
    queue_.pop_front();
  }
  return {};
}

Result<std::optional<Message>> Channel::receive() {
  Message message;
  if (!RUNINK_TRY(receive_into(&message))) return std::optional<Message>();
  return std::optional<Message>(std::move(message));
}

Result<bool> Channel::receive_into(Message* message, Wait wait) {
  if (!valid()) return gone();
  // One for all: who has thousands of channels touches the same memory for each.
  static thread_local std::vector<char> buffer(kHeaderBytes + kMostPacketBody);
  iovec piece = {buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  msghdr received = {};
  received.msg_iov = &piece;
  received.msg_iovlen = 1;
  received.msg_control = control;
  received.msg_controllen = sizeof control;
  const int flags = MSG_CMSG_CLOEXEC | (wait == Wait::kNot ? MSG_DONTWAIT : 0);
  ssize_t bytes;
  while ((bytes = ::recvmsg(socket_.get(), &received, flags)) < 0 && errno == EINTR) {
  }
  if (bytes < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno == ECONNRESET || errno == ENOTCONN) return gone();
    return from_errno(errno, "receive a message");
  }
  take_descriptors(&received, &message->descriptors);
  if (bytes == 0) return gone();
  if ((received.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return data_loss("receive a message: it was cut, too large or with too many descriptors")
        .with_hint("out of descriptors? ulimit -n");
  }
  const std::string_view packet(buffer.data(), static_cast<size_t>(bytes));
  const std::optional<Header> header = decode_header(packet);
  if (!header || header->flags > kBodyInMemory || header->body_bytes > kMostBody ||
      header->descriptors != message->descriptors.size()) {
    return data_loss("receive a message: {} bytes that are no message", bytes);
  }
  message->type = header->type;
  message->subject = header->subject;
  if (header->flags == kBodyInMemory) {
    if (packet.size() != kHeaderBytes || message->descriptors.empty()) {
      return data_loss("receive a message: its body is missing");
    }
    RUNINK_RETURN_IF_ERROR(read_body(message->descriptors.back(), header->body_bytes, &message->body));
    message->descriptors.pop_back();
    return true;
  }
  if (packet.size() != kHeaderBytes + header->body_bytes) {
    return data_loss("receive a message: a body of {} bytes instead of {}", packet.size() - kHeaderBytes,
                     header->body_bytes);
  }
  message->body.assign(packet.substr(kHeaderBytes));
  // It may have held a secret.
  ::explicit_bzero(buffer.data(), static_cast<size_t>(bytes));
  return true;
}

Result<std::optional<Message>> Channel::receive_within(int64_t timeout_micros) {
  const int64_t deadline = timeout_micros < 0 ? -1 : os::monotonic_nanos() + timeout_micros * 1000;
  for (;;) {
    RUNINK_RETURN_IF_ERROR(flush());
    std::optional<Message> message = RUNINK_TRY(receive());
    if (message) return message;
    int64_t millis = -1;
    if (deadline >= 0) {
      const int64_t left = deadline - os::monotonic_nanos();
      if (left <= 0) return std::optional<Message>();
      millis = std::min<int64_t>((left + 999'999) / 1'000'000, 60'000);
    }
    pollfd waiting = {socket_.get(), static_cast<short>(POLLIN | (wants_to_write() ? POLLOUT : 0)), 0};
    if (::poll(&waiting, 1, static_cast<int>(millis)) < 0 && errno != EINTR) {
      return from_errno(errno, "wait for a message");
    }
  }
}

Result<Peer> peer_of(int socket) {
  ucred credentials = {};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return from_errno(errno, "ask who is at the other end of a socket");
  }
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

Result<os::Fd> listen_at(const std::string& path) {
  const sockaddr_un address = RUNINK_TRY(address_of(path));
  const auto other = connect_to(path);
  if (other.ok()) return already_exists("listen at {}: another process does", path);
  // A socket that nobody listens at was left there; anything else is not ours to remove.
  struct stat there = {};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) return already_exists("listen at {}: there is a file of that name", path);
    RUNINK_RETURN_IF_ERROR(os::remove_file(path));
  }
  os::Fd socket = RUNINK_TRY(make_socket(path));
  // Who may connect is decided when the file is made.
  if (::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 64) != 0) {
    return from_errno(errno, "listen at " + path);
  }
  return socket;
}

Result<std::optional<os::Fd>> accept_from(const os::Fd& listener) {
  for (;;) {
    const int fd = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) return std::optional<os::Fd>(os::Fd(fd, listener.path()));
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::optional<os::Fd>();
    return from_errno(errno, "take a connection at " + listener.path());
  }
}

Result<os::Fd> connect_to(const std::string& path) {
  const sockaddr_un address = RUNINK_TRY(address_of(path));
  os::Fd socket = RUNINK_TRY(make_socket(path));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  if (errno == ECONNREFUSED) return unavailable("connect to {}: nobody listens there", path);
  return from_errno(errno, "connect to " + path);
}

}  // namespace runink::wire
