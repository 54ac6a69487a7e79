#include "data/columnar/test_data.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "data/columnar/builder.h"

namespace runink::columnar {

std::vector<Field> sample_fields() {
  const auto street = DataType::structure({{"street", TypeId::kString, true, {}, {}},
                                           {"number", TypeId::kInt32, true, {}, {}},
                                           {"tags", DataType::list(TypeId::kString), true, {}, {}}});
  std::vector<Field> fields;
  const auto add = [&](const char* name, DataType type) { fields.push_back({name, std::move(type), true, {}, {}}); };
  add("flag", TypeId::kBool);
  add("i8", TypeId::kInt8);
  add("i16", TypeId::kInt16);
  add("i32", TypeId::kInt32);
  add("i64", TypeId::kInt64);
  add("u8", TypeId::kUInt8);
  add("u16", TypeId::kUInt16);
  add("u32", TypeId::kUInt32);
  add("u64", TypeId::kUInt64);
  add("f32", TypeId::kFloat32);
  add("f64", TypeId::kFloat64);
  add("fare", DataType::decimal(38, 4));
  add("name", TypeId::kString);
  add("raw", TypeId::kBytes);
  add("extra", TypeId::kJson);
  add("day", TypeId::kDate);
  add("at", TypeId::kTime);
  add("stamp", TypeId::kTimestamp);
  add("took", TypeId::kDuration);
  add("id", TypeId::kUuid);
  add("cabin", DataType::enumeration({"economy", "business", "first", "N/A"}));
  add("tags", DataType::list(TypeId::kString));
  add("stops", DataType::list(street));
  add("nothing", TypeId::kNull);
  return fields;
}

namespace {

template <typename T>
T pick(std::mt19937_64& random, std::initializer_list<T> from) {
  return *(from.begin() + random() % from.size());
}

template <typename T>
T pick_integer(std::mt19937_64& random) {
  using Limits = std::numeric_limits<T>;
  return pick<T>(random, {Limits::min(), Limits::max(), T(0), T(1), static_cast<T>(-1), static_cast<T>(random())});
}

}  // namespace

Value sample_value(const DataType& type, double nulls, std::mt19937_64& random) {
  if (type.id() == TypeId::kNull || std::uniform_real_distribution<double>()(random) < nulls) return Value();
  switch (type.id()) {
    case TypeId::kNull: break;
    case TypeId::kBool: return Value(random() % 2 == 0);
    case TypeId::kInt8: return Value(pick_integer<int8_t>(random));
    case TypeId::kInt16: return Value(pick_integer<int16_t>(random));
    case TypeId::kInt32: return Value(pick_integer<int32_t>(random));
    case TypeId::kInt64: return Value(pick_integer<int64_t>(random));
    case TypeId::kUInt8: return Value(pick_integer<uint8_t>(random));
    case TypeId::kUInt16: return Value(pick_integer<uint16_t>(random));
    case TypeId::kUInt32: return Value(pick_integer<uint32_t>(random));
    case TypeId::kUInt64: return Value(pick_integer<uint64_t>(random));
    case TypeId::kFloat32:
      return Value(static_cast<double>(pick<float>(random, {0.0f, -0.0f, 1.5f, -2.25f, std::numeric_limits<float>::max(),
                                                            std::numeric_limits<float>::denorm_min(), NAN, INFINITY,
                                                            -INFINITY})));
    case TypeId::kFloat64:
      return Value(pick<double>(random, {0.0, -0.0, 0.1, -1e300, 5e-324, std::nan(""), INFINITY, -INFINITY, 12345.678,
                                         static_cast<double>(random() % 1000) / 8}));
    case TypeId::kDecimal: {
      int128 limit = 1;
      for (int i = 0; i < type.precision(); ++i) limit *= 10;
      return Value(pick<int128>(random, {0, 1, -1, limit - 1, 1 - limit, static_cast<int64_t>(random()) % limit}));
    }
    case TypeId::kString:
      return Value(pick<std::string_view>(random, {"", "a", "ab", std::string_view("a\0b", 3), std::string_view("\0", 1),
                                                   "Zürich", "東京", "🛫", "a text longer than sixteen bytes", "Ab"}));
    case TypeId::kBytes:
      return Value(pick<std::string_view>(random, {"", "\xFF\xFE", std::string_view("\0\xFF\0", 3), "plain", "\x01"}));
    case TypeId::kJson:
      return Value(pick<const char*>(random, {"{}", "[1, 2]", "null", "\"x\"", "{\"a\":{\"b\":[true,1e5]}}"}));
    case TypeId::kDate: return Value(pick<int32_t>(random, {0, -1, 11332, -719162, 2932896}));
    case TypeId::kTime: return Value(pick<int64_t>(random, {0, 1, 86399999999, 66000000000}));
    case TypeId::kTimestamp:
      return Value(pick<int64_t>(random, {0, -1, 979150800000000, 979150800000001, -62135596800000000}));
    case TypeId::kDuration: return Value(pick<int64_t>(random, {0, 1, -1, 86400000000, INT64_MIN, INT64_MAX}));
    case TypeId::kUuid: {
      std::string bytes(16, static_cast<char>(random() % 3 * 127));
      bytes[15] = static_cast<char>(random() % 2);
      return Value(std::move(bytes));
    }
    case TypeId::kEnum: return Value(static_cast<int64_t>(random() % type.labels().size()));
    case TypeId::kList: {
      std::vector<Value> elements(random() % 4);
      for (auto& element : elements) element = sample_value(type.element(), nulls, random);
      return Value(std::move(elements));
    }
    case TypeId::kStruct: {
      std::vector<Value> members;
      for (const auto& field : type.fields()) members.push_back(sample_value(field.type, nulls, random));
      return Value(std::move(members));
    }
  }
  return Value();
}

Batch sample_batch(uint64_t seed, int64_t rows, double nulls) {
  std::mt19937_64 random(seed);
  BatchBuilder builder(std::make_shared<Schema>(sample_fields()));
  for (int64_t i = 0; i < rows; ++i) {
    for (size_t c = 0; c < builder.size(); ++c) {
      builder.column(c).append_value(sample_value(builder.column(c).type(), nulls, random));
    }
  }
  return builder.finish();
}

std::string difference(const Batch& a, const Batch& b) {
  if (!(*a.schema == *b.schema)) return "schemas: " + a.schema->to_string() + " | " + b.schema->to_string();
  if (a.rows != b.rows) return fmt::format("{} rows | {} rows", a.rows, b.rows);
  for (size_t c = 0; c < a.columns.size(); ++c) {
    for (int64_t i = 0; i < a.rows; ++i) {
      const Value va = value_at(a.columns[c], i), vb = value_at(b.columns[c], i);
      // compare_values takes -0 for 0; here it counts.
      const auto zero = [](const Value& v) { return v.data.index() == 4 && v.as_double() == 0; };
      const bool same_zero = !zero(va) || !zero(vb) || std::signbit(va.as_double()) == std::signbit(vb.as_double());
      if (compare_values(va, vb) == 0 && same_zero) continue;
      const DataType& type = a.schema->field(c).type;
      return fmt::format("{} row {}: {} | {}", a.schema->field(c).name, i, value_to_json(type, va), value_to_json(type, vb));
    }
  }
  return "";
}

}  // namespace runink::columnar
