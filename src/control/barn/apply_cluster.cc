// Compaction, limits, alarms.
#include <algorithm>

#include "control/barn/machine.h"

namespace runink::barn {
namespace {

constexpr size_t kAlarmsMax = 1000;

}  // namespace

Status StateMachine::Impl::compact(const Compact& compact, Answer& answer) {
  if (compact.through > index) return refuse(answer, Refusal::kCompactFuture, index), Status();
  if (compact.through <= cluster.compacted) return {};
  // The first record that stays says how much lies before it. It is in the store or, newer than all there, in this
  // batch.
  uint64_t before = head.event_written;
  const auto at = store->iterate(tables::event_key(compact.through + 1), std::string(1, tables::kEvents + 1));
  RUNINK_RETURN_IF_ERROR(at->status());
  if (at->valid()) {
    Decoder in(at->value());
    before = in.u64();
    if (!in.ok() || before > head.event_written) return data_loss("a stored event record cannot be read");
  } else {
    const auto first =
        std::find_if(block->records.begin() + static_cast<std::ptrdiff_t>(batch_events), block->records.end(),
                     [&](const EventBlock::Record& record) { return record.index > compact.through; });
    if (first != block->records.end()) before = Decoder(block->record(*first)).u64();
  }
  batch.remove_range(tables::event_key(cluster.compacted + 1), tables::event_key(compact.through + 1));
  head.event_freed = before;
  cluster.compacted = compact.through;
  touch_cluster();
  return {};
}

void StateMachine::Impl::set_limits(const Settings& settings, Answer& answer) {
  if (!check_limits(settings.limits).ok()) {
    refuse(answer, Refusal::kBadLimits);
    return;
  }
  cluster.limits = settings.limits;
  touch_cluster();
}

void StateMachine::Impl::set_alarm(const AlarmChange& change, Answer& answer) {
  const Alarm alarm{change.kind, change.node};
  if (change.set && !cluster.alarms.contains(alarm) && cluster.alarms.size() >= kAlarmsMax) {
    refuse(answer, Refusal::kAlarmLimit, kAlarmsMax);
    return;
  }
  const bool changed = change.set ? cluster.alarms.insert(alarm).second : cluster.alarms.erase(alarm) > 0;
  if (changed) touch_cluster();
}

}  // namespace runink::barn
