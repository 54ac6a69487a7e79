#include "worker/network/netlink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "base/text.h"

namespace runink::network {
namespace {

constexpr size_t kAlign = 4;
constexpr size_t kReceiveBytes = 64u << 10;  // more than the kernel puts into one datagram
constexpr int kBufferBytes = 1 << 20;        // of the socket: for answers to a whole batch

size_t aligned(size_t size) { return (size + kAlign - 1) & ~(kAlign - 1); }

template <typename T>
T read_as(const uint8_t* at) {
  T value;
  ::memcpy(&value, at, sizeof value);
  return value;
}

// Of netfilter only: to others these numbers mean other things.
bool is_batch_border(int protocol, uint16_t type) {
  return protocol == NETLINK_NETFILTER && (type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END);
}

}  // namespace

void Messages::begin(uint16_t type, uint16_t flags, std::string says) {
  end();
  starts_.push_back(bytes_.size());
  says_.push_back(std::move(says));
  nlmsghdr header = {};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  append(&header, sizeof header);
}

void Messages::append(const void* data, size_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  bytes_.insert(bytes_.end(), bytes, bytes + size);
  bytes_.resize(aligned(bytes_.size()));
}

void Messages::put(uint16_t type, const void* data, size_t size) {
  const size_t at = open(type);
  append(data, size);
  // Without the padding, unlike an attribute with others inside.
  const auto length = static_cast<uint16_t>(sizeof(nlattr) + size);
  ::memcpy(bytes_.data() + at, &length, sizeof length);
}

void Messages::put_text(uint16_t type, std::string_view text) {
  std::string with_nul(text);
  put(type, with_nul.c_str(), with_nul.size() + 1);
}

void Messages::put_be16(uint16_t type, uint16_t value) { put_u16(type, htons(value)); }
void Messages::put_be32(uint16_t type, uint32_t value) { put_u32(type, htonl(value)); }
void Messages::put_be64(uint16_t type, uint64_t value) { put_u64(type, htobe64(value)); }

size_t Messages::open(uint16_t type) {
  const size_t at = bytes_.size();
  const nlattr attribute = {0, type};
  append(&attribute, sizeof attribute);
  return at;
}

void Messages::close(size_t at) {
  const size_t size = bytes_.size() - at;
  RUNINK_CHECK(size <= UINT16_MAX);  // what is put is bounded by the specification
  const auto length = static_cast<uint16_t>(size);
  ::memcpy(bytes_.data() + at, &length, sizeof length);
}

void Messages::end() {
  if (starts_.empty()) return;
  const auto length = static_cast<uint32_t>(bytes_.size() - starts_.back());
  ::memcpy(bytes_.data() + starts_.back() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof length);
}

void for_each_message(Bytes bytes, const std::function<bool(const nlmsghdr&, Bytes)>& take) {
  while (bytes.size() >= sizeof(nlmsghdr)) {
    const auto header = read_as<nlmsghdr>(bytes.data());
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > bytes.size()) return;
    if (!take(header, bytes.subspan(sizeof header, header.nlmsg_len - sizeof header))) return;
    bytes = bytes.subspan(std::min(aligned(header.nlmsg_len), bytes.size()));
  }
}

void for_each_attribute(Bytes bytes, const std::function<void(uint16_t, Bytes)>& take) {
  while (bytes.size() >= sizeof(nlattr)) {
    const auto attribute = read_as<nlattr>(bytes.data());
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > bytes.size()) return;
    take(attribute.nla_type & NLA_TYPE_MASK, bytes.subspan(sizeof attribute, attribute.nla_len - sizeof attribute));
    bytes = bytes.subspan(std::min(aligned(attribute.nla_len), bytes.size()));
  }
}

Bytes behind_header(Bytes body, size_t header) {
  return body.size() < aligned(header) ? Bytes() : body.subspan(aligned(header));
}

uint32_t read_u32(Bytes value) { return value.size() < sizeof(uint32_t) ? 0 : read_as<uint32_t>(value.data()); }

std::string read_text(Bytes value) {
  const auto end = std::find(value.begin(), value.end(), 0);
  return std::string(value.begin(), end);
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  const char* name = protocol == NETLINK_NETFILTER ? "netfilter" : "routes";
  NetlinkSocket made;
  made.protocol_ = protocol;
  made.fd_ = os::Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), name);
  if (!made.fd_.valid()) {
    Status status = from_errno(errno, fmt::format("speak with the kernel about {} (netlink)", name));
    if (errno != EPROTONOSUPPORT) return status;
    return std::move(status).with_hint("this kernel has no netfilter: slices with a network need nf_tables");
  }
  const int on = 1;
  // Its own words for what is wrong; kernels without are fine.
  (void)::setsockopt(made.fd_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)::setsockopt(made.fd_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  if (::setsockopt(made.fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBufferBytes, sizeof kBufferBytes) != 0) {
    (void)::setsockopt(made.fd_.get(), SOL_SOCKET, SO_RCVBUF, &kBufferBytes, sizeof kBufferBytes);
  }
  if (::setsockopt(made.fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kBufferBytes, sizeof kBufferBytes) != 0) {
    (void)::setsockopt(made.fd_.get(), SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
  }
  sockaddr_nl self = {};
  self.nl_family = AF_NETLINK;
  if (::bind(made.fd_.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) != 0) {
    return from_errno(errno, fmt::format("speak with the kernel about {} (netlink)", name));
  }
  made.buffer_.resize(kReceiveBytes);
  return made;
}

// The last message that is none of a batch's borders is acknowledged; failures are told of all.
Status NetlinkSocket::transmit(Messages* messages, bool acknowledge) {
  messages->end();
  size_t last = messages->starts_.size();
  for (size_t i = 0; i < messages->starts_.size(); ++i) {
    nlmsghdr header = read_as<nlmsghdr>(messages->bytes_.data() + messages->starts_[i]);
    header.nlmsg_seq = ++sequence_;
    ::memcpy(messages->bytes_.data() + messages->starts_[i], &header, sizeof header);
    if (!is_batch_border(protocol_, header.nlmsg_type)) last = i;
  }
  RUNINK_CHECK(last < messages->starts_.size());
  if (acknowledge) {
    nlmsghdr header = read_as<nlmsghdr>(messages->bytes_.data() + messages->starts_[last]);
    header.nlmsg_flags |= NLM_F_ACK;
    ::memcpy(messages->bytes_.data() + messages->starts_[last], &header, sizeof header);
  }
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = ::sendto(fd_.get(), messages->bytes_.data(), messages->bytes_.size(), 0,
                    reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return from_errno(errno, messages->says_[0] + " (netlink)");
  return {};
}

// 0 where there is nothing and it is not to wait.
Result<size_t> NetlinkSocket::receive(bool wait) {
  for (;;) {
    sockaddr_nl from = {};
    iovec vector = {buffer_.data(), buffer_.size()};
    msghdr message = {};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    const ssize_t n = ::recvmsg(fd_.get(), &message, wait ? 0 : MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && !wait && errno == EAGAIN) return size_t{0};
    if (n < 0) return from_errno(errno, "read the kernel's answer (netlink)");
    if (from.nl_pid != 0) continue;  // not from the kernel
    if ((message.msg_flags & MSG_TRUNC) != 0) return internal_error("an answer of the kernel (netlink) is too long");
    return static_cast<size_t>(n);
  }
}

// Of NLMSG_ERROR; OK for an acknowledgement.
Status NetlinkSocket::error_of(const Messages& messages, const nlmsghdr& header, Bytes body) const {
  if (body.size() < sizeof(nlmsgerr)) return internal_error("an answer of the kernel (netlink) is too short");
  const auto error = read_as<nlmsgerr>(body.data());
  if (error.error == 0) return {};
  const uint32_t first = sequence_ - static_cast<uint32_t>(messages.count()) + 1;
  const uint32_t index = error.msg.nlmsg_seq - first;
  const std::string says = index < messages.count() ? messages.says_[index] : "speak with the kernel (netlink)";
  std::string words;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
    const size_t copied = (header.nlmsg_flags & NLM_F_CAPPED) != 0 ? 0 : error.msg.nlmsg_len - sizeof(nlmsghdr);
    for_each_attribute(behind_header(body, sizeof(nlmsgerr) + copied), [&](uint16_t type, Bytes value) {
      if (type == NLMSGERR_ATTR_MSG) words = read_text(value);
    });
  }
  Status status = from_errno(-error.error, says);
  if (words.empty()) return status;
  return std::move(status).with_detail("the kernel says: " + escape_control(words));
}

// The kernel does what is asked within sendto: its answers are all there when that returns.
Status NetlinkSocket::send(Messages* messages) {
  RUNINK_RETURN_IF_ERROR(transmit(messages, true));
  Status first;
  bool answered = false;
  for (;;) {
    const size_t size = RUNINK_TRY(receive(false));
    if (size == 0) break;
    for_each_message(Bytes(buffer_.data(), size), [&](const nlmsghdr& header, Bytes body) {
      if (header.nlmsg_type != NLMSG_ERROR) return true;
      answered = true;
      if (Status status = error_of(*messages, header, body); first.ok()) first = std::move(status);
      return true;
    });
  }
  if (first.ok() && !answered) return internal_error("{}: the kernel did not answer", messages->says_.back());
  return first;
}

Result<std::optional<std::vector<uint8_t>>> NetlinkSocket::ask(Messages* question, std::span<const int> missing) {
  RUNINK_CHECK(question->count() == 1);
  RUNINK_RETURN_IF_ERROR(transmit(question, false));
  const size_t size = RUNINK_TRY(receive(true));
  std::optional<std::vector<uint8_t>> answer;
  Status failed;
  for_each_message(Bytes(buffer_.data(), size), [&](const nlmsghdr& header, Bytes body) {
    if (header.nlmsg_seq != sequence_) return true;
    if (header.nlmsg_type != NLMSG_ERROR) {
      answer.emplace(body.begin(), body.end());
      return false;
    }
    if (body.size() >= sizeof(nlmsgerr)) {
      const int error = -read_as<nlmsgerr>(body.data()).error;
      if (std::find(missing.begin(), missing.end(), error) != missing.end()) return false;
    }
    failed = error_of(*question, header, body);
    return false;
  });
  RUNINK_RETURN_IF_ERROR(std::move(failed));
  return answer;
}

Status NetlinkSocket::dump(Messages* question, const std::function<void(const Answer&)>& take) {
  RUNINK_CHECK(question->count() == 1);
  RUNINK_RETURN_IF_ERROR(transmit(question, false));
  Status failed;
  bool done = false;
  while (!done) {
    const size_t size = RUNINK_TRY(receive(true));
    for_each_message(Bytes(buffer_.data(), size), [&](const nlmsghdr& header, Bytes body) {
      if (header.nlmsg_seq != sequence_) return true;
      if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
        if (header.nlmsg_type == NLMSG_ERROR) failed = error_of(*question, header, body);
        done = true;
        return false;
      }
      take({header.nlmsg_type, body});
      return true;
    });
  }
  return failed;
}

Result<NamespaceSockets> open_in_namespace(int network) {
  const os::Fd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "the network namespace");
  if (!own.valid()) return from_errno(errno, "open /proc/thread-self/ns/net");
  if (::setns(network, CLONE_NEWNET) != 0) return from_errno(errno, "enter the network of a slice");
  Result<NetlinkSocket> route = NetlinkSocket::open(NETLINK_ROUTE);
  Result<NetlinkSocket> netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  // A thread that stayed in the slice's network would take the next one's for the host's.
  RUNINK_CHECK(::setns(own.get(), CLONE_NEWNET) == 0);
  NamespaceSockets sockets;
  sockets.route = RUNINK_TRY(std::move(route));
  sockets.netfilter = RUNINK_TRY(std::move(netfilter));
  return sockets;
}

}  // namespace runink::network
