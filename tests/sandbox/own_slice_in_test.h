// A slice that the test makes itself, without a launcher: between its plan and its start there is time for mischief.
#pragma once

#include <poll.h>

#include <memory>
#include <optional>
#include <utility>

#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/slice.h"

namespace runink::sandbox {

// Made in a test program, which has one thread.
class OwnSlice {
 public:
  // OK once it is parked.
  Status park(const model::SliceSpec& spec) {
    const HostFacts facts = gather_host_facts(spec);
    const ParkingClass parking = class_of(spec, facts);
    const Operations operations = RUNINK_TRY(plan_parking(parking, facts));
    SpawnedSlice spawned = RUNINK_TRY(
        spawn_slice(parking, operations, spec.resources, SpawnParent::kThisProcess, &spawn_makers_, &holdings_));
    slice_ = RUNINK_TRY(Slice::take(parking, std::make_shared<const Operations>(operations), spec.resources,
                                    std::move(spawned), &makers_));
    const SliceEvent event = next();
    return event.kind == SliceEvent::Kind::kRefused ? event.status : Status();
  }

  // OK once its program runs.
  Status start(const model::SliceSpec& spec, Operations operations) {
    RUNINK_RETURN_IF_ERROR(slice_->start(spec, std::move(operations), {0, 1, 2}));
    const SliceEvent event = next();
    return event.kind == SliceEvent::Kind::kRefused ? event.status : Status();
  }

  // Waits for it.
  SliceEvent next() {
    for (;;) {
      if (std::optional<SliceEvent> event = slice_->next_event()) return std::move(*event);
      struct pollfd waiting[] = {{slice_->init_descriptor(), POLLIN, 0}, {slice_->pid_descriptor(), POLLIN, 0}};
      (void)::poll(waiting, 2, -1);
    }
  }

  Slice& slice() { return *slice_; }
  void destroy() { slice_.reset(); }
  ~OwnSlice() {
    slice_.reset();
    (void)spawn_makers_.groups.remove(holdings_.group);
  }

 private:
  SpawnMakers spawn_makers_;
  SliceHoldings holdings_;
  SliceMakers makers_;
  std::unique_ptr<Slice> slice_;
};

}  // namespace runink::sandbox
