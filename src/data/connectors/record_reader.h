// Record readers: chunks of text become typed batches, by the contract.
//
// One reader per worker; a reader is not thread-safe, and it learns (the order of keys of the last record, buffer
// sizes), but what it returns for a chunk depends on the chunk only.
//
// What a value may be, the same in every text format:
//   * bool: true, false.                    * integers: JSON numbers without fraction and exponent, in the type's
//   range.
//   * floats: any finite JSON number that does not overflow.   * decimal: a number that fits exactly.
//   * string: a JSON string.                * bytes: base64 text.   * uuid: 36 characters.   * enum: one of its labels.
//   * date, time, timestamp: text in the field's format, else ISO 8601.   * duration: ISO 8601 or "1h30m" text.
//   * json: any value, kept as written.     * list: an array.         * struct: an object (`billing.city` is
//   flattened). `coerce` also takes: text holding a number, bool or null-free value of the type; a number for
//   text; 12.0 for an integer; 0, 1, yes, no for a bool; epoch seconds for a timestamp. A value outside its type makes
//   the whole record undecodable (a dead letter that names the field). A field that is absent or null gets its default
//   if it has one, else null (the checker reports required fields).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/columnar/open_column.h"
#include "data/columnar/value.h"
#include "data/connectors/csv_dialect.h"
#include "data/connectors/locator.h"
#include "data/connectors/source.h"

namespace runink::connectors {

// Why a record could not be decoded.
enum class Undecodable : uint8_t {
  kSyntax,        // not JSON, or not CSV as RFC 4180 has it
  kTruncated,     // the record ends in the middle
  kTrailing,      // text after the end of the object
  kNotAnObject,   // a JSON value, but no object
  kTooDeep,       // nested more than kMaxDepth levels
  kDuplicateKey,  // a field of the contract twice, or one that an open contract passes on
  kInvalidUtf8,
  kLoneSurrogate,       // \ud800 without its other half
  kControlCharacter,    // a raw control character (NUL among them) inside a string or cell
  kWrongType,           // a string where a number is wanted, and so on
  kOutOfRange,          // 300 for int8, 1e400, too many digits for a decimal
  kBadText,             // text that is not a date, uuid, enum label, base64 … of the field
  kColumnCount,         // CSV: more or fewer cells than columns
  kUnterminatedQuote,   // CSV
  kLoneCarriageReturn,  // CSV: a CR in the middle of an unquoted cell
  kTooLong,             // a record over the chunk limits that could still be set aside
  kTooFine,             // Arrow: a time finer than a microsecond, a date finer than a day
};
std::string_view undecodable_name(Undecodable reason);  // "duplicate_key": stable, for dead letters and metrics

inline constexpr int kMaxDepth = 128;

// Small on purpose: a chunk of rubbish has many.
struct UndecodableRecord {
  static constexpr uint32_t kNotACell = UINT32_MAX;
  uint32_t offset = 0, length = 0;  // in the chunk, without the line break
  uint32_t line = 0;                // relative, as in RowOrigin
  uint32_t at = 0;                  // byte in the record where decoding stopped
  // Of CSV: bytes from `at` on that are the wrong cell, without its quotes. Of JSON (kNotACell) the value's own syntax
  // says where it ends.
  uint32_t cell = kNotACell;
  int32_t field = -1;               // index in the schema, -1: none
  Undecodable reason = Undecodable::kSyntax;
  // The value stands where a whole struct should: the one named by so many parts of the field's name ("home" of
  // "home.street": 1), and the field is only the first of its members. 0: it is the field's own value.
  uint8_t struct_parts = 0;
};
// The name of that struct.
std::string_view struct_name(const UndecodableRecord& bad, const columnar::Schema& schema);
// "field delay: 300 does not fit int8 (byte 27)": one line, control bytes escaped. `record` is its bytes, of which only the
// wrong value is shown; where hide_value is set (a pii field, or text of which nobody can say whose it is) no part of them.
std::string describe(const UndecodableRecord& bad, const columnar::Schema& schema, std::string_view record,
                     bool hide_value = false);

// What parsing one chunk found besides batches. records = rows in batches + undecodable.
struct ChunkReport {
  uint64_t records = 0, rows = 0;
  uint64_t blank = 0;                          // lines of white space and comments, skipped, not records
  std::vector<UndecodableRecord> undecodable;  // by offset
  // Fields that the contract does not name and that are left out, with how many records had them; at most kMaxDriftNames
  // names, the rest under "…". Sorted by name.
  std::vector<std::pair<std::string, uint64_t>> drift;
};
inline constexpr size_t kMaxDriftNames = 256;

using columnar::kOpenColumn;

struct FieldOptions {
  bool required = false;  // a CSV header (or Arrow schema) that lacks it is an error
  bool coerce = false;
  bool needed = true;  // false: decoded and type-checked, but the column is all null
  std::optional<columnar::Value> default_value;
};

struct ReaderOptions {
  DataFormat format = DataFormat::kNdjson;
  columnar::SchemaPtr schema;        // the contract's columns in order; names of flattened structs have dots
  std::vector<FieldOptions> fields;  // one per column, or empty: all at their defaults
  bool open = false;                 // collect unknown fields in kOpenColumn, after the other columns; they are no drift then
  bool origin = true;                // make RowOrigin (needed for dead letters and for copying raw text)
  bool holds_pii = false;            // messages and drift show nothing of a CSV header that may be a record
  CsvDialect csv;
  std::shared_ptr<const SourceFiles> files;  // needed for CSV with header and for Arrow
};

using BatchCallback = std::function<Status(columnar::Batch&&)>;

// All that is wrong with records that could not be decoded, and what could be read of them.
struct Reread {
  struct Record {
    std::vector<UndecodableRecord> errors;  // by place in the record, the one that parse() found first; one per field
    std::vector<int32_t> unread;            // columns that have no value for that reason
    int64_t row = -1;                       // of `rows`: the other fields; -1: the record is broken as a whole
  };
  std::vector<Record> records;
  columnar::Batch rows;
};

class RecordReader {
 public:
  virtual ~RecordReader() = default;
  // Calls back with batches of at most columnar::kBatchRows rows, in order; none is empty. Sets chunk->line_count.
  // Errors are those of the callback, and those that make a whole file unreadable (CSV header, Arrow schema).
  virtual Result<ChunkReport> parse(const ChunkPtr& chunk, const BatchCallback& callback) = 0;
  // Looks once more at records that parse() of this chunk, which has ended, found undecodable: at most
  // columnar::kBatchRows of them.
  virtual Result<Reread> reread(const ChunkPtr& chunk, std::span<const UndecodableRecord> bad) = 0;
  // The schema of the batches: options.schema, plus kOpenColumn if open.
  virtual const columnar::SchemaPtr& output_schema() const = 0;
};

// kInvalidArgument where a field's format or type cannot be read in this text format. A schema that has kOpenColumn itself
// is read as `open`, and the column stands where the schema has it.
Result<std::unique_ptr<RecordReader>> make_record_reader(const ReaderOptions& options);

}  // namespace runink::connectors
