// FieldCodec: how the text of one field becomes a value, compiled once per field from its type, format and options.
//
// Immutable after make(); one per reader.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/text.h"
#include "data/columnar/type.h"
#include "data/connectors/hot.h"
#include "data/connectors/record_reader.h"

namespace runink::connectors {

struct FieldCodec {
  columnar::Field field;
  FieldOptions options;
  columnar::TypeId id = columnar::TypeId::kNull;
  int64_t low = 0, high = 0;  // integers but uint64
  std::shared_ptr<const columnar::FieldText> text;
  hot::TimeLayout json_layout, csv_layout;  // width 0: the format has none
  hot::Op op = hot::Op::kGeneral;

  static Result<FieldCodec> make(const columnar::Field& field, const FieldOptions& options);
  // Index of an enum's label, -1 for an unknown one.
  int32_t label_index(std::string_view text) const;

 private:
  std::vector<std::pair<std::string, int32_t>> labels_;  // sorted
};

// A scalar in text form: dates, uuids, labels, numbers in CSV cells and so on. What it fills depends on the type:
// micros and days and labels in `integer`, and so on.
struct Scalar {
  int64_t integer = 0;
  uint64_t unsigned_integer = 0;
  double real = 0;
  float real32 = 0;
  columnar::int128 decimal = 0;
  bool boolean = false;
  uint8_t uuid[16] = {};
  std::string bytes;
};

// Whether `text` is a value of the (scalar, not string nor json) type. `coerced` is set if that took coercion.
// kSyntax stands for "fine" nowhere: nullopt is fine.
std::optional<Undecodable> scalar_from_text(const FieldCodec& codec, std::string_view text, Scalar* out, bool* coerced);

}  // namespace runink::connectors
