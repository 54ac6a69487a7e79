// A contract guessed from sample records, and the profile of a data set that drift is judged by.
//
// Feed records one after the other, each field by name as the text or JSON value that the file holds; then ask for the
// profile or for a contract's text. Memory is bounded: per column at most 64 distinct values and a few sketches are
// kept; at most 4096 columns (more is an error). Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/type.h"

namespace runink::contract {

struct InferOptions {
  std::string contract_name = "Data";
  std::string owner;
  uint64_t max_records = 100'000;  // sample_file stops there; 0: all
  size_t enum_values_max = 12;     // text with at most so many distinct values, each seen often, becomes an enum
  bool ranges_as_comments = true;  // else they become rules
};

// What was seen of one column.
struct ColumnProfile {
  std::string name;         // flattened
  columnar::DataType type;  // narrowest that holds every value seen
  std::string format;       // of date and time text that is not ISO 8601
  uint64_t present = 0;     // records that had a value (not null)
  uint64_t nulls = 0;       // explicit nulls and absences
  uint64_t empty_text = 0;
  bool saw_text = false, saw_number = false, saw_bool = false,
       saw_nested = false;                   // kinds of JSON value; cells are text
  std::optional<std::string> min, max;       // as text, of ordered types
  uint64_t length_min = 0, length_max = 0;   // code points, text only
  bool distinct_complete = true;             // `distinct` holds every value
  std::map<std::string, uint64_t> distinct;  // at most 64
  bool all_distinct = false;                 // no value came twice, as far as was looked
  std::string pattern;                       // "[A-Z]{3}" for short text of one shape; else empty
  std::string pii_kind;                      // "email", "phone", "card", "ssn", "name", …; empty: not suspected
  std::vector<ColumnProfile> elements;       // one, for a list: its elements; members for a list of structs
};

struct DataProfile {
  std::string source;
  uint64_t records = 0;
  uint64_t unreadable = 0;       // records that could not be read; they are not counted among `records`
  std::string first_unreadable;  // "line 17"
  bool complete = true;                // the whole file was read
  bool from_text = false;              // CSV: numbers are text, empty cells are null
  std::vector<ColumnProfile> columns;  // in order of first appearance
};

class Inferrer {
 public:
  explicit Inferrer(InferOptions options = {});
  ~Inferrer();
  Inferrer(Inferrer&&) noexcept;
  Inferrer& operator=(Inferrer&&) noexcept;

  // One JSON object as text. A record that is not an object is kInvalidArgument and not counted.
  Status add_json(std::string_view record);
  // One record of text cells; an absent optional is null (an empty unquoted CSV cell). Missing cells at the end are
  // null.
  Status add_cells(const std::vector<std::string>& names, const std::vector<std::optional<std::string>>& cells);

  uint64_t records() const;
  // A record that could not be read, and where it is: left out, and told in the profile and in the contract's text.
  void note_unreadable(std::string place);
  uint64_t unreadable() const;
  DataProfile profile() const;
  std::string contract_text() const;  // with comments that tell what was seen; parses without errors

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What kind of file: by name ("….csv", "….ndjson", "….jsonl", "….json", "….tsv") or, failing that, by its first byte.
enum class SampleForm { kGuess, kNdjson, kCsv, kTsv };
// Reads records into `inferrer` up to options.max_records. `bytes` reads up to `size` bytes, fewer only at the end;
// `name` is what messages call them; the form must not be kGuess.
using ByteReader = std::function<Result<size_t>(char* into, size_t size)>;
Status sample_bytes(const std::string& name, ByteReader bytes, SampleForm form, const InferOptions& options,
                    Inferrer& inferrer, bool* complete);
Result<DataProfile> profile_bytes(const std::string& name, ByteReader bytes, SampleForm form,
                                  const InferOptions& options);
Result<std::string> infer_contract_from_bytes(const std::string& name, ByteReader bytes, SampleForm form,
                                              const InferOptions& options);
// The same of a plain file. Compressed files are for the caller to unpack.
Status sample_file(const std::string& path, SampleForm form, const InferOptions& options, Inferrer& inferrer,
                   bool* complete);
Result<DataProfile> profile_file(const std::string& path, SampleForm form = SampleForm::kGuess,
                                 const InferOptions& options = {});
Result<std::string> infer_contract(const std::string& path, SampleForm form, const InferOptions& options);

}  // namespace runink::contract
