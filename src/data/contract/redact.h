// Masking: how the value of a protected field is shown to who may not see it.
//
// The promise is that a pii field never appears unmasked outside the dead-letter store. Whatever shows values (sinks,
// previews, logs, diffs, messages) asks `mask_of(field)` and, if there is one, shows only what these functions return.
// The methods are those of mask() in expressions (data/expr/mask.h), and two more. Nulls stay null.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/contract/contract.h"

namespace runink::contract {

enum class MaskMethod {
  kAll,       // "all": ****
  kFirst,     // "first3": the first n code points, one * for each other; a value no longer than n is wholly masked
  kLast,      // "last4": the same at the end
  kEmail,     // "email": first letter and domain
  kLength,    // "length": one * per code point
  kHash,      // "hash": hexadecimal digits of HMAC-SHA-256 under the project's key: equal values stay equal
  kTokenise,  // "tokenise": the same as a short token
  kNull,      // "null": the value becomes null
  kYear,      // "year": of a date or timestamp (or text that begins with one): 1980; anything else as all
};

struct Mask {
  MaskMethod method = MaskMethod::kAll;
  uint32_t count = 0;  // kFirst and kLast: 1 to 64
  bool operator==(const Mask&) const = default;
};

// "last4", "first2", "hash", "tokenise", "null", "email", "length", "year", "all"; an unknown word names the nearest.
Result<Mask> parse_mask(std::string_view text);
const std::vector<std::string>& mask_words();
std::string mask_name(const Mask& mask);

// How this field must be shown to a reader without its access roles: nullopt means as it is.
std::optional<Mask> mask_of(const ContractField& field);
// The same for a reader that holds `roles`: a role named by access() lifts the mask. `reveal` lifts all.
struct Reader {
  std::vector<std::string> roles;
  bool reveal = false;
  std::vector<bool> hidden;  // columns of which nothing is shown whatever the contract says; empty: none
};
std::optional<Mask> mask_for(const ContractField& field, const Reader& reader);

// Key for kHash and kTokenise: the project's. While it is empty those two mask wholly, since a hash without a secret
// can be guessed.
struct MaskKey {
  std::string bytes;
};

std::string mask_text(const Mask& mask, std::string_view text, const MaskKey& key);  // kNull gives ""

// A whole column: string for every method but kNull, which keeps the type and makes every row null. Values are first
// written as text formats write them.
columnar::Column mask_column(const columnar::Column& column, const columnar::Field& field, const Mask& mask,
                             const MaskKey& key);
columnar::DataType masked_type(const columnar::DataType& type, const Mask& mask);

// A batch whose first columns are the contract's, each masked as the reader must see it. Schema and origin change with
// it: a masked batch has no origin, since raw bytes would show what was masked.
struct Redaction {
  std::vector<std::pair<int, Mask>> columns;  // what is masked, ascending
  columnar::SchemaPtr schema;                 // after masking
};
Redaction redaction_for(const Contract& contract, const Reader& reader);
columnar::Batch redact_batch(const columnar::Batch& batch, const Redaction& redaction, const MaskKey& key);

// A record of NDJSON or one CSV row with the values of protected fields masked, the rest byte for byte as it came.
// Fields are found by name, nested objects too; text that cannot be read as a record is masked wholly, and so is what
// the contract does not name inside a field that is masked, or inside a struct of which every member is.
class RecordRedactor {
 public:
  RecordRedactor(const Contract& contract, const Reader& reader, MaskKey key);
  std::string json(std::string_view record) const;
  // `names`: the header row. Cells that are masked are quoted.
  std::string csv(std::string_view record, const std::vector<std::string>& names, char separator = ',') const;
  bool masks_anything() const { return !masks_.empty(); }
  // Fields of these names as well, wholly, whatever the contract says of them; columnar::kOpenColumn stands for all that
  // the contract does not name.
  void mask_wholly(const std::vector<std::string>& names);
  // A field to be masked that the header does not name although it names one that the contract does not: that may be
  // it, in another spelling or dialect, or the header is no header but a record. Empty where every cell is sure.
  std::string lost_in(const std::vector<std::string>& names) const;

 private:
  struct ColumnMask {
    std::string name;
    Mask mask;
  };
  const Mask* find(std::string_view name) const;
  const Mask* find_unknown(std::string_view name) const;  // of what the contract does not name
  bool unknown_too_ = false;
  bool has_members(std::string_view name) const;
  bool holds_masked(std::string_view name) const;         // a struct with a member that is masked
  void find_whole();
  std::vector<ColumnMask> masks_;
  std::set<std::string, std::less<>> whole_;  // fields that are masked, and structs with every member masked
  std::vector<std::string> fields_, protected_;  // of the contract
  MaskKey key_;
};

// Reads NDJSON, CSV or TSV records and writes them with protected fields masked, record by record. `bytes` reads up to
// `size` bytes, fewer only at the end; `name` is what messages call them; `separator`: '\0' for NDJSON.
using ByteReader = std::function<Result<size_t>(char* into, size_t size)>;
Status redact_bytes(const Contract& contract, const std::string& name, ByteReader bytes, char separator,
                    const Reader& reader, const MaskKey& key, const std::function<Status(std::string_view)>& write,
                    uint64_t* records);
// `runi contract redact`: reads a plain NDJSON, CSV or TSV file (by the end of its name) and writes it with protected
// fields masked, record by record.
Status redact_records(const Contract& contract, const std::string& in_path, const Reader& reader, const MaskKey& key,
                      const std::function<Status(std::string_view)>& write, uint64_t* records);
// The same into a file that is replaced atomically.
Status redact_file(const Contract& contract, const std::string& in_path, const std::string& out_path,
                   const Reader& reader, const MaskKey& key, uint64_t* records);

}  // namespace runink::contract
