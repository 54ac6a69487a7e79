// JsonWalker: the strict, general way through one JSON record (RFC 8259), in any key order, spacing and nesting, with
// the exact reason where it is broken. It decides what is right; the hot loop only goes the same way faster.
//
// A JsonWalker belongs to one reader. Text given to it must be valid UTF-8 (or walk() is not to be called), followed by
// at least 64 readable bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "data/columnar/value.h"
#include "data/connectors/field_codec.h"
#include "data/connectors/row_builder.h"

namespace runink::connectors {

// Names that the contract does not know, with counts; bounded.
class DriftCounter {
 public:
  // A number for the name, the same for the same name; names beyond the bound share one.
  uint32_t id_of(std::string_view name);
  void count(uint32_t id, uint64_t times = 1) { counts_[id] += times; }
  std::vector<std::pair<std::string, uint64_t>> take();  // sorted by name; counts start at 0 again

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> ids_;
  std::vector<std::string> names_;
  std::vector<uint64_t> counts_;
};

class JsonWalker {
 public:
  JsonWalker(const std::vector<FieldCodec>& codecs, bool open, size_t open_column, RowBuilder* rows,
             DriftCounter* drift);

  struct Failure {
    Undecodable reason = Undecodable::kSyntax;
    uint32_t at = 0;
    int32_t field = -1;
    uint8_t struct_parts = 0;  // as in UndecodableRecord
  };
  // Where the last walked record had its values: for learning the shape of records.
  struct Place {
    const char *begin, *end;
    int32_t column;      // -1: not of the contract
    uint32_t drift = 0;  // then: its number
  };

  // Fills the row of `rows`; false and failure() if the record cannot be decoded (drift is then not counted).
  bool walk(std::string_view record);
  const Failure& failure() const { return failure_; }
  // The same, going on behind values that are not of their field's type: their columns are null and `unread`. False where
  // the record itself is broken; that is the last of the failures then. Counts no drift.
  struct Findings {
    std::vector<Failure> failures;  // by place, one per field
    std::vector<int32_t> unread;
  };
  bool walk_on(std::string_view record, Findings* findings);
  bool verbatim() const { return verbatim_; }
  // Places of the values in order of appearance; empty if the record's shape cannot be described so.
  const std::vector<Place>& places() const { return places_; }
  const std::vector<int32_t>& missing() const { return missing_; }  // columns that the record lacks

  // One value at p, for a column or (-1) of no interest; the byte after it or null. For the hot loop. Ends at `end` at
  // the latest. `coerced` tells that the row's text is not verbatim.
  const char* value_at(const char* p, const char* end, int32_t column, bool* coerced);

  // A whole text as the value of a list or struct column (CSV cells): false if it is not.
  bool cell(std::string_view json, size_t column, Failure* failure);
  // Whether the text is one JSON value, line breaks allowed as white space.
  bool is_json(std::string_view json, Failure* failure);

 private:
  struct Node {
    std::string name;
    int32_t column = -1;                                     // a leaf
    std::vector<Node> children;                              // else a struct
    std::unordered_map<std::string_view, uint32_t> by_name;  // when there are many children
    uint32_t index = 0;                                      // among all struct nodes
    void finish(uint32_t* counter);
  };
  struct TextEnd {
    const char* stop;  // the closing quote
    bool escaped;
  };

  bool fail(Undecodable reason, const char* at, int32_t field = -1);
  void skip_space();
  bool expect_end();
  bool object(Node& node, int depth, std::string* path);
  int find_child(const Node& node, std::string_view name, size_t hint) const;
  bool struct_null(const Node& node);
  bool find(const Node* node, int32_t column);
  bool pass_over(const char* value, int32_t column, int depth);
  bool unknown(std::string_view raw_key, std::string_view name, int depth, std::string* path);
  bool field(int32_t column, int depth);
  bool null_field(int32_t column);
  bool string_field(const FieldCodec& codec, size_t column);
  bool number_field(const FieldCodec& codec, size_t column);
  bool text_scalar(const FieldCodec& codec, size_t column, std::string_view text, const char* at);
  bool scan_string(TextEnd* out);  // at the byte after the opening quote; checks escapes
  bool unescape(const char* p, const char* stop, char* out, size_t* size);  // escapes are known to be well formed
  std::string_view string_text(const TextEnd& end, const char* begin);      // unescaped, into scratch_ if need be
  bool scan_number(bool* integral);                                         // p_ moves behind it
  bool skip_value(int depth);
  bool list_value(const columnar::DataType& type, const FieldCodec& codec, int depth, int32_t column,
                  columnar::Value* out);
  const FieldCodec& codec_of(const columnar::DataType& type, const FieldCodec& parent);

  const std::vector<FieldCodec>& codecs_;
  bool open_;
  size_t open_column_;
  RowBuilder* rows_;
  DriftCounter* drift_;
  Node root_;
  std::vector<uint8_t> seen_, seen_struct_;
  std::vector<std::pair<uint32_t, bool>> drift_found_;
  std::map<std::string, FieldCodec> element_codecs_;
  std::vector<Place> places_;
  std::vector<int32_t> missing_;
  std::string scratch_, path_, extra_, key_scratch_;
  std::unordered_set<std::string> extra_names_;  // of the members in extra_, unescaped
  const char *begin_ = nullptr, *p_ = nullptr, *end_ = nullptr;
  size_t next_expected_ = 0;
  bool in_order_ = false, verbatim_ = false, coerced_ = false, describable_ = false, lines_allowed_ = false;
  Failure failure_;
  Findings* findings_ = nullptr;  // while walking on
  Scalar scalar_;
};

}  // namespace runink::connectors
