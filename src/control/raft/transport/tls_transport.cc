#include "control/raft/transport/tls_transport.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "platform/crypto/random.h"

namespace runink::raft {

struct TlsTransport::Peer {
  NodeId id = 0;
  uint64_t generation = 0;
  net::HostPort address;
  PeerCounters counters;
  SendQueue queue;
  std::unique_ptr<Channel> control;  // in its handshake, or ready
  std::unique_ptr<BulkAsker> asker;
  std::vector<std::unique_ptr<BulkAnswerer>> answerers;
  std::string last_error;
  int64_t not_after_micros = 0;
  bool looking_up = false, dirty = false;
  int64_t pause_nanos = 0;
  net::EventLoop::TimerId redial = 0;
  std::optional<Message> empty_append;  // an append without entries, that waits for one with entries to take its place
  net::EventLoop::TimerId empty_append_timer = 0;

  bool up() const { return control != nullptr && control->ready(); }
};

TlsTransport::TlsTransport(net::EventLoop& loop, std::shared_ptr<const net::TlsContext> context, const Options& options)
    : loop_(loop),
      context_(std::move(context)),
      options_(options),
      handshakes_(options.handshakes_per_second),
      resolver_(loop) {}

Result<std::unique_ptr<TlsTransport>> TlsTransport::create(net::EventLoop& loop,
                                                           std::shared_ptr<const net::TlsContext> context,
                                                           const Options& options) {
  RUNINK_CHECK(options.self != 0 && context != nullptr && context->asks_for_certificate());
  std::unique_ptr<TlsTransport> transport(new TlsTransport(loop, std::move(context), options));
  TlsTransport* const self = transport.get();
  transport->listener_ = RUNINK_TRY(net::Listener::create(
      loop, options.listen, [self](os::Fd socket, const net::SocketAddress&) { self->on_accept(std::move(socket)); }));
  return transport;
}

TlsTransport::~TlsTransport() {
  receiver_ = nullptr;
  while (!peers_.empty()) remove_peer(peers_.begin()->first);
}

TlsTransport::Peer* TlsTransport::find(NodeId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : found->second.get();
}

Status TlsTransport::add_peer(NodeId id, const std::string& address) {
  if (id == 0 || id == options_.self) return invalid_argument("node {} cannot be a peer of node {}", id, options_.self);
  net::HostPort where = RUNINK_TRY(net::parse_host_port(address));
  if (Peer* known = find(id)) {
    known->address = std::move(where);
    return {};
  }
  auto peer = std::make_unique<Peer>();
  peer->id = id;
  peer->generation = next_generation_++;
  peer->address = std::move(where);
  peer->queue = SendQueue(options_.queue);
  peer->pause_nanos = options_.dial_pause_nanos;
  peer->asker = std::make_unique<BulkAsker>(loop_, options_.bulk, &peer->counters,
                                            [this, id, generation = peer->generation] { dial_bulk(id, generation); });
  Peer& added = *peer;
  peers_.emplace(id, std::move(peer));
  dial(added);
  return {};
}

void TlsTransport::remove_peer(NodeId id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  std::unique_ptr<Peer> peer = std::move(found->second);
  peers_.erase(found);
  loop_.cancel(peer->redial);
  drop_empty_append(*peer);
  const bool was_up = peer->up();
  if (peer->control != nullptr) peer->control->close();
  for (auto& answerer : peer->answerers) answerer->close();
  peer->asker->failed(unavailable("node {} was removed", id));
  net::dispose(loop_, std::move(peer));
  if (was_up && receiver_ != nullptr) receiver_->on_peer(id, PeerState::kDown);
}

// ---- Accepting

void TlsTransport::on_accept(os::Fd socket) {
  ++listener_counters_.accepted;
  if (!handshakes_.take(loop_.now())) {
    ++listener_counters_.over_limit;
    return;
  }
  if (guests_.size() >= options_.max_handshakes) end_oldest_guest();
  guests_.push_back(Channel::accept(
      environment(), std::move(socket), context_, [this](NodeId id) { return admit(id); }, this));
}

// Those who only hold a place must not keep members out, whose handshakes take milliseconds.
void TlsTransport::end_oldest_guest() {
  ++listener_counters_.over_limit;
  guests_.front()->close();
  net::dispose(loop_, std::move(guests_.front()));
  guests_.erase(guests_.begin());
}

std::unique_ptr<Channel> TlsTransport::take_guest(const Channel& channel) {
  const auto found =
      std::find_if(guests_.begin(), guests_.end(), [&](const auto& each) { return each.get() == &channel; });
  if (found == guests_.end()) return nullptr;
  std::unique_ptr<Channel> taken = std::move(*found);
  guests_.erase(found);
  return taken;
}

Status TlsTransport::admit(NodeId id) {
  if (peers_.contains(id)) return {};
  ++listener_counters_.strangers;
  return Status(Code::kUnauthenticated, fmt::format("node {} is not a peer of node {}", id, options_.self));
}

void TlsTransport::guest_ready(std::unique_ptr<Channel> channel) {
  listener_counters_.frames += channel->frames_received();
  Peer* peer = find(channel->peer());
  // Removed since the handshake; or it dialled though it is this side's turn to: it would be two connections.
  const bool wrong_way = channel->kind() == ChannelKind::kControl && channel->peer() > options_.self;
  if (peer == nullptr || wrong_way) {
    channel->close();
    net::dispose(loop_, std::move(channel));
    return;
  }
  if (channel->kind() == ChannelKind::kBulk) return adopt_bulk(*peer, std::move(channel));
  adopt_control(*peer, std::move(channel));
}

void TlsTransport::adopt_bulk(Peer& peer, std::unique_ptr<Channel> channel) {
  if (peer.answerers.size() >= options_.max_bulk_per_peer) {
    // The oldest is more likely to be a dead one than the newest.
    peer.answerers.front()->close();
    net::dispose(loop_, std::move(peer.answerers.front()));
    peer.answerers.erase(peer.answerers.begin());
  }
  auto slot = std::make_shared<BulkAnswerer*>(nullptr);
  auto answerer = std::make_unique<BulkAnswerer>(
      loop_, std::move(channel), &peer.counters, [this] { return source_; },
      [this, slot, id = peer.id, generation = peer.generation](const Status&) {
        Peer* owner = find(id);
        if (owner == nullptr || owner->generation != generation) return;
        const auto found = std::find_if(owner->answerers.begin(), owner->answerers.end(),
                                        [&](const auto& each) { return each.get() == *slot; });
        if (found == owner->answerers.end()) return;
        net::dispose(loop_, std::move(*found));
        owner->answerers.erase(found);
      });
  *slot = answerer.get();
  peer.answerers.push_back(std::move(answerer));
}

void TlsTransport::adopt_control(Peer& peer, std::unique_ptr<Channel> channel) {
  const bool was_up = peer.up();
  if (peer.control != nullptr && peer.control != channel) {
    // The peer has begun anew: it knows of the old one's end, which has not been heard of here.
    peer.control->close();
    net::dispose(loop_, std::move(peer.control));
    if (was_up) ++peer.counters.disconnects;
  }
  peer.control = std::move(channel);
  peer.queue.clear();
  peer.last_error.clear();
  peer.not_after_micros = peer.control->peer_not_after_micros();
  ++peer.counters.connects;
  if (!was_up && receiver_ != nullptr) receiver_->on_peer(peer.id, PeerState::kUp);
}

// ---- Dialling

void TlsTransport::dial(Peer& peer) {
  if (options_.self > peer.id || peer.control != nullptr || peer.looking_up || peer.redial != 0) return;
  peer.looking_up = true;
  resolver_.look_up(peer.address, [this, id = peer.id, generation = peer.generation](Result<net::SocketAddress> where) {
    dialed(id, generation, where);
  });
}

void TlsTransport::dialed(NodeId id, uint64_t generation, const Result<net::SocketAddress>& where) {
  Peer* peer = find(id);
  if (peer == nullptr || peer->generation != generation) return;
  peer->looking_up = false;
  Result<std::unique_ptr<Channel>> channel =
      where.ok() ? Channel::dial(environment(), *where, context_, id, ChannelKind::kControl, this) : where.status();
  if (channel.ok()) {
    peer->control = std::move(*channel);
    return;
  }
  peer->last_error = channel.status().to_string();
  ++peer->counters.connect_failures;
  dial_later(*peer);
}

void TlsTransport::dial_later(Peer& peer) {
  if (options_.self > peer.id || peer.redial != 0) return;
  // Somewhere in the upper half of the pause, so that members that lost each other at one moment do not meet at one
  // moment.
  const int64_t half = peer.pause_nanos / 2;
  const int64_t pause = half + static_cast<int64_t>(crypto::random_u64() % static_cast<uint64_t>(half + 1));
  peer.pause_nanos = std::min(peer.pause_nanos * 2, options_.dial_pause_most_nanos);
  peer.redial = loop_.call_after(pause, [this, id = peer.id] {
    Peer* again = find(id);
    if (again == nullptr) return;
    again->redial = 0;
    dial(*again);
  });
}

void TlsTransport::dial_bulk(NodeId id, uint64_t generation) {
  Peer* peer = find(id);
  if (peer == nullptr) return;
  resolver_.look_up(peer->address, [this, id, generation](Result<net::SocketAddress> where) {
    Peer* found = find(id);
    if (found == nullptr || found->generation != generation) return;
    Result<std::unique_ptr<Channel>> channel =
        where.ok() ? Channel::dial(environment(), *where, context_, id, ChannelKind::kBulk, found->asker->owner())
                   : where.status();
    if (channel.ok()) return found->asker->connected(std::move(*channel));
    found->asker->failed(Status(Code::kUnavailable, channel.status().to_string()));
  });
}

// ---- Channels

void TlsTransport::on_ready(Channel& channel) {
  if (std::unique_ptr<Channel> guest = take_guest(channel)) return guest_ready(std::move(guest));
  Peer* peer = find(channel.peer());
  RUNINK_CHECK(peer != nullptr && peer->control.get() == &channel);
  peer->queue.clear();
  peer->last_error.clear();
  peer->not_after_micros = channel.peer_not_after_micros();
  ++peer->counters.connects;
  if (receiver_ != nullptr) receiver_->on_peer(peer->id, PeerState::kUp);
}

Status TlsTransport::on_frame(Channel& channel, const Frame& frame) {
  Peer* peer = find(channel.peer());
  RUNINK_CHECK(peer != nullptr);
  if (!channel.dialed()) ++listener_counters_.frames;
  peer->counters.bytes_received += frame.payload.size() + kFrameHeaderBytes;
  if (frame.type != FrameType::kMessage) return invalid_argument("something else where messages should be");
  Message message = RUNINK_TRY(decode_message(frame.payload));
  if (message.from != peer->id || message.to != options_.self) {
    return invalid_argument("a message from node {} to node {} on the connection of nodes {} and {}", message.from,
                            message.to, peer->id, options_.self);
  }
  ++peer->counters.messages_received;
  if (receiver_ != nullptr) receiver_->on_message(std::move(message));
  return {};
}

void TlsTransport::on_room(Channel& channel) {
  if (Peer* peer = find(channel.peer())) pump(*peer);
}

void TlsTransport::on_down(Channel& channel, const Status& why) {
  if (std::unique_ptr<Channel> guest = take_guest(channel)) {
    ++listener_counters_.refused;
    listener_counters_.frames += channel.frames_received();
    net::dispose(loop_, std::move(guest));
    return;
  }
  Peer* peer = find(channel.peer());
  if (peer != nullptr && peer->control.get() == &channel) drop_control(*peer, why);
}

void TlsTransport::drop_control(Peer& peer, const Status& why) {
  const bool was_up = peer.up();
  if (was_up && loop_.now() - peer.control->ready_since() >= options_.steady_after_nanos)
    peer.pause_nanos = options_.dial_pause_nanos;
  if (peer.control->protocol_error()) ++peer.counters.protocol_errors;
  ++(was_up ? peer.counters.disconnects : peer.counters.connect_failures);
  peer.last_error = why.to_string();
  net::dispose(loop_, std::move(peer.control));
  peer.queue.clear();
  drop_empty_append(peer);
  dial_later(peer);
  if (was_up && receiver_ != nullptr) receiver_->on_peer(peer.id, PeerState::kDown);
}

// ---- Sending

void TlsTransport::send(Message message) {
  Peer* peer = find(message.to);
  if (peer == nullptr) return;
  if (!peer->up()) {
    ++peer->counters.dropped_down;
    return;
  }
  if (!fits(message)) {
    ++peer->counters.dropped_large;
    return;
  }
  if (message.kind == MessageKind::kAppend) {
    if (peer->empty_append) ++peer->counters.superseded;
    if (message.entries.empty() && options_.empty_append_wait_nanos > 0)
      return hold_empty_append(*peer, std::move(message));
    drop_empty_append(*peer);
  }
  enqueue(*peer, std::move(message));
}

// It tells how far is committed, as the next append with entries will; for a single caller that follows at once, and
// each message costs both sides a wake-up.
void TlsTransport::hold_empty_append(Peer& peer, Message message) {
  peer.empty_append = std::move(message);
  if (peer.empty_append_timer != 0) return;
  peer.empty_append_timer = loop_.call_after(options_.empty_append_wait_nanos, [this, &peer] {
    peer.empty_append_timer = 0;
    enqueue(peer, *std::exchange(peer.empty_append, std::nullopt));
  });
}

void TlsTransport::drop_empty_append(Peer& peer) {
  peer.empty_append.reset();
  loop_.cancel(std::exchange(peer.empty_append_timer, 0));
}

void TlsTransport::enqueue(Peer& peer, Message message) {
  switch (peer.queue.push(std::move(message))) {
    case SendQueue::Pushed::kFull:
      ++peer.counters.dropped_full;
      return;
    case SendQueue::Pushed::kSuperseded:
      ++peer.counters.superseded;
      return;
    case SendQueue::Pushed::kQueued:
      break;
  }
  if (peer.dirty) return;
  peer.dirty = true;
  // At the turn's end, so that all that a turn has to say goes out together.
  if (dirty_.empty()) {
    loop_.defer([this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) pump_dirty();
    });
  }
  dirty_.push_back(peer.id);
}

void TlsTransport::pump_dirty() {
  const std::vector<NodeId> dirty = std::exchange(dirty_, {});
  for (NodeId id : dirty) {
    Peer* peer = find(id);
    if (peer == nullptr) continue;
    peer->dirty = false;
    pump(*peer);
  }
}

void TlsTransport::pump(Peer& peer) {
  Message message;
  while (peer.up() && peer.control->has_room() && !peer.queue.empty()) {
    const uint64_t before = peer.control->bytes_sent();
    while (peer.control->has_room() && peer.queue.pop(&message)) {
      encode(message, peer.control->begin(FrameType::kMessage));
      peer.control->end();
      ++peer.counters.messages_sent;
    }
    peer.counters.bytes_sent += peer.control->bytes_sent() - before;
    peer.control->flush();  // may find that the connection is gone
  }
}

void TlsTransport::fetch(NodeId from, BulkRequest request, BulkAnswer answer) {
  if (Peer* peer = find(from)) return peer->asker->fetch(std::move(request), std::move(answer));
  loop_.defer([answer = std::move(answer), from] { answer(not_found("node {} is not a peer", from)); });
}

std::vector<PeerStatus> TlsTransport::peers() const {
  std::vector<PeerStatus> out;
  for (const auto& [id, peer] : peers_) {
    PeerStatus status;
    status.id = id;
    status.address = peer->address.text();
    status.state = peer->up() ? PeerState::kUp : PeerState::kDown;
    status.rtt_micros = peer->up() ? peer->control->rtt_micros() : 0;
    if (peer->up()) status.clock = peer->control->clock();
    status.queued_messages = peer->queue.messages();
    status.queued_bytes = peer->queue.bytes() + (peer->up() ? peer->control->unsent_bytes() : 0);
    status.certificate_not_after_micros = peer->not_after_micros;
    status.last_error = peer->last_error;
    status.counters = peer->counters;
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace runink::raft
