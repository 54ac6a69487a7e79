#include "client/sdk/chunk_transfer.h"

#include <algorithm>

#include "base/clock.h"
#include "client/sdk/failure.h"

namespace runink::sdk {
namespace {

// The client ends a transfer itself; gRPC's deadline is for the member, which may look at it.
constexpr int64_t kAfterDeadlineNanos = 1'000'000'000;
constexpr int64_t kFirstPauseNanos = 10'000'000, kLongestPauseNanos = 320'000'000;

// Any member gives chunks: each transfer begins with another one, so that they share the work.
std::vector<std::string> shuffled(std::vector<std::string> endpoints, uint64_t random) {
  const auto first = static_cast<std::ptrdiff_t>(random % endpoints.size());
  std::rotate(endpoints.begin(), endpoints.begin() + first, endpoints.end());
  return endpoints;
}

// What another member would say, too.
bool is_final(const Status& status) {
  switch (status.code()) {
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kFailedPrecondition:
      return true;
    default:
      return false;
  }
}

}  // namespace

ChunkTransfer::ChunkTransfer(Context& context, ChunkWork work)
    : context_(context),
      work_(std::move(work)),
      endpoints_(shuffled(context.options->endpoints, context.random()), context.random) {
  endpoints_.learn(context.members);
  deadline_timer_ = context_.loop->call_at(work_.deadline_nanos, [this] {
    deadline_timer_ = 0;
    finish(unanswered());
  });
}

ChunkTransfer::~ChunkTransfer() {
  leave();
  context_.loop->cancel(deadline_timer_);
  context_.loop->cancel(pause_timer_);
}

void ChunkTransfer::start(const std::string& leader) {
  started_ = true;
  if (puts()) endpoints_.hint(leader);
  connect();
}

void ChunkTransfer::stop() {
  finish(cancelled("the client was destroyed before the chunk was {}", puts() ? "stored" : "fetched")
             .with_kind("barn.not_sent"));
}

void ChunkTransfer::connect() {
  const Endpoints::Next next = endpoints_.next();
  next.pause_nanos == 0 ? open(next.address) : open_later(next.address, next.pause_nanos);
}

void ChunkTransfer::open_later(const std::string& address, int64_t pause_nanos) {
  pause_timer_ = context_.loop->call_after(pause_nanos, [this, address] {
    pause_timer_ = 0;
    open(address);
  });
}

void ChunkTransfer::open(const std::string& address) {
  address_ = address;
  heard_ = false;
  heard_nanos_ = context_.loop->now();
  received_.clear();
  sha_.reset();
  ChunkStream::Events events{[this](const std::string& piece) { on_piece(piece); },
                             [this](const Status& status, bool by_member) {
                               stream_ = nullptr;
                               on_ended(status, by_member);
                             }};
  const auto channel = context_.channels->get(address);
  const int64_t deadline = work_.deadline_nanos + kAfterDeadlineNanos;
  stream_ = puts() ? ChunkStream::put(context_, channel, work_.bytes, work_.chunk.hash(), deadline, std::move(events))
                   : ChunkStream::get(context_, channel, work_.chunk, deadline, std::move(events));
  watch_for_silence();
}

void ChunkTransfer::on_piece(const std::string& piece) {
  heard_nanos_ = context_.loop->now();
  if (puts()) return;  // written here: whether the member reads it is not said
  heard_ = true;
  if (piece.size() > work_.chunk.size() - received_.size()) {
    leave();
    return elsewhere(data_loss("{} sent more than the chunk has", address_));
  }
  sha_.update(piece);
  received_ += piece;
}

void ChunkTransfer::on_ended(const Status& status, bool by_member) {
  leave();
  if (status.ok()) {
    if (puts()) return finish(std::string());
    const Status checked = check_received();
    return checked.ok() ? finish(std::move(received_)) : elsewhere(checked);
  }
  const Verdict verdict = judge(status);
  if (by_member && verdict != Verdict::kNotLeader) refusal_ = status;
  if (by_member && is_final(status)) return finish(status);
  if (puts() && verdict == Verdict::kBusy) {
    // The leader is who it is: it is asked again, later from time to time.
    pause_nanos_ = std::min(std::max(2 * pause_nanos_, kFirstPauseNanos), kLongestPauseNanos);
    return open_later(address_, pause_nanos_ + static_cast<int64_t>(context_.random() % kFirstPauseNanos));
  }
  elsewhere(status);
}

Status ChunkTransfer::check_received() {
  const crypto::Digest256 hash = sha_.finish();
  const std::string_view text(reinterpret_cast<const char*>(hash.data()), hash.size());
  if (received_.size() == work_.chunk.size() && text == work_.chunk.hash()) return {};
  return data_loss("what {} sent is not the chunk", address_);
}

void ChunkTransfer::elsewhere(const Status& why) {
  endpoints_.failed(address_, why);
  const std::string leader = leader_address(why);
  if (puts() && !leader.empty()) endpoints_.hint(leader);
  if (endpoints_.all_refuse_identity()) return finish(why);
  connect();
}

// The try is over.
void ChunkTransfer::leave() {
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->abandon();
  if (probe_) std::exchange(probe_, nullptr)->abandon();
  context_.loop->cancel(std::exchange(silence_timer_, 0));
}

// A member that waits for a majority has nothing to say for a while, like one that died: so it is asked, over the same
// connection.
void ChunkTransfer::watch_for_silence() {
  const int64_t silence = context_.options->silence_nanos;
  silence_timer_ = context_.loop->call_after(silence, [this, silence] {
    silence_timer_ = 0;
    if (context_.loop->now() - heard_nanos_ < silence) return watch_for_silence();
    probe_ =
        UnaryCall::start(context_, context_.channels->get(address_), probe_request(true),
                         context_.loop->now() + silence, [this](const Result<Reply>& reply, bool by_member) {
                           probe_ = nullptr;
                           if (reply.ok() || by_member) {
                             heard_ = true;
                             return watch_for_silence();
                           }
                           leave();
                           context_.channels->drop(address_);
                           elsewhere(unavailable("no answer for {} ms", context_.options->silence_nanos / 1'000'000));
                         });
  });
}

void ChunkTransfer::finish(Result<std::string> result) {
  leave();
  context_.loop->cancel(std::exchange(deadline_timer_, 0));
  context_.loop->cancel(std::exchange(pause_timer_, 0));
  const auto done = std::exchange(work_.done, nullptr);
  if (done) done(std::move(result));
}

// At the deadline: what stood in the way.
Status ChunkTransfer::unanswered() const {
  const char* const what = puts() ? "stored" : "fetched";
  if (!refusal_.ok()) {
    return Status(refusal_.code(),
                  fmt::format("the chunk was not {} before its deadline: {}", what, refusal_.to_string()))
        .with_kind(refusal_.kind().empty() ? "barn.late" : refusal_.kind())
        .with_hint(refusal_.hint());
  }
  if (!started_)
    return deadline_exceeded("the chunk was not {}: others before it took all the time", what).with_kind("barn.late");
  const std::string failures = endpoints_.failures();
  if (stream_ != nullptr && (heard_ || failures.empty()))
    return deadline_exceeded("the chunk was not {} in time by {}", what, address_).with_kind("barn.late");
  return unavailable("the chunk was not {}, since no member{} was reached: {}", what, puts() ? " that leads" : "",
                     failures.empty() ? "none answered in time" : failures)
      .with_kind("barn.unreachable")
      .with_hint("do these members run, and are the addresses and the certificate those of this cluster?");
}

}  // namespace runink::sdk
