// Text of values: what a parser takes, its writer writes so that the parser takes it to the same value.
// The input is a type's number, the length of a format, the format, and the text.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "data/columnar/text.h"

using namespace runink;            // NOLINT: one function
using namespace runink::columnar;  // NOLINT

namespace {

// Numbered as in the seeds.
std::vector<DataType> types() {
  const auto street = DataType::structure({{"street", TypeId::kString, true, {}, {}},
                                           {"number", TypeId::kInt32, true, {}, {}},
                                           {"tags", DataType::list(TypeId::kString), true, {}, {}}});
  return {TypeId::kBool, TypeId::kInt8, TypeId::kInt16, TypeId::kInt32, TypeId::kInt64, TypeId::kUInt8, TypeId::kUInt16,
          TypeId::kUInt32, TypeId::kUInt64, TypeId::kFloat32, TypeId::kFloat64, DataType::decimal(38, 4), TypeId::kString,
          TypeId::kBytes, TypeId::kJson, TypeId::kDate, TypeId::kTime, TypeId::kTimestamp, TypeId::kDuration,
          TypeId::kUuid, DataType::enumeration({"economy", "business", "first", "N/A"}),
          DataType::list(TypeId::kString), DataType::list(street)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  static const std::vector<DataType> kTypes = types();
  Field field{"field", kTypes[data[0] % kTypes.size()], true, {}, {}};
  const size_t format_size = std::min<size_t>(data[1] % 40, size - 2);
  field.format.assign(reinterpret_cast<const char*>(data) + 2, format_size);
  const std::string_view text(reinterpret_cast<const char*>(data) + 2 + format_size, size - 2 - format_size);
  auto made = FieldText::make(field);
  const FieldText reader = made.ok() ? *made : FieldText(field.type);
  const bool iso = reader.format() == nullptr;
  ColumnBuilder builder(field.type);
  const TextError error = reader.append_parsed(text, builder);
  RUNINK_CHECK(builder.length() == (error == TextError::kOk ? 1 : 0));
  const auto value = reader.parse(text);
  RUNINK_CHECK(value.ok() == (error == TextError::kOk));
  is_valid_json(text);
  Value ignored;
  if (reader.parse_json(text, &ignored) == TextError::kOk) RUNINK_CHECK(is_valid_json(text));
  if (error != TextError::kOk) return 0;
  const Column column = builder.finish();
  if (column.is_null(0)) return 0;  // JSON's null for a list; plain text of null is empty
  std::string shown;
  reader.append_plain(column, 0, shown);
  if (!iso) return 0;  // a format may leave parts of the value out
  ColumnBuilder again(field.type);
  RUNINK_CHECK(reader.append_parsed(shown, again) == TextError::kOk || !is_valid_utf8(text));
  if (again.length() == 1) RUNINK_CHECK(compare_values(value_at(column, 0), value_at(again.finish(), 0)) == 0);
  return 0;
}
