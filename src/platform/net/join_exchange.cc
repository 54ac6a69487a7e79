#include "platform/net/join_exchange.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/text.h"
#include "platform/crypto/digest.h"
#include "platform/net/bytes.h"
#include "platform/net/rate_limit.h"
#include "platform/net/tls_connection.h"

namespace runink::net {

namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kHeaderBytes = 5;  // length in four bytes, version in one
constexpr size_t kMaxRefusalBytes = 512, kMaxTokenIdBytes = 64, kMaxProofBytes = 64;

uint32_t length_of(const char* header) {
  uint32_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(header[i]);
  return length;
}

std::string message_of(std::string_view content) {
  std::string out;
  for (unsigned shift = 0; shift < 32; shift += 8) put_byte(out, static_cast<uint8_t>(content.size() >> shift));
  put_byte(out, kVersion);
  return out.append(content);
}

// Collects the one message that either side sends.
class OneMessage {
 public:
  std::span<char> room() { return std::span(bytes_).subspan(size_); }
  // kInvalidArgument as soon as the message cannot be one.
  Status add(size_t count) {
    size_ += count;
    if (size_ < kHeaderBytes) return {};
    if (bytes_[4] != kVersion)
      return invalid_argument("version {} of the join exchange is not known here", static_cast<uint8_t>(bytes_[4]));
    const uint32_t length = length_of(bytes_.data());
    if (length > kMaxJoinBytes)
      return invalid_argument("a join message of {} bytes: {} are the most", length, kMaxJoinBytes);
    if (size_ > kHeaderBytes + length) return invalid_argument("bytes behind a join message");
    return {};
  }
  bool complete() const { return size_ >= kHeaderBytes && size_ == kHeaderBytes + length_of(bytes_.data()); }
  std::string_view content() const { return {bytes_.data() + kHeaderBytes, size_ - kHeaderBytes}; }

 private:
  // One byte more than the largest message, so that there always is room.
  std::array<char, kHeaderBytes + kMaxJoinBytes + 1> bytes_;
  size_t size_ = 0;
};

std::string encode_request(std::string_view token_id, std::string_view proof, std::string_view request_pem,
                           std::string_view information) {
  std::string out;
  put_bytes(out, token_id);
  put_bytes(out, proof);
  put_bytes(out, request_pem);
  put_bytes(out, information);
  return out;
}

bool decode_request(std::string_view content, JoinRequest* out) {
  ByteReader reader(content);
  out->token_id = reader.bytes(kMaxTokenIdBytes);
  out->proof = reader.bytes(kMaxProofBytes);
  out->request_pem = reader.bytes(kMaxJoinBytes);
  out->information = reader.bytes(kMaxJoinInformationBytes);
  return reader.at_end();
}

std::string encode_answer(const Result<JoinGrant>& answer) {
  std::string out;
  if (answer.ok()) {
    put_byte(out, 0);
    put_bytes(out, answer->certificate_pem);
    put_bytes(out, answer->authorities_pem);
    put_bytes(out, answer->information);
    if (out.size() <= kMaxJoinBytes && answer->information.size() <= kMaxJoinInformationBytes) return out;
    return encode_answer(internal_error("the answer to a join request does not fit into {} bytes", kMaxJoinBytes));
  }
  const Status& refusal = answer.status();
  put_byte(out, static_cast<uint8_t>(refusal.code()));
  put_bytes(out, std::string_view(refusal.message()).substr(0, kMaxRefusalBytes));
  put_bytes(out, std::string_view(refusal.kind()).substr(0, kMaxRefusalBytes));
  put_bytes(out, refusal.details().empty() ? std::string_view()
                                           : std::string_view(refusal.details()[0]).substr(0, kMaxRefusalBytes));
  return out;
}

Result<JoinGrant> decode_answer(std::string_view content) {
  ByteReader reader(content);
  const uint8_t code = reader.byte();
  if (code == 0) {
    JoinGrant grant;
    grant.certificate_pem = reader.bytes(kMaxJoinBytes);
    grant.authorities_pem = reader.bytes(kMaxJoinBytes);
    grant.information = reader.bytes(kMaxJoinInformationBytes);
    if (reader.at_end()) return grant;
  } else if (code <= static_cast<uint8_t>(Code::kUnauthenticated)) {
    const std::string message(reader.bytes(kMaxRefusalBytes)), kind(reader.bytes(kMaxRefusalBytes)),
        detail(reader.bytes(kMaxRefusalBytes));
    if (reader.at_end()) {
      Status refusal = Status(static_cast<Code>(code), escape_control(message))
                           .with_kind(escape_control(kind))
                           .with_context("the member refused to let this node in");
      return detail.empty() ? std::move(refusal) : std::move(refusal).with_detail(escape_control(detail));
    }
  }
  return data_loss("the member's answer cannot be read");
}

}  // namespace

bool JoinRequest::proves(std::string_view key) const {
  return crypto::equal_constant_time(proof, join_proof(key, token_id, request_pem, channel_binding));
}

struct JoinListener::State : std::enable_shared_from_this<JoinListener::State> {
  State(EventLoop& l, std::shared_ptr<const TlsContext> c, Decide d, const Options& o)
      : loop(l), context(std::move(c)), decide(std::move(d)), options(o), rate(o.connections_per_second) {}

  EventLoop& loop;
  std::shared_ptr<const TlsContext> context;
  Decide decide;
  Options options;
  RateLimit rate;
  JoinCounters counters;
  std::unique_ptr<Listener> listener;
  std::map<uint64_t, std::unique_ptr<Guest>> guests;
  uint64_t next_guest = 1;

  void on_accept(os::Fd socket);
  bool make_room();
  void answered(uint64_t guest, const Result<JoinGrant>& answer);
};

// Somebody who has connected and shown nothing yet.
class JoinListener::Guest final : private TlsConnection::Handler {
 public:
  Guest(State& state, uint64_t id, os::Fd socket) : state_(state), id_(id) {
    TlsConnection::Options options;
    options.handshake_nanos = state.options.step_nanos;
    connection_ = TlsConnection::accept(state.loop, std::move(socket), state.context, nullptr, this, options);
  }
  ~Guest() { state_.loop.cancel(timer_); }

  void answer(const Result<JoinGrant>& answer) {
    if (!waiting_) return;
    waiting_ = false;
    ++(answer.ok() ? state_.counters.granted : state_.counters.refused);
    say(answer);
  }

  bool waiting() const { return waiting_; }
  void push_out() {
    connection_->close();
    leave();
  }

 private:
  void on_open() override { limit(state_.options.step_nanos); }
  std::span<char> input_room() override { return message_.room(); }
  void on_output_room() override {}

  void on_input(size_t bytes) override {
    const Status added = asked_ ? invalid_argument("bytes behind a join message") : message_.add(bytes);
    if (!added.ok()) return malformed(added);
    if (!message_.complete()) return;
    asked_ = true;
    JoinRequest request;
    if (!decode_request(message_.content(), &request))
      return malformed(invalid_argument("the join request cannot be read"));
    request.channel_binding = connection_->channel_binding();
    waiting_ = true;
    limit(state_.options.decide_nanos);
    state_.decide(std::move(request),
                  [weak = state_.weak_from_this(), loop = &state_.loop, id = id_](Result<JoinGrant> answer) {
                    if (weak.expired()) return;
                    loop->post([weak, id, answer = std::move(answer)] {
                      if (const std::shared_ptr<State> state = weak.lock()) state->answered(id, answer);
                    });
                  });
  }

  void on_closed(const Status& why) override {
    if (why.code() == Code::kDeadlineExceeded) ++state_.counters.timed_out;
    leave();
  }

  void malformed(const Status& why) {
    waiting_ = false;
    ++state_.counters.malformed;
    say(why);
  }

  void say(const Result<JoinGrant>& answer) {
    state_.loop.cancel(timer_);
    timer_ = 0;
    connection_->write(message_of(encode_answer(answer)));
    connection_->finish();
  }

  void limit(int64_t nanos) {
    state_.loop.cancel(timer_);
    timer_ = state_.loop.call_after(nanos, [this] {
      ++state_.counters.timed_out;
      connection_->close();
      leave();
    });
  }

  void leave() {
    const auto self = state_.guests.find(id_);
    RUNINK_CHECK(self != state_.guests.end());
    std::unique_ptr<Guest> kept = std::move(self->second);
    state_.guests.erase(self);
    dispose(state_.loop, std::move(kept));
  }

  State& state_;
  const uint64_t id_;
  std::unique_ptr<TlsConnection> connection_;
  OneMessage message_;
  bool asked_ = false, waiting_ = false;
  EventLoop::TimerId timer_ = 0;
};

void JoinListener::State::on_accept(os::Fd socket) {
  ++counters.connections;
  if (!rate.take(loop.now()) || (guests.size() >= options.max_connections && !make_room())) {
    ++counters.over_limit;
    return;
  }
  const uint64_t id = next_guest++;
  guests.emplace(id, std::make_unique<Guest>(*this, id, std::move(socket)));
}

// The oldest goes: silent, half a request, or an answer that it does not take. One that has shown its request stays, as
// the log may hold the decision already.
bool JoinListener::State::make_room() {
  const auto oldest = std::find_if(guests.begin(), guests.end(), [](const auto& each) {
    return !each.second->waiting();  // ids grow with time
  });
  if (oldest == guests.end()) return false;
  ++counters.over_limit;
  oldest->second->push_out();
  return true;
}

void JoinListener::State::answered(uint64_t guest, const Result<JoinGrant>& answer) {
  const auto found = guests.find(guest);
  if (found != guests.end()) found->second->answer(answer);
}

Result<std::unique_ptr<JoinListener>> JoinListener::create(EventLoop& loop, const SocketAddress& where,
                                                           std::shared_ptr<const TlsContext> context, Decide decide,
                                                           const Options& options) {
  auto state = std::make_shared<State>(loop, std::move(context), std::move(decide), options);
  State* const raw = state.get();
  state->listener = RUNINK_TRY(
      Listener::create(loop, where, [raw](os::Fd socket, const SocketAddress&) { raw->on_accept(std::move(socket)); }));
  return std::unique_ptr<JoinListener>(new JoinListener(std::move(state)));
}

JoinListener::~JoinListener() {
  state_->listener.reset();
  state_->guests.clear();
}

void JoinListener::set_context(std::shared_ptr<const TlsContext> context) { state_->context = std::move(context); }
const SocketAddress& JoinListener::address() const { return state_->listener->address(); }
const JoinCounters& JoinListener::counters() const { return state_->counters; }
size_t JoinListener::connections() const { return state_->guests.size(); }

namespace {

constexpr char kHintNotAsked[] =
    "is the token's address that where a member listens for new nodes, and reached from here? Connections are also "
    "closed where too many ask at once. Try again: the token has not been shown, and is as good as before";
constexpr char kHintAsked[] =
    "the token may have been used: 'runi barn members' says for which members tokens are good. Try again while it is, "
    "else make another with 'runi barn add'";

class Asker final : public TlsConnection::Handler {
 public:
  Asker(const JoinToken& token, std::string request_pem, std::string_view information)
      : token_(token), request_pem_(std::move(request_pem)), information_(information) {}

  Result<JoinGrant> ask(const SocketAddress& where, std::shared_ptr<const TlsContext> context,
                        const JoinOptions& limits) {
    const std::unique_ptr<EventLoop> loop = RUNINK_TRY(EventLoop::create());
    TlsConnection::Options options;
    options.connect_nanos = options.handshake_nanos = limits.step_nanos;
    const auto only_members = [](const crypto::Identity& identity) {
      if (identity.role == crypto::Role::kBarn) return Status();
      return Status(Code::kUnauthenticated, fmt::format("{} is no member", identity.uri()));
    };
    connection_ = RUNINK_TRY(TlsConnection::connect(*loop, where, std::move(context), only_members, this, options));
    loop->call_after(limits.step_nanos + limits.answer_nanos, [this] {
      outcome_ = deadline_exceeded("the member has not answered; whether it has let this node in is not known");
    });
    while (!outcome_.has_value()) loop->turn(INT64_MAX);
    connection_.reset();
    return std::move(*outcome_);
  }

 private:
  void on_open() override {
    asked_ = true;
    const std::string proof =
        join_proof(join_key(token_.secret), token_.id, request_pem_, connection_->channel_binding());
    connection_->write(message_of(encode_request(token_.id, proof, request_pem_, information_)));
    connection_->flush();
  }
  std::span<char> input_room() override { return message_.room(); }
  void on_output_room() override {}
  void on_input(size_t bytes) override {
    Status added = message_.add(bytes);
    if (added.ok() && !message_.complete()) return;
    outcome_ = added.ok() ? decode_answer(message_.content()) : Result<JoinGrant>(std::move(added));
    connection_->close();
  }
  void on_closed(const Status& why) override {
    outcome_ = broken_off(why.ok() ? unavailable("the member closed the connection without an answer") : why);
  }

  // Whichever way the connection was lost: try again. (A reset is an aborted operation elsewhere.)
  Status broken_off(const Status& why) const {
    if (why.code() == Code::kUnauthenticated) return why;
    const Code code = why.code() == Code::kAborted ? Code::kUnavailable : why.code();
    return Status(code, why.to_string()).with_hint(asked_ ? kHintAsked : kHintNotAsked);
  }

  const JoinToken& token_;
  const std::string request_pem_;
  const std::string_view information_;
  std::unique_ptr<TlsConnection> connection_;
  OneMessage message_;
  bool asked_ = false;  // the token has been shown
  std::optional<Result<JoinGrant>> outcome_;
};

}  // namespace

Result<Joined> join_cluster(const JoinToken& token, const crypto::PrivateKey& key, const crypto::Identity& identity,
                            std::string_view information, int64_t now_micros, const JoinOptions& options) {
  if (information.size() > kMaxJoinInformationBytes)
    return invalid_argument("{} bytes of information in a join request: {} are the most", information.size(),
                            kMaxJoinInformationBytes);
  const auto context = RUNINK_TRY(TlsContext::join_client(token.fingerprint));
  const SocketAddress where = RUNINK_TRY(resolve_now(RUNINK_TRY(parse_host_port(token.address))));
  const crypto::CertificateRequest request = RUNINK_TRY(crypto::CertificateRequest::create(key, identity));
  Asker asker(token, request.to_pem(), information);
  const JoinGrant grant = RUNINK_TRY_CONTEXT(asker.ask(where, context, options), "join at " + token.address);

  Joined out{{key, RUNINK_TRY(crypto::Certificate::from_pem(grant.certificate_pem)),
              RUNINK_TRY(crypto::Certificate::all_from_pem(grant.authorities_pem))},
             grant.information};
  const auto& authorities = out.credentials.authorities;
  const bool pinned = std::any_of(authorities.begin(), authorities.end(), [&](const crypto::Certificate& each) {
    return each.fingerprint() == token.fingerprint;
  });
  const crypto::Identity given =
      RUNINK_TRY(crypto::verify_certificate(out.credentials.certificate, authorities, now_micros));
  if (!pinned || !(given == identity) || !out.credentials.certificate.belongs_to(key)) {
    return data_loss("the member at {} answered with a certificate that was not asked for", token.address);
  }
  return out;
}

}  // namespace runink::net
