// One connection between two members: TLS, frames, the hello at its beginning, and the pings by which either side
// notices that the other is gone without a word. A transport owns it and gives it a purpose.
//
// Threads: the loop's. Within a callback the owner may close() it, and must dispose of it later (net/event_loop.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "control/raft/transport/clock_filter.h"
#include "control/raft/transport/codec.h"
#include "platform/net/tls_connection.h"

namespace runink::raft {

class Channel final : private net::TlsConnection::Handler {
 public:
  class Owner {
   public:
    virtual void on_ready(Channel& channel) = 0;  // both have said hello; peer() and kind() are known
    // Anything but OK closes the channel: the peer has sent what it must not.
    virtual Status on_frame(Channel& channel, const Frame& frame) = 0;
    virtual void on_room(Channel& channel) = 0;
    virtual void on_down(Channel& channel, const Status& why) = 0;  // never because of close()

   protected:
    ~Owner() = default;
  };

  struct Options {
    net::TlsConnection::Options tls;
    int64_t ping_nanos = 500'000'000;
    int64_t silence_nanos = 3'000'000'000;  // nothing heard for so long: the peer is gone
    const Clock* wall = nullptr;            // whose wall time is told to the peer; null: the machine's
    uint8_t newest_protocol = 2;            // that is spoken; less for tests of what an older program does
  };

  struct Environment {
    net::EventLoop& loop;
    NodeId self;
    std::string trust_domain;
    const Options& options;
  };

  static Result<std::unique_ptr<Channel>> dial(const Environment& environment, const net::SocketAddress& where,
                                               std::shared_ptr<const net::TlsContext> context, NodeId peer,
                                               ChannelKind kind, Owner* owner);
  // `admit` says whether this member may come in.
  static std::unique_ptr<Channel> accept(const Environment& environment, os::Fd socket,
                                         std::shared_ptr<const net::TlsContext> context,
                                         std::function<Status(NodeId)> admit, Owner* owner);
  ~Channel();

  bool ready() const { return ready_; }
  bool dialed() const { return dialed_; }
  NodeId peer() const { return peer_; }  // 0 until proven, of an accepted one
  ChannelKind kind() const { return kind_; }
  int64_t rtt_micros() const { return rtt_micros_; }
  std::optional<PeerStatus::ClockOffset> clock() const { return clock_.offset(); }
  int64_t peer_not_after_micros() const { return connection_->peer_not_after_micros(); }
  int64_t ready_since() const { return ready_since_; }  // steady nanoseconds
  bool protocol_error() const { return protocol_error_; }
  uint64_t bytes_sent() const { return bytes_sent_; }  // of frames
  uint64_t bytes_received() const { return bytes_received_; }
  uint64_t frames_received() const { return frames_received_; }

  // Whose it is from now on; between callbacks or in on_ready.
  void set_owner(Owner* owner) { owner_ = owner; }

  // Once ready. A frame is begun, its payload appended to what is returned, and ended; small ones share a TLS record.
  std::string& begin(FrameType type);
  void end();
  void flush();
  bool has_room() const { return connection_->has_room() && staging_.size() < (16u << 10); }
  size_t unsent_bytes() const { return connection_->unsent_bytes() + staging_.size(); }

  void close();

 private:
  Channel(const Environment& environment, bool dialed, ChannelKind kind, Owner* owner);

  void on_open() override;
  std::span<char> input_room() override { return reader_.room(); }
  void on_input(size_t bytes) override;
  void on_output_room() override;
  void on_closed(const Status& why) override;

  Status take(const Frame& frame);
  Status take_hello(const Frame& frame);
  Status take_pong(std::string_view payload);
  int64_t wall_micros() const { return (options_.wall == nullptr ? system_clock() : *options_.wall).unix_micros(); }
  void say_hello();
  void send_pong();
  void ping();
  void down(const Status& why);

  net::EventLoop& loop_;
  const NodeId self_;
  const std::string trust_domain_;
  const Options options_;
  const bool dialed_;
  ChannelKind kind_;
  NodeId peer_ = 0;
  Owner* owner_;
  std::unique_ptr<net::TlsConnection> connection_;
  FrameReader reader_{kMaxHelloBytes};
  bool ready_ = false, closed_ = false, protocol_error_ = false;
  int64_t ready_since_ = 0, heard_ = 0, rtt_micros_ = 0;
  net::EventLoop::TimerId ping_timer_ = 0;
  int64_t ping_sent_ = 0;       // 0: none is on its way
  int64_t ping_wall_ = 0;       // when it was sent, by the wall clock
  std::string pong_;            // owed
  int64_t pong_wall_ = 0;       // when its ping came
  uint8_t protocol_ = 1;        // spoken by both
  ClockFilter clock_;
  std::string staging_;    // frames not yet encrypted
  size_t frame_begin_ = 0;
  uint64_t bytes_sent_ = 0, bytes_received_ = 0, frames_received_ = 0;
};

}  // namespace runink::raft
