// Reading keys: from the store as it is (between two calls of apply), or from a view that stays at one applied index
// while writing goes on.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/answer.h"
#include "control/barn/store.h"

namespace runink::barn {

Result<std::optional<KeyValue>> get_key(const StateReader& state, std::string_view key);

struct RangeOptions {
  uint64_t limit = 1000;       // items, or with count_only keys counted; 0: no limit but max_bytes
  size_t max_bytes = 1 << 20;  // of keys and values; one item is always given
  bool keys_only = false;      // items without values
  bool count_only = false;     // no items
};
struct RangeAnswer {
  std::vector<KeyValue> items;  // ascending
  uint64_t count = 0;           // items, or keys counted
  bool more = false;            // and how to go on: from `next`, on the same view
  std::string next;
};
Result<RangeAnswer> get_range(const StateReader& state, const KeyRange& range, const RangeOptions& options);

// Up to which entry this state was applied. kDataLoss where that record is damaged; zeros in an empty store.
Result<Position> applied_position(const StateReader& state);

}  // namespace runink::barn
