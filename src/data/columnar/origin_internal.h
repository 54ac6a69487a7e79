// Joins the origins of batches; for concat() only.
#pragma once

#include <span>

#include "base/status.h"
#include "data/columnar/batch.h"

namespace runink::columnar {

// Null when a batch has none; see concat() in kernels.h.
Result<RowOriginPtr> concat_origins(std::span<const Batch> batches);

}  // namespace runink::columnar
