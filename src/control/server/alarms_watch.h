// Looks at a member once a second, keeps its alarms, and writes each change of one to the log as barn.alarm.raised or
// barn.alarm.cleared.
//
// The replicated alarm of the state machine (barn::AlarmChange) is not touched: docs/reference/metrics.md says why.
//
// Threads: the loop's.
#pragma once

#include <memory>
#include <vector>

#include "control/server/alarms.h"
#include "control/server/barn_view.h"
#include "platform/net/event_loop.h"
#include "platform/telemetry/log.h"

namespace runink::server {

// The numbers as they are now.
AlarmInputs alarm_inputs(const BarnView& barn, const Clock& clock);

class AlarmWatch {
 public:
  struct Options {
    AlarmOptions alarms;
    int64_t every_nanos = 1'000'000'000;
  };
  // `log` may be null. All must outlive it.
  AlarmWatch(net::EventLoop& loop, BarnView barn, telemetry::Log* log, const Options& options);
  ~AlarmWatch() { loop_.cancel(timer_); }
  AlarmWatch(const AlarmWatch&) = delete;
  AlarmWatch& operator=(const AlarmWatch&) = delete;

  const AlarmSet& alarms() const { return alarms_; }

 private:
  void look();
  void tell(const Alarm& alarm, AlarmLevel before);

  net::EventLoop& loop_;
  const BarnView barn_;
  telemetry::Log* const log_;
  const int64_t every_nanos_;
  AlarmSet alarms_;
  net::EventLoop::TimerId timer_ = 0;
};

}  // namespace runink::server
