// slices.start.parked, slices.start.cold, slices.exec: one start after the other, of all kinds in turn, at two arrival
// patterns.
#pragma once

#include "base/status.h"
#include "setting.h"

namespace runink::bench {

Status start_rows(const Setting& setting);

}  // namespace runink::bench
