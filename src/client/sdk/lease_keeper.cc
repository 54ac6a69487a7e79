#include "client/sdk/lease_keeper.h"

#include "base/clock.h"

namespace runink::sdk {

LeaseKeeper::LeaseKeeper(Context& context, Lane& leader, std::shared_ptr<State> state, int64_t ttl_micros,
                         int64_t asked_nanos, std::function<void(const Status&)> on_lost)
    : context_(context),
      leader_(leader),
      state_(std::move(state)),
      ttl_nanos_(ttl_micros * 1000),
      on_lost_(std::move(on_lost)) {
  state_->held_until_nanos = held_until(asked_nanos);
  renew_after(ttl_nanos_ / 3 - (system_clock().steady_nanos() - asked_nanos));
  watch_the_clock();
}

LeaseKeeper::~LeaseKeeper() {
  *alive_ = false;
  end();
}

void LeaseKeeper::end() {
  on_lost_ = nullptr;
  state_->held_until_nanos = 0;
  context_.loop->cancel(std::exchange(renew_timer_, 0));
  context_.loop->cancel(std::exchange(clock_timer_, 0));
}

int64_t LeaseKeeper::held_until(int64_t asked_nanos) const { return asked_nanos + ttl_nanos_ - ttl_nanos_ / 10; }

void LeaseKeeper::renew_after(int64_t nanos) {
  renew_timer_ = context_.loop->call_after(std::max<int64_t>(nanos, 0), [this] { renew(); });
}

void LeaseKeeper::renew() {
  v1::KeepLeaseRequest request;
  *request.mutable_lease() = state_->token;
  auto operation = std::make_unique<Operation>();
  operation->request = std::move(request);
  operation->deadline_nanos = state_->held_until_nanos;
  operation->done = [this, alive = alive_, asked = system_clock().steady_nanos()](Result<Reply> reply) {
    if (*alive) answered(asked, std::move(reply));
  };
  leader_.add(std::move(operation));
}

void LeaseKeeper::answered(int64_t asked_nanos, Result<Reply> reply) {
  if (!on_lost_) return;
  if (reply.ok()) {
    refusal_ = {};
    state_->held_until_nanos = held_until(asked_nanos);
    return renew_after(ttl_nanos_ / 3);
  }
  refusal_ = reply.status();
  if (refusal_.code() == Code::kNotFound) return lose(refusal_);
  renew_after(ttl_nanos_ / 30);
}

void LeaseKeeper::watch_the_clock() {
  clock_timer_ = context_.loop->call_at(state_->held_until_nanos, [this] {
    if (system_clock().steady_nanos() < state_->held_until_nanos) return watch_the_clock();
    lose(deadline_exceeded("lease {}-{} was not renewed in time{}{}", state_->token.incarnation(),
                           state_->token.index(), refusal_.ok() ? "" : ": ", refusal_.to_string())
             .with_kind("barn.lease_late"));
  });
}

void LeaseKeeper::lose(const Status& why) {
  const auto told = std::exchange(on_lost_, nullptr);
  end();
  if (told) told(why);
}

}  // namespace runink::sdk
