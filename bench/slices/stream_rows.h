// slices.stream: columnar batches from one process to another, as between two stages of a pipeline on one node.
#pragma once

#include "base/status.h"
#include "setting.h"

namespace runink::bench {

// One row for each kind of stream, beside the rate at which one thread copies memory, measured in between.
Status stream_rows(const Setting& setting);

}  // namespace runink::bench
