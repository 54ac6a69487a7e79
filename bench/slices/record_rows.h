// slices.first_record: from the work being sent to a stage that stands ready until its first record has come out.
#pragma once

#include "base/status.h"
#include "setting.h"

namespace runink::bench {

// Beside a bare process of the payload, in turn. Needs runi-slice beside runi.
Status record_rows(const Setting& setting);

}  // namespace runink::bench
