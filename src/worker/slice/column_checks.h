// Whether a column that came from elsewhere holds what its type says, so that later code may rely on it.
#pragma once

#include <string>

#include "base/status.h"
#include "data/columnar/column.h"

namespace runink::slice {

// `column` is in memory of this process that nobody else writes, with buffers of the sizes its type and length ask for;
// offsets are checked already (check_offsets). Looks at nulls, UTF-8, JSON, labels, digits of decimals, bools, times of
// a day; values of null rows are made zero, as later code may look at them. Errors (kDataLoss) name the column.
Status check_values(columnar::Column* column, bool nullable, const std::string& name);

// Offsets of texts and lists: `count` of them, the first 0, never descending, none above `limit`.
Status check_offsets(const int32_t* offsets, size_t count, uint64_t limit, const std::string& name);

}  // namespace runink::slice
