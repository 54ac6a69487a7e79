// The head of a source as a schema, for sources without a contract.
#pragma once

#include <string>

#include "base/status.h"
#include "data/columnar/type.h"
#include "data/plan/plan.h"

namespace runink::local {

// Reads up to 10,000 records (or 4 MiB) of the source's first file. Every column is nullable, as nobody promised
// otherwise, and integers are int64: the sample may not hold the largest.
Result<columnar::Schema> infer_schema(const plan::Source& source, const std::string& project_root);

}  // namespace runink::local
