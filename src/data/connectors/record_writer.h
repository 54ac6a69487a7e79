// Record writers: batches become bytes of NDJSON, CSV or Arrow IPC.
//
// One writer per worker; not thread-safe. What append() adds is complete records, so that the outputs of several
// workers can be put together in chunk order.
//
// Text of values, the same in every text format: floats by their shortest digits that read back the same; decimals
// exact with all digits of their scale; date, time and timestamp by Field::format, else ISO 8601 (microseconds only
// when not zero); bytes in base64; enum by label; uuid in lower case. JSON: null members are written as null; NaN and
// infinities as null (they cannot be read, and the engine rejects rows whose expressions make them). CSV: a null is an
// empty cell (or null_text), an empty string is "" in quotes, lists and structs are JSON text; quotes only where
// needed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/connectors/csv_dialect.h"
#include "data/connectors/locator.h"

namespace runink::connectors {

struct WriterOptions {
  DataFormat format = DataFormat::kNdjson;
  // Of the batches. The members of a column named kOpenColumn are written as fields of their own: JSON after all others,
  // CSV in the columns `open_names`. Where a field of the schema has the same name, that is written alone.
  columnar::SchemaPtr schema;
  CsvDialect csv;
  std::vector<std::string> open_names;  // CSV only; a member that is none of them is an error
  // The first so many columns are all the source's columns, in order, unchanged since they were read in the same text
  // format (and the same CSV dialect): a row whose origin says `verbatim` is written as its own bytes plus the columns
  // after these. 0: every value is formatted.
  size_t verbatim_prefix_columns = 0;
};

class RecordWriter {
 public:
  virtual ~RecordWriter() = default;
  // What stands before the first record (CSV header, Arrow schema), once per output.
  virtual Status begin(columnar::Buffer& out) = 0;
  virtual Status append(const columnar::Batch& batch, columnar::Buffer& out) = 0;
  // What stands after the last (Arrow end of stream).
  virtual Status end(columnar::Buffer& out) = 0;
};

Result<std::unique_ptr<RecordWriter>> make_record_writer(const WriterOptions& options);

// One row as a JSON object without a line break: for dead letters of sources without text, previews and tests.
Status append_json_record(const columnar::Batch& batch, int64_t row, std::string& out);

// One independent gzip member or zstd frame. Any number of them one after another is a valid file, so workers can
// compress their own pieces. kNone copies. level 0: the format's usual one (gzip 6, zstd 3).
Status compress(Compression compression, std::string_view bytes, columnar::Buffer& out, int level = 0);

}  // namespace runink::connectors
