// A file that a sink with mode="append" adds records to.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "data/connectors/locator.h"
#include "data/connectors/record_writer.h"

namespace runink::local {

struct AppendTarget {
  bool has_records = false;  // they have a header already, where the format has one
  std::string before;        // what must stand between them and the first record added (unpacked)
  std::optional<bool> crlf;  // how its records end, if that can be seen; those added end so too
};

// Reads as much of the file as that takes: of plain NDJSON its last byte, CSV as a whole. No file is an empty one.
// kFailedPrecondition, with what to do, where the records would not fit those that are there: other columns, another
// order or delimiter of CSV, a last record of CSV with an open quote (it would swallow them), an Arrow stream.
Result<AppendTarget> look_at_append_target(const connectors::Locator& locator, const connectors::WriterOptions& writer);

}  // namespace runink::local
