// How large this node is, as far as limits of slices have to fit into it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/herd_limits.h"
#include "model/slice_resources.h"

namespace runink::sandbox {

// 0 or empty: not known, and not checked against.
struct NodeSize {
  std::vector<uint32_t> processors;    // those online, by number
  std::vector<uint32_t> memory_nodes;  // NUMA
  uint64_t memory_bytes = 0;
  bool swap_known = false;
  uint64_t swap_bytes = 0;
  uint64_t processes = 0;  // that can be at once
};

NodeSize read_node_size();

// "SwapTotal:  1024 kB" of /proc/meminfo, in bytes.
bool parse_swap_total(std::string_view meminfo, uint64_t* bytes);

// A limit above what there is would hold nothing: kFailedPrecondition of kind "sandbox.limit", with what there is.
Status check_fits(const model::SliceResources& resources, const NodeSize& node);

// Neither would one above what its herd has: the same error.
Status check_fits(const model::SliceResources& resources, const model::HerdLimit& herd);

}  // namespace runink::sandbox
