// What all slices of one herd may use of their node together; as plain values. Who runs the node sets them.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_resources.h"

namespace runink::model {

struct HerdLimit {
  std::string herd;
  SliceResources resources;  // of all its slices together; cpu_weight: its share beside other herds
  bool operator==(const HerdLimit&) const = default;
};

// "HERD:LIMIT=AMOUNT,…" added to what is there, also to what is there of the same herd. The limits are those of a
// slice: cpu, cpu-weight, cpuset, numa, memory, memory-high, swap, pids, io. What begins with no such name belongs to
// the one before it, so that "cpuset=0-3,6,io=/dev/sda:read=10M,write=5M" is two. kInvalidArgument says what is wrong.
Status add_herd_limit(const std::string& text, std::vector<HerdLimit>* limits);

}  // namespace runink::model
