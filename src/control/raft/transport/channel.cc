#include "control/raft/transport/channel.h"

#include <algorithm>
#include <utility>

#include "base/little_endian.h"
#include "base/text.h"

namespace runink::raft {

namespace {

constexpr size_t kRecordBytes = 16 << 10;
constexpr size_t kPingBytes = 8;
constexpr size_t kKeepStagingBytes = 256 << 10;
// 2: a pong tells when its ping came and when it left, by the answering side's wall clock.
constexpr uint8_t kOldestProtocol = 1;
constexpr size_t kPongTimesBytes = 16;

Status refuse(std::string what) { return Status(Code::kUnauthenticated, std::move(what)); }

// A member of this cluster, and which.
Result<NodeId> member(const crypto::Identity& identity, const std::string& trust_domain) {
  if (identity.trust_domain != trust_domain)
    return refuse(fmt::format("{} is of another cluster than {}", identity.uri(), trust_domain));
  if (identity.role != crypto::Role::kBarn)
    return refuse(fmt::format("{} is not a member of the Barn", identity.uri()));
  return identity.node();
}

}  // namespace

Channel::Channel(const Environment& environment, bool dialed, ChannelKind kind, Owner* owner)
    : loop_(environment.loop),
      self_(environment.self),
      trust_domain_(environment.trust_domain),
      options_(environment.options),
      dialed_(dialed),
      kind_(kind),
      owner_(owner) {}

Channel::~Channel() { close(); }

Result<std::unique_ptr<Channel>> Channel::dial(const Environment& environment, const net::SocketAddress& where,
                                               std::shared_ptr<const net::TlsContext> context, NodeId peer,
                                               ChannelKind kind, Owner* owner) {
  std::unique_ptr<Channel> channel(new Channel(environment, true, kind, owner));
  channel->peer_ = peer;
  const auto authorize = [peer, trust_domain = environment.trust_domain](const crypto::Identity& identity) -> Status {
    const NodeId id = RUNINK_TRY(member(identity, trust_domain));
    if (id != peer) return refuse(fmt::format("node {} answers where node {} should be", id, peer));
    return {};
  };
  channel->connection_ = RUNINK_TRY(net::TlsConnection::connect(environment.loop, where, std::move(context), authorize,
                                                                channel.get(), environment.options.tls));
  return channel;
}

std::unique_ptr<Channel> Channel::accept(const Environment& environment, os::Fd socket,
                                         std::shared_ptr<const net::TlsContext> context,
                                         std::function<Status(NodeId)> admit, Owner* owner) {
  std::unique_ptr<Channel> channel(new Channel(environment, false, ChannelKind::kControl, owner));
  auto authorize = [admit = std::move(admit),
                    trust_domain = environment.trust_domain](const crypto::Identity& identity) -> Status {
    const NodeId id = RUNINK_TRY(member(identity, trust_domain));
    return admit(id);
  };
  channel->connection_ = net::TlsConnection::accept(environment.loop, std::move(socket), std::move(context),
                                                    std::move(authorize), channel.get(), environment.options.tls);
  return channel;
}

void Channel::on_open() {
  peer_ = connection_->peer()->node();
  heard_ = loop_.now();
  ping_timer_ = loop_.call_after(options_.ping_nanos, [this] { ping(); });
  if (dialed_) say_hello();
}

void Channel::say_hello() {
  encode(Hello{kOldestProtocol, options_.newest_protocol, kind_, self_, peer_}, begin(FrameType::kHello));
  end();
  flush();
}

void Channel::on_input(size_t bytes) {
  heard_ = loop_.now();
  bytes_received_ += bytes;
  reader_.add(bytes);
  Frame frame;
  while (!closed_) {
    Result<bool> found = reader_.next(&frame);
    if (found.ok() && !*found) break;
    Status taken = found.ok() ? take(frame) : std::move(found).status();
    if (taken.ok()) continue;
    protocol_error_ = true;
    return down(std::move(taken).with_context(fmt::format("from node {} at {}", peer_, connection_->peer_address())));
  }
  if (!closed_ && !pong_.empty()) send_pong();
}

Status Channel::take(const Frame& frame) {
  ++frames_received_;
  if (!ready_) return take_hello(frame);
  switch (frame.type) {
    case FrameType::kHello:
      return invalid_argument("a second hello");
    case FrameType::kPing:
      if (frame.payload.size() != kPingBytes) return invalid_argument("a ping of {} bytes", frame.payload.size());
      pong_ =
          frame.payload;  // only the newest is answered, so that pings cannot fill the queue of one who does not read
      pong_wall_ = wall_micros();
      return {};
    case FrameType::kPong:
      return take_pong(frame.payload);
    default:
      return owner_->on_frame(*this, frame);
  }
}

Status Channel::take_pong(std::string_view payload) {
  if (ping_sent_ == 0) return invalid_argument("a pong that nothing was asked for");
  if (payload.size() != kPingBytes + (protocol_ >= 2 ? kPongTimesBytes : 0))
    return invalid_argument("a pong of {} bytes", payload.size());
  const int64_t micros = (loop_.now() - std::exchange(ping_sent_, 0)) / 1000;
  rtt_micros_ = rtt_micros_ == 0 ? std::max<int64_t>(micros, 1) : rtt_micros_ + (micros - rtt_micros_) / 8;
  if (protocol_ >= 2) {
    const auto came = static_cast<int64_t>(load_little_endian<uint64_t>(payload.data() + kPingBytes));
    const auto left = static_cast<int64_t>(load_little_endian<uint64_t>(payload.data() + kPingBytes + 8));
    clock_.add({ping_wall_, came, left, wall_micros()});
  }
  return {};
}

Status Channel::take_hello(const Frame& frame) {
  if (frame.type != FrameType::kHello) return invalid_argument("something else where a hello should be");
  const Hello hello = RUNINK_TRY(decode_hello(frame.payload));
  if (hello.oldest > options_.newest_protocol)
    return failed_precondition("the peer speaks versions {} to {} of the protocol, this program {} to {}", hello.oldest,
                               hello.newest, kOldestProtocol, options_.newest_protocol);
  protocol_ = std::min(hello.newest, options_.newest_protocol);
  if (hello.from != peer_ || hello.to != self_) {
    return invalid_argument("a hello from node {} to node {} on a connection of nodes {} and {}", hello.from, hello.to,
                            peer_, self_);
  }
  if (dialed_ && hello.kind != kind_) return invalid_argument("a hello for another purpose");
  kind_ = hello.kind;
  reader_.set_max_payload(kMaxFrameBytes);
  ready_ = true;
  ready_since_ = loop_.now();
  if (!dialed_) say_hello();
  if (!closed_) owner_->on_ready(*this);
  return {};
}

void Channel::ping() {
  ping_timer_ = 0;
  if (loop_.now() - heard_ > options_.silence_nanos) {
    return down(unavailable("node {} at {} has not been heard of for {}", peer_, connection_->peer_address(),
                            human_duration(static_cast<double>(loop_.now() - heard_) / 1e9)));
  }
  if (ready_ && ping_sent_ == 0 && has_room()) {
    ping_sent_ = loop_.now();
    ping_wall_ = wall_micros();
    begin(FrameType::kPing).append(kPingBytes, '\0');
    end();
    flush();
  }
  if (!closed_) ping_timer_ = loop_.call_after(options_.ping_nanos, [this] { ping(); });
}

void Channel::send_pong() {
  if (!has_room()) return;
  std::string& out = begin(FrameType::kPong);
  out.append(pong_);
  if (protocol_ >= 2) {
    char times[kPongTimesBytes];
    store_little_endian(times, static_cast<uint64_t>(pong_wall_));
    store_little_endian(times + 8, static_cast<uint64_t>(wall_micros()));
    out.append(times, sizeof times);
  }
  end();
  pong_.clear();
  flush();
}

std::string& Channel::begin(FrameType type) {
  frame_begin_ = begin_frame(staging_, type);
  return staging_;
}

void Channel::end() {
  end_frame(staging_, frame_begin_);
  bytes_sent_ += staging_.size() - frame_begin_;
  if (staging_.size() < kRecordBytes) return;
  if (!closed_) connection_->write(staging_);
  staging_.clear();
  if (staging_.capacity() > kKeepStagingBytes) staging_.shrink_to_fit();
}

void Channel::flush() {
  if (closed_) return;
  if (!staging_.empty()) connection_->write(staging_);
  staging_.clear();
  connection_->flush();
}

void Channel::on_output_room() {
  if (!pong_.empty()) send_pong();
  if (!closed_ && ready_) owner_->on_room(*this);
}

void Channel::on_closed(const Status& why) {
  down(why.ok() ? unavailable("node {} closed the connection", peer_) : why);
}

void Channel::down(const Status& why) {
  if (closed_) return;
  close();
  owner_->on_down(*this, why);
}

void Channel::close() {
  closed_ = true;
  loop_.cancel(ping_timer_);
  ping_timer_ = 0;
  if (connection_ != nullptr) connection_->close();
}

}  // namespace runink::raft
