// Netlink: messages to the kernel, many at once, and its answers. Linux' protocol of attributes in attributes, as
// include/uapi/linux/netlink.h and Documentation/userspace-api/netlink describe it; only what slices need.
//
// Threads: an object is used by one thread at a time.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::network {

using Bytes = std::span<const uint8_t>;

// Messages that are sent together, in this order. Each has words for what it does, which errors begin with.
class Messages {
 public:
  // `flags` besides NLM_F_REQUEST. Ends the message before.
  void begin(uint16_t type, uint16_t flags, std::string says);
  // The fixed header of the message's family, directly after begin().
  template <typename Header>
  void put_header(const Header& header) {
    append(&header, sizeof header);
  }

  void put(uint16_t type, const void* data, size_t size);
  void put(uint16_t type, Bytes data) { put(type, data.data(), data.size()); }
  void put_text(uint16_t type, std::string_view text);  // with a NUL behind it
  void put_u8(uint16_t type, uint8_t value) { put(type, &value, sizeof value); }
  void put_u16(uint16_t type, uint16_t value) { put(type, &value, sizeof value); }
  void put_u32(uint16_t type, uint32_t value) { put(type, &value, sizeof value); }
  void put_u64(uint16_t type, uint64_t value) { put(type, &value, sizeof value); }
  // Numbers in the network's order, which netfilter wants.
  void put_be16(uint16_t type, uint16_t value);
  void put_be32(uint16_t type, uint32_t value);
  void put_be64(uint16_t type, uint64_t value);
  // Attributes inside of an attribute: those put by `fill`.
  template <typename Fill>
  void nest(uint16_t type, Fill fill) {
    const size_t at = open(type | NLA_F_NESTED);
    fill();
    close(at);
  }

  bool empty() const { return says_.empty(); }
  size_t count() const { return says_.size(); }

 private:
  friend class NetlinkSocket;
  void append(const void* data, size_t size);
  size_t open(uint16_t type);
  void close(size_t at);
  void end();

  std::vector<uint8_t> bytes_;
  std::vector<size_t> starts_;
  std::vector<std::string> says_;
};

// One message of the kernel: its type and what follows the netlink header.
struct Answer {
  uint16_t type = 0;
  Bytes body;
};

class NetlinkSocket {
 public:
  // `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER. Speaks to the network namespace that the calling thread is in now.
  static Result<NetlinkSocket> open(int protocol);

  NetlinkSocket() = default;

  // Sends the messages and waits until all are done. The first that failed is the error, in its words and the kernel's.
  // Netfilter does all of a batch or nothing; others do those they can.
  Status send(Messages* messages);
  // Sends one question and gives what the kernel answers with; nullopt where it answered with ENOENT or the like
  // (`missing`).
  Result<std::optional<std::vector<uint8_t>>> ask(Messages* question, std::span<const int> missing);
  // Sends one question that is answered by many messages (NLM_F_DUMP), and gives each to `take`.
  Status dump(Messages* question, const std::function<void(const Answer&)>& take);

  // What is left of it, to be closed later.
  os::Fd take_descriptor() { return std::move(fd_); }

 private:
  Status transmit(Messages* messages, bool acknowledge);
  Result<size_t> receive(bool wait);
  Status error_of(const Messages& messages, const nlmsghdr& header, Bytes body) const;

  os::Fd fd_;
  int protocol_ = 0;
  uint32_t sequence_ = 0;  // of the last message sent
  std::vector<uint8_t> buffer_;
};

// The sockets of another network namespace, made by entering it for a moment: the calling thread is back in its own
// when this returns. `network` is a descriptor of the namespace. Takes CAP_SYS_ADMIN over both.
struct NamespaceSockets {
  NetlinkSocket route, netfilter;
};
Result<NamespaceSockets> open_in_namespace(int network);

// Walks messages and attributes of what the kernel, or somebody, sent: stops at the first that does not fit.
void for_each_message(Bytes bytes, const std::function<bool(const nlmsghdr&, Bytes body)>& take);
void for_each_attribute(Bytes bytes, const std::function<void(uint16_t type, Bytes value)>& take);
// The attributes that follow a family's fixed header of `header` bytes.
Bytes behind_header(Bytes body, size_t header);
// 0 where it is shorter.
uint32_t read_u32(Bytes value);
std::string read_text(Bytes value);  // up to its NUL

}  // namespace runink::network
