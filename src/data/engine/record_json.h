// A row as the JSON record that a reader of NDJSON would make it of: what a dead letter keeps of rows without original
// bytes.
#pragma once

#include <string>

#include "data/columnar/batch.h"

namespace runink::engine {

// Every column, unmasked; dotted names as objects in each other, dates and times in their fields' formats, what an open
// contract left over as members of its own.
std::string record_json(const columnar::Batch& batch, int64_t row);

}  // namespace runink::engine
