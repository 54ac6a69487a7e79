// slices.rate.fresh, slices.rate.recycled: how many a second, all processors busy; slices.parked_cost: what one costs
// that stands ready.
#pragma once

#include "base/status.h"
#include "setting.h"

namespace runink::bench {

Status steady_rows(const Setting& setting);

}  // namespace runink::bench
