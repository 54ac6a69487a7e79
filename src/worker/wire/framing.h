// One message of the sockets between processes of a node (the launcher's, the agent's, that of process 1 of a slice): a
// packet of a Unix SOCK_SEQPACKET socket, which the kernel keeps whole, with descriptors beside it.
//
//   magic "RNL1" | u16 type | u16 flags | u64 subject | u32 body bytes | u32 descriptors    24 bytes, little-endian
//   body, here or (kBodyInMemory) in a sealed memfd, which is then the last descriptor
//
// Everything from a peer is bounded and checked: a packet that was cut, a body whose size is not the one it was sent
// with, a memfd that could still change, more descriptors than announced are kDataLoss, and the connection is useless
// from then on. Bodies may hold secrets: a Message wipes its own when it ends.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::wire {

inline constexpr size_t kMostPacketBody = 32u << 10;  // a larger body travels in memory
inline constexpr size_t kMostBody = 64u << 20;
inline constexpr size_t kMostDescriptors = 250;        // the kernel takes 253
inline constexpr size_t kMostQueuedBytes = 64u << 20;  // for a peer that does not read
inline constexpr size_t kMostQueuedMessages = 100'000;

struct Message {
  Message() = default;
  Message(Message&&) noexcept = default;
  Message& operator=(Message&& other) noexcept;
  ~Message();

  uint16_t type = 0;
  uint64_t subject = 0;  // what it is about: a slice, or a request
  std::string body;
  std::vector<os::Fd> descriptors;  // close-on-exec
};

// One end of a connection. Never blocks: what the peer does not take is queued, up to a bound. One thread at a time.
class Channel {
 public:
  // A connected pair; both ends close-on-exec.
  static Result<std::pair<Channel, Channel>> make_pair();

  Channel() = default;
  explicit Channel(os::Fd socket);  // a connected SOCK_SEQPACKET socket, which becomes non-blocking

  bool valid() const { return socket_.valid(); }
  int descriptor() const { return socket_.get(); }  // for poll: readable, and writable where wants_to_write()
  void close();
  os::Fd release();  // the socket; what is queued is lost

  // Queues what cannot be sent at once; descriptors are duplicated for that. kUnavailable once the peer has gone,
  // kResourceExhausted when more would be queued than allowed, kInvalidArgument for a message that is too large.
  Status send(uint16_t type, uint64_t subject, std::string_view body, std::span<const int> descriptors = {});
  bool wants_to_write() const { return !queue_.empty(); }
  size_t queued() const { return queue_.size(); }
  Status flush();

  // nullopt: nothing there now. kUnavailable: the peer has gone, and everything it sent was received. kDataLoss: see
  // above.
  Result<std::optional<Message>> receive();
  // The same into `*message`, in memory that it has already where there is enough; false: nothing there now. On a
  // socket that was made blocking since, and only there, Wait::kInKernel waits for it: one call of the kernel, where
  // time counts.
  enum class Wait { kNot, kInKernel };
  Result<bool> receive_into(Message* message, Wait wait = Wait::kNot);
  // Waits at most timeout_micros (-1: for ever) for something to receive, and flushes meanwhile.
  Result<std::optional<Message>> receive_within(int64_t timeout_micros);

 private:
  struct Queued {
    std::string packet;
    std::vector<os::Fd> descriptors;
  };
  // False: the peer's buffer is full.
  Result<bool> send_now(std::string_view packet, std::span<const int> descriptors) const;

  os::Fd socket_;
  std::deque<Queued> queue_;
  size_t queued_bytes_ = 0;
};

struct Peer {
  pid_t pid = 0;
  uid_t user = 0;
  gid_t group = 0;
};
// Who made the other end of the connection, as the kernel says.
Result<Peer> peer_of(int socket);

// A listening SOCK_SEQPACKET socket at a path (close-on-exec, non-blocking, mode 0600 from its beginning on). A socket
// file there that nobody listens at is removed first; kAlreadyExists where somebody does.
Result<os::Fd> listen_at(const std::string& path);
// nullopt: nobody waits.
Result<std::optional<os::Fd>> accept_from(const os::Fd& listener);
// kNotFound: no socket there; kUnavailable: nobody listens at it.
Result<os::Fd> connect_to(const std::string& path);

}  // namespace runink::wire
