// The transport between members: mutual TLS 1.3, identity in the certificate, checked before any frame is parsed.
//
// Of two members the one with the lower id dials the control connection, so that there is one; the other waits. It is
// made again, whenever it is gone, after a pause that doubles from dial_pause_nanos to dial_pause_most_nanos, with
// jitter. A bulk connection is dialled by whoever wants something, and closed when nobody does.
//
// What is heavy here is TLS: about 2 GB/s a core for records of 16 KiB. What can wait does not block: sockets, look-ups
// and pauses are the loop's. See docs/internals/transport.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/raft/transport/bulk.h"
#include "control/raft/transport/channel.h"
#include "control/raft/transport/send_queue.h"
#include "control/raft/transport/transport.h"
#include "platform/net/rate_limit.h"
#include "platform/net/resolver.h"

namespace runink::raft {

// Of the listener, before anybody is known; for metrics and alarms.
struct ListenerCounters {
  uint64_t accepted = 0;    // TCP connections
  uint64_t over_limit = 0;  // closed at once: too many a second, or the oldest of too many in their handshake
  uint64_t refused = 0;     // that failed in the handshake: no certificate, not believed, not a member, too slow, …
  uint64_t strangers = 0;   // members by certificate that this one does not know as peers; also counted as refused
  uint64_t frames = 0;      // parsed of accepted connections
};

class TlsTransport final : public Transport, private Channel::Owner {
 public:
  struct Options {
    NodeId self = 0;
    std::string trust_domain;
    net::SocketAddress listen;
    Channel::Options channel;
    BulkAsker::Options bulk;
    SendQueue::Limits queue;
    int64_t empty_append_wait_nanos = 1'000'000;  // for one with entries that makes it needless; 0: none waits
    int64_t dial_pause_nanos = 20'000'000, dial_pause_most_nanos = 500'000'000;
    int64_t steady_after_nanos = 1'000'000'000;  // a connection that lasted so long lets the pauses begin anew
    size_t max_handshakes = 64;                  // at a time; one more ends the one that has taken longest
    double handshakes_per_second = 500;          // some tenth of a core
    size_t max_bulk_per_peer = 2;
  };

  // Listens at once. `loop` outlives it.
  static Result<std::unique_ptr<TlsTransport>> create(net::EventLoop& loop,
                                                      std::shared_ptr<const net::TlsContext> context,
                                                      const Options& options);
  ~TlsTransport() override;

  // A rotated certificate: for connections from now on. Those that are there stay.
  void set_context(std::shared_ptr<const net::TlsContext> context) { context_ = std::move(context); }
  const net::TlsContext& context() const { return *context_; }  // of new connections
  const net::SocketAddress& address() const { return listener_->address(); }
  const ListenerCounters& listener_counters() const { return listener_counters_; }

  void set_receiver(TransportReceiver* receiver) override { receiver_ = receiver; }
  void set_bulk_source(BulkSource* source) override { source_ = source; }
  Status add_peer(NodeId id, const std::string& address) override;
  void remove_peer(NodeId id) override;
  void send(Message message) override;
  void flush() override { pump_dirty(); }
  void fetch(NodeId from, BulkRequest request, BulkAnswer answer) override;
  std::vector<PeerStatus> peers() const override;

 private:
  struct Peer;

  TlsTransport(net::EventLoop& loop, std::shared_ptr<const net::TlsContext> context, const Options& options);

  void on_accept(os::Fd socket);
  Status admit(NodeId id);

  // Of channels in their handshake and of control channels.
  void on_ready(Channel& channel) override;
  Status on_frame(Channel& channel, const Frame& frame) override;
  void on_room(Channel& channel) override;
  void on_down(Channel& channel, const Status& why) override;

  void guest_ready(std::unique_ptr<Channel> channel);
  std::unique_ptr<Channel> take_guest(const Channel& channel);
  void end_oldest_guest();
  void adopt_control(Peer& peer, std::unique_ptr<Channel> channel);
  void adopt_bulk(Peer& peer, std::unique_ptr<Channel> channel);
  void drop_control(Peer& peer, const Status& why);
  void dial(Peer& peer);
  void dial_later(Peer& peer);
  void dialed(NodeId id, uint64_t generation, const Result<net::SocketAddress>& where);
  void dial_bulk(NodeId id, uint64_t generation);
  void hold_empty_append(Peer& peer, Message message);
  void drop_empty_append(Peer& peer);
  void enqueue(Peer& peer, Message message);
  void pump(Peer& peer);
  void pump_dirty();
  Peer* find(NodeId id);
  Channel::Environment environment() { return {loop_, options_.self, options_.trust_domain, options_.channel}; }

  net::EventLoop& loop_;
  std::shared_ptr<const net::TlsContext> context_;
  const Options options_;
  TransportReceiver* receiver_ = nullptr;
  BulkSource* source_ = nullptr;
  ListenerCounters listener_counters_;

  std::map<NodeId, std::unique_ptr<Peer>> peers_;
  uint64_t next_generation_ = 1;                  // of peers: an id may be removed and added again
  std::vector<std::unique_ptr<Channel>> guests_;  // accepted, not ready; the oldest first
  net::RateLimit handshakes_;
  std::vector<NodeId> dirty_;  // have something to send since the last pump_dirty()
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  net::Resolver resolver_;
  std::unique_ptr<net::Listener> listener_;  // the first to go
};

}  // namespace runink::raft
