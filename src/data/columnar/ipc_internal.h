// The parts of the Arrow IPC reader: how a foreign schema is read, and how the buffers of a record batch become columns.
// Not for others; ipc.h is the contract.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/columnar/arrow_ipc_generated.h"
#include "data/columnar/ipc.h"

namespace runink::columnar {

// How one Arrow field is laid out, and what it becomes.
struct ArrowNode {
  enum class Kind {
    kNull,        // no buffers
    kBool,        // bits
    kSame,        // our layout already
    kScaled,      // integers of `width` bytes, times `multiply`, by `divide` exactly
    kText,        // offsets of `width` bytes and bytes
    kFixedBytes,  // `width` bytes each
    kList,        // offsets of `width` bytes and a child
    kFixedList,   // `width` elements each and a child
    kStruct,
    kDictionary,  // integers of `width` bytes that choose among the values of dictionary `dictionary`
  };
  Kind kind = Kind::kNull;
  std::string path;  // for messages: "tags.item"
  DataType type;     // what it yields
  bool nullable = true;
  int width = 0;
  bool is_signed = true;
  int64_t multiply = 1, divide = 1;
  int64_t dictionary = -1;
  std::vector<ArrowNode> children;  // of a dictionary: how its values are laid out
  std::string format, zone;
};

// The fields of a schema message. Errors name the field.
Result<std::vector<ArrowNode>> read_arrow_schema(const arrow::Schema& schema, const IpcReadLimits& limits);

// Values of dictionaries by id.
using Dictionaries = std::map<int64_t, Column>;

// What does not fit in them, by id; columns are counted from the value's own first.
using DictionaryMisfits = std::map<int64_t, IpcMisfits>;

// The columns of a record batch, or of the values of one dictionary. `misfits`: added to, in any order; their columns are
// those that flatten_column() makes.
Result<std::vector<Column>> read_arrow_columns(const std::vector<const ArrowNode*>& nodes, const arrow::RecordBatch& batch,
                                               std::string_view body, const Dictionaries& dictionaries,
                                               const IpcReadLimits& limits, const DictionaryMisfits& known = {},
                                               IpcMisfits* misfits = nullptr);

// Structs at the top level become columns named `outer.inner`, as contracts have them; a null struct makes its members
// null.
void flatten_fields(const ArrowNode& node, bool nullable, std::vector<Field>* fields);
void flatten_column(const Column& column, const BufferPtr& validity, std::vector<Column>* columns);

}  // namespace runink::columnar
