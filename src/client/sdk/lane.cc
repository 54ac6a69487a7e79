#include "client/sdk/lane.h"

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"
#include "client/sdk/failure.h"

namespace runink::sdk {
namespace {

constexpr uint64_t kProof = 0;
constexpr size_t kBatchOperations = 2048, kBatchBytes = 1 << 20;  // a member takes messages of 4 MiB
constexpr int64_t kSessionPauseNanos = 200'000'000;
// How often a member is asked who the members are now: when it is gone, others have to be known, and those that were
// known at first may have been replaced by then.
constexpr int64_t kMembersNanos = 5'000'000'000;

Operation make_proof(Lane::Kind kind) {
  Operation proof;
  proof.number = kProof;
  proof.request = probe_request(kind == Lane::Kind::kAnyMember);
  proof.deadline_nanos = INT64_MAX;
  return proof;
}

}  // namespace

Lane::Lane(Context& context, Kind kind)
    : context_(context),
      kind_(kind),
      endpoints_(context.options->endpoints, context.random),
      proof_(make_proof(kind)) {}

Lane::~Lane() {
  for (const auto timer : {delay_timer_, connect_timer_, silence_timer_, deadline_timer_}) context_.loop->cancel(timer);
}

std::string Lane::address() const { return connection_ && proven_ ? connection_->address() : std::string(); }

void Lane::add(std::unique_ptr<Operation> operation) {
  operation->number = ++last_number_;
  Operation& added = *operation;
  operations_.emplace(added.number, std::move(operation));
  if (stopped_) return finish(added, unanswered(added, true));
  if (added.deadline_nanos != INT64_MAX) deadlines_.emplace(added.deadline_nanos, added.number);
  (is_write(added.request) ? writes_ : reads_).push_back(added.number);
}

void Lane::turn() {
  if (leave_) leave_now();
  if (stopped_) return;
  if (!connection_) {
    if (queued() && connect_timer_ == 0) connect();
  } else if (proven_ && queued()) {
    send();
  }
  arm_deadline();
}

// ---- the member

void Lane::connect() {
  endpoints_.learn(context_.members);  // which the other lane may have heard
  const Endpoints::Next next = endpoints_.next();
  if (next.pause_nanos == 0) return open(next.address);
  connect_timer_ = context_.loop->call_after(next.pause_nanos, [this, address = next.address] {
    connect_timer_ = 0;
    open(address);
  });
}

void Lane::open(const std::string& address) {
  proven_ = false;
  connection_ = std::make_unique<Connection>(
      context_, address,
      Connection::Events{[this](uint64_t number, Result<Reply> reply) { on_answer(number, std::move(reply)); },
                         [] {},  // the turn that follows sends on
                         [this](const Status& why) { leave(why, {}, false); }});
  under_way_ = 0;
  heard_nanos_ = context_.loop->now();
  ask_for_proof();
  watch_for_silence();
}

void Lane::ask_for_proof() {
  ++under_way_;
  proof_under_way_ = true;
  asked_nanos_ = context_.loop->now();
  Operation* const proof = &proof_;
  connection_->send(std::span(&proof, 1));
}

void Lane::watch_for_silence() {
  const int64_t silence = context_.options->silence_nanos;
  silence_timer_ = context_.loop->call_after(silence / 4, [this, silence] {
    silence_timer_ = 0;
    if (!connection_) return;
    const int64_t now = context_.loop->now();
    if (under_way_ == 0) heard_nanos_ = now;
    if (proven_ && !proof_under_way_ && now - asked_nanos_ >= kMembersNanos && connection_->writable()) ask_for_proof();
    if (now - heard_nanos_ >= silence)
      leave(unavailable("no answer for {} ms", (now - heard_nanos_) / 1'000'000), {}, true);
    watch_for_silence();
  });
}

// At the end of the turn, since this may be called from an event of the connection.
void Lane::leave(Status why, std::string leader, bool silent) {
  if (!leave_) leave_ = Leave{std::move(why), std::move(leader), silent};
}

void Lane::leave_now() {
  const Leave left = *std::exchange(leave_, std::nullopt);
  if (!connection_) return;
  const std::string address = connection_->address();
  connection_.reset();
  proven_ = false;
  under_way_ = 0;
  context_.loop->cancel(std::exchange(silence_timer_, 0));
  if (left.silent) context_.channels->drop(address);
  endpoints_.failed(address, left.why);
  endpoints_.hint(left.leader);

  // Each goes to the front: the oldest last.
  std::vector<uint64_t> all = numbers();
  std::reverse(all.begin(), all.end());
  for (const uint64_t number : all) {
    Operation& operation = *operations_.at(number);
    if (operation.sent) try_went_open(operation, left.why);
  }
  if (endpoints_.all_refuse_identity()) refuse_all(left.why);
}

void Lane::refuse_all(const Status& why) {
  for (const uint64_t number : numbers()) {
    Operation& operation = *operations_.at(number);
    finish(operation, operation.outcome_open ? unanswered(operation, false) : why);
  }
}

std::vector<uint64_t> Lane::numbers() const {
  std::vector<uint64_t> out;
  out.reserve(operations_.size());
  for (const auto& [number, operation] : operations_) out.push_back(number);
  std::sort(out.begin(), out.end());
  return out;
}

// ---- sending

void Lane::send() {
  if (!connection_->writable()) return;
  batch_.clear();
  batch_bytes_ = 0;
  gather(writes_, context_.options->mark_writes);
  gather(reads_, false);
  if (batch_.empty()) return;
  if (under_way_ == 0) heard_nanos_ = context_.loop->now();
  under_way_ += batch_.size();
  connection_->send(batch_);
}

void Lane::gather(std::deque<uint64_t>& queue, bool marked) {
  while (!queue.empty() && batch_.size() < kBatchOperations && batch_bytes_ < kBatchBytes) {
    const auto found = operations_.find(queue.front());
    if (found != operations_.end()) {
      Operation& operation = *found->second;
      if (has_lost_its_session(operation) && operation.outcome_open) {
        queue.pop_front();
        finish(operation, unanswered(operation, false));
        continue;
      }
      if (marked && !take_mark(operation)) {
        open_session();
        return;
      }
      operation.sent = true;
      batch_.push_back(&operation);
      batch_bytes_ += request_bytes(operation.request);
    }
    queue.pop_front();
  }
}

// With an answer to another operation of that session.
bool Lane::has_lost_its_session(const Operation& operation) const {
  return operation.mark.session != 0 && !sessions_.contains(operation.mark);
}

bool Lane::take_mark(Operation& operation) {
  if (operation.mark.session == 0 || has_lost_its_session(operation)) {
    const auto mark = sessions_.take(answer_bytes(operation.request));
    if (!mark) return false;
    operation.mark = *mark;
  }
  sessions_.fill(operation.mark, mark_of(operation.request));
  return true;
}

void Lane::open_session() {
  if (opening_session_ || sessions_.size() >= context_.options->sessions_max ||
      context_.loop->now() < next_session_nanos_)
    return;
  opening_session_ = true;
  auto operation = std::make_unique<Operation>();
  operation->request = v1::OpenSessionRequest();
  operation->deadline_nanos = INT64_MAX;
  operation->done = [this](Result<Reply> reply) {
    opening_session_ = false;
    if (reply.ok()) {
      session_refusal_ = {};
      ++context_.counters.sessions;
      sessions_.add(std::get<v1::OpenSessionResponse>(*reply).session());
      return;
    }
    session_refusal_ = reply.status();
    // A turn must follow, in which it is tried again.
    next_session_nanos_ = context_.loop->now() + kSessionPauseNanos;
    context_.loop->call_after(kSessionPauseNanos + 1, [] {});
  };
  add(std::move(operation));
}

void Lane::close_sessions(int64_t nanos, std::function<void()> done) {
  const std::vector<v1::Token> tokens = sessions_.tokens();
  if (!connection_ || !proven_ || leave_ || tokens.empty()) return done();
  auto left = std::make_shared<size_t>(tokens.size());
  for (const v1::Token& token : tokens) {
    v1::CloseSessionRequest request;
    *request.mutable_session() = token;
    auto operation = std::make_unique<Operation>();
    operation->request = std::move(request);
    operation->deadline_nanos = system_clock().steady_nanos() + nanos;
    operation->done = [left, done](const Result<Reply>&) {
      if (--*left == 0) done();
    };
    add(std::move(operation));
  }
}

// ---- answers

void Lane::on_answer(uint64_t number, Result<Reply> reply) {
  heard_nanos_ = context_.loop->now();
  if (number == kProof) {
    --under_way_;
    proof_under_way_ = false;
    if (!reply.ok()) {
      const Status why = reply.status();
      // One that was good, and only has too much to do, stays.
      if (proven_ && judge(why) != Verdict::kNotLeader) return;
      return leave(why, leader_address(why), false);
    }
    proven_ = true;
    const auto& members = std::get<v1::RangeResponse>(*reply).members();
    if (!members.empty()) context_.members.assign(members.begin(), members.end());
    endpoints_.learn(context_.members);
    endpoints_.worked(connection_->address());
    return;
  }
  const auto found = operations_.find(number);
  if (found == operations_.end() || !found->second->sent) return;
  Operation& operation = *found->second;
  operation.sent = false;
  --under_way_;
  if (reply.ok()) return finish(operation, std::move(reply));
  on_refusal(operation, reply.status());
}

void Lane::on_refusal(Operation& operation, Status status) {
  switch (judge(status)) {
    case Verdict::kFinal:
      if (operation.outcome_open && refused_before_log(status)) break;
      return finish(operation, std::move(status));
    case Verdict::kNotLeader:
      operation.refusal = status;
      again(operation);
      return leave(status, leader_address(status), false);
    case Verdict::kBusy:
      operation.refusal = std::move(status);
      return again_later(operation);
    case Verdict::kLost:
      operation.refusal = std::move(status);
      return again(operation);
    case Verdict::kOpen:
      // A member that stops says so to each; the stream ends by itself.
      return try_went_open(operation, std::move(status));
    case Verdict::kSessionGone: {
      if (operation.mark.session == 0) return finish(operation, std::move(status));  // the client's own
      const bool ended = status.kind() == "barn.session_unknown";
      if (ended) sessions_.end(operation.mark);
      if (operation.outcome_open) break;
      // This was its only try, so it starts anew with another mark.
      if (!ended) sessions_.answered(operation.mark);
      operation.mark = {};
      operation.refusal = std::move(status);
      return again(operation);
    }
  }
  operation.refusal = std::move(status);
  finish(operation, unanswered(operation, false));
}

// A try has ended without telling what became of it.
void Lane::try_went_open(Operation& operation, Status why) {
  operation.sent = false;
  operation.refusal = std::move(why);
  if (is_write(operation.request)) {
    operation.outcome_open = true;
    if (!context_.options->mark_writes) return finish(operation, unanswered(operation, false));
  }
  again(operation);
}

void Lane::again(Operation& operation) {
  ++context_.counters.repeated;
  (is_write(operation.request) ? writes_ : reads_).push_front(operation.number);
}

void Lane::again_later(Operation& operation) {
  delayed_.push_back(operation.number);
  if (delay_timer_ != 0) return;
  delay_timer_ = context_.loop->call_after(10'000'000 + static_cast<int64_t>(context_.random() % 20'000'000),
                                           [this] { resume_delayed(); });
}

void Lane::resume_delayed() {
  delay_timer_ = 0;
  std::vector<uint64_t> numbers = std::exchange(delayed_, {});
  std::sort(numbers.rbegin(), numbers.rend());
  for (const uint64_t number : numbers) {
    const auto found = operations_.find(number);
    if (found != operations_.end()) again(*found->second);
  }
}

void Lane::finish(Operation& operation, Result<Reply> result) {
  const auto found = operations_.find(operation.number);
  RUNINK_CHECK(found != operations_.end());
  const std::unique_ptr<Operation> over = std::move(found->second);
  operations_.erase(found);
  if (over->deadline_nanos != INT64_MAX) deadlines_.erase({over->deadline_nanos, over->number});
  if (over->sent) {
    --under_way_;
    if (connection_) connection_->forget(over->number);
  }
  if (over->mark.session != 0) sessions_.answered(over->mark);
  ++context_.counters.answers;
  if (over->bytes > 0) context_.release(over->bytes);
  over->done(std::move(result));
}

// ---- deadlines

void Lane::arm_deadline() {
  if (deadlines_.empty() || deadlines_.begin()->first >= armed_for_) return;
  context_.loop->cancel(deadline_timer_);
  armed_for_ = deadlines_.begin()->first;
  deadline_timer_ = context_.loop->call_at(armed_for_, [this] {
    deadline_timer_ = 0;
    armed_for_ = INT64_MAX;
    expire();
  });
}

void Lane::expire() {
  const int64_t now = system_clock().steady_nanos();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Operation& operation = *operations_.at(deadlines_.begin()->second);
    finish(operation, unanswered(operation, false));
  }
  drop_stale_entries();
}

// Operations whose deadline came while they waited: where no member can be reached, nothing else takes them out.
void Lane::drop_stale_entries() {
  if (writes_.size() + reads_.size() <= 2 * operations_.size()) return;
  const auto over = [this](uint64_t number) { return !operations_.contains(number); };
  std::erase_if(writes_, over);
  std::erase_if(reads_, over);
}

// What is said where no member's answer is: whether it may have been carried out, and what stood in the way.
Status Lane::unanswered(const Operation& operation, bool stopping) const {
  const char* const name = name_of(operation.request);
  const bool write = is_write(operation.request);
  std::string why = stopping ? "the client was destroyed" : operation.refusal.ok() ? "" : operation.refusal.to_string();
  if (write && (operation.outcome_open || operation.sent)) {
    if (why.empty()) why = "no answer came in time";
    return Status(Code::kUnknown, fmt::format("whether this {} was carried out is not known: {}", name, why))
        .with_kind("barn.unknown")
        .with_hint("read what is there before writing again");
  }
  const char* const not_done = write ? ", and was not carried out" : "";
  if (stopping) return cancelled("the {} was not answered{}: {}", name, not_done, why).with_kind("barn.not_sent");
  if (!connection_ || !proven_) {
    const std::string failures = endpoints_.failures();
    return unavailable("the {} reached no member{}{}: {}", name, kind_ == Kind::kLeader ? " that leads" : "", not_done,
                       failures.empty() ? "none answered in time" : failures)
        .with_kind("barn.unreachable")
        .with_hint("do these members run, and are the addresses and the certificate those of this cluster?");
  }
  if (!write)
    return deadline_exceeded("the {} was not answered in time by {}", name, connection_->address())
        .with_kind("barn.late");
  // It was not sent, or refused for certain.
  if (why.empty()) why = session_refusal_.ok() ? "it waited behind others" : session_refusal_.to_string();
  const Code code = operation.refusal.ok() ? (session_refusal_.ok() ? Code::kUnavailable : session_refusal_.code())
                                           : operation.refusal.code();
  return Status(code, fmt::format("the {} was not carried out before its deadline: {}", name, why))
      .with_kind(operation.refusal.kind().empty() ? "barn.unreachable" : operation.refusal.kind())
      .with_hint(operation.refusal.hint());
}

void Lane::answer_all() {
  for (const uint64_t number : numbers()) {
    Operation& operation = *operations_.at(number);
    finish(operation, unanswered(operation, true));
  }
}

void Lane::stop() {
  stopped_ = true;
  answer_all();
  context_.loop->cancel(std::exchange(connect_timer_, 0));
  context_.loop->cancel(std::exchange(silence_timer_, 0));
  connection_.reset();
}

}  // namespace runink::sdk
