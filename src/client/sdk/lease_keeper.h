// A lease renewed at a third of its time to live, and given up, by the local steady clock, before the Barn may end it.
//
// The time is counted from before a renewal was asked for, and the Barn's from after it was heard; a tenth of it is
// left for clocks that do not run alike. On the loop, but for what State holds.
#pragma once

#include <atomic>
#include <memory>

#include "client/sdk/client.h"
#include "client/sdk/context.h"
#include "client/sdk/lane.h"

namespace runink::sdk {

class LeaseKeeper {
 public:
  // What other threads look at.
  struct State {
    v1::Token token;
    std::atomic<int64_t> held_until_nanos{0};
  };
  // `asked_nanos`: when the grant was asked for.
  LeaseKeeper(Context& context, Lane& leader, std::shared_ptr<State> state, int64_t ttl_micros, int64_t asked_nanos,
              std::function<void(const Status&)> on_lost);
  ~LeaseKeeper();  // not within on_lost
  // Tells that it is not held any more. Once.
  void lose(const Status& why);
  // Tells nothing any more.
  void end();

 private:
  int64_t held_until(int64_t asked_nanos) const;
  void renew_after(int64_t nanos);
  void renew();
  void answered(int64_t asked_nanos, Result<Reply> reply);
  void watch_the_clock();

  Context& context_;
  Lane& leader_;
  std::shared_ptr<State> state_;
  const int64_t ttl_nanos_;
  std::function<void(const Status&)> on_lost_;  // empty: it was told
  Status refusal_;                              // of the last renewal that failed
  net::EventLoop::TimerId renew_timer_ = 0, clock_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace runink::sdk
