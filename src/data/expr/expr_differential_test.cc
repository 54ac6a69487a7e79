// Random typed expressions on random records: the vectorised evaluator and the row interpreter agree, on values, on
// nulls and on which rows fail.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/expr/check.h"
#include "data/expr/eval.h"
#include "data/expr/row_interpreter.h"
#include "data/expr/test_records.h"

namespace runink::expr {
namespace {

using columnar::Batch;
using columnar::Column;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;

const columnar::SchemaPtr& schema() {
  static const auto s = std::make_shared<const columnar::Schema>(
      std::vector<columnar::Field>{{"b1", TypeId::kBool},
                                   {"b2", TypeId::kBool},
                                   {"i8", TypeId::kInt8},
                                   {"i16", TypeId::kInt16},
                                   {"i32", TypeId::kInt32},
                                   {"i64", TypeId::kInt64},
                                   {"u8", TypeId::kUInt8},
                                   {"u32", TypeId::kUInt32},
                                   {"u64", TypeId::kUInt64},
                                   {"f32", TypeId::kFloat32},
                                   {"f64", TypeId::kFloat64},
                                   {"d2", DataType::decimal(12, 2)},
                                   {"d4", DataType::decimal(20, 4)},
                                   {"s1", TypeId::kString},
                                   {"s2", TypeId::kString, false},
                                   {"e", DataType::enumeration({"red", "Green", "blue"})},
                                   {"day", TypeId::kDate},
                                   {"at", TypeId::kTimestamp},
                                   {"took", TypeId::kDuration},
                                   {"n", TypeId::kInt32, false}});
  return s;
}

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  int below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  template <typename T>
  const T& one_of(const std::vector<T>& list) {
    return list[random_() % list.size()];
  }

  int64_t integer(int64_t low, int64_t high) {
    switch (below(10)) {
      case 0:
        return low;
      case 1:
        return high;
      case 2:
        return high - 1;
      default:
        return std::clamp<int64_t>(below(41) - 20, low, high);
    }
  }

  Batch batch(int64_t rows) {
    columnar::BatchBuilder out(schema());
    for (int64_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < schema()->size(); ++c) {
        auto& column = out.column(c);
        if (schema()->field(c).nullable && chance(20)) {
          column.append_null();
          continue;
        }
        switch (schema()->field(c).type.id()) {
          case TypeId::kBool:
            column.append(chance(50));
            break;
          case TypeId::kInt8:
            column.append(integer(-128, 127));
            break;
          case TypeId::kInt16:
            column.append(integer(-32768, 32767));
            break;
          case TypeId::kInt32:
            column.append(integer(INT32_MIN, INT32_MAX));
            break;
          case TypeId::kInt64:
            column.append(integer(INT64_MIN, INT64_MAX));
            break;
          case TypeId::kUInt8:
            column.append(integer(0, 255));
            break;
          case TypeId::kUInt32:
            column.append(integer(0, UINT32_MAX));
            break;
          case TypeId::kUInt64:
            column.append(chance(10) ? UINT64_MAX : static_cast<uint64_t>(below(40)));
            break;
          case TypeId::kFloat32:
            column.append(static_cast<double>(one_of<float>({0.5F, -1.25F, 3.0F, 1e30F, 0.1F, -0.0F})));
            break;
          case TypeId::kFloat64:
            column.append(one_of<double>({0.5, -1.25, 3.0, 1e300, 0.1, -0.0, 9007199254740993.0, 1e-300, 12.34}));
            break;
          case TypeId::kDecimal:
            column.append(static_cast<columnar::int128>(chance(10) ? 999999999999LL : below(20001) - 10000));
            break;
          case TypeId::kString:
            column.append(std::string_view(
                one_of<std::string>({"", "a", "Ab", "é", "aÉb", "12", "-7", "red", "abcabc", "3000000000"})));
            break;
          case TypeId::kEnum:
            column.append(static_cast<int64_t>(below(3)));
            break;
          case TypeId::kDate:
            column.append(static_cast<int64_t>(chance(10) ? -719162 : below(40000) - 10000));
            break;
          case TypeId::kTimestamp:
            column.append(chance(10) ? int64_t{253402300799999999}
                                     : (below(40000) - 10000) * int64_t{86400000000} + below(1000000000));
            break;
          default:
            column.append(integer(-100000000000, 100000000000));
            break;
        }
      }
    }
    return out.finish();
  }

  std::string boolean(int depth) {
    if (depth <= 0) return one_of<std::string>({"b1", "b2", "true", "false", "b1", "b2", "b1"});
    const int d = depth - 1;
    switch (below(14)) {
      case 0:
        return "(" + boolean(d) + " and " + boolean(d) + ")";
      case 1:
        return "(" + boolean(d) + " or " + boolean(d) + (chance(30) ? " or " + boolean(d) : "") + ")";
      case 2:
        return "(not " + boolean(d) + ")";
      case 3:
        return "(" + any(d) + " is null)";
      case 4:
        return "(" + any(d) + " is not null)";
      case 5:
      case 6:
        return "(" + number(d) + " " + comparison() + " " + number(d) + ")";
      case 7:
        return "(" + text(d) + " " + comparison() + " " + text(d) + ")";
      case 8:
        return "(" + instant(d) + " " + comparison() + " " + instant(d) + ")";
      case 9:
        return "(" + number(d) + (chance(50) ? " not" : "") + " in (" + number(d) + ", " + literal() + ", " +
               literal() + "))";
      case 10:
        return "(" + whole(d) + (chance(50) ? " not" : "") + " in (" + literal() + ", " + literal() + ", 7, 300))";
      case 11:
        return "(" + number(d) + (chance(50) ? " not" : "") + " between " + number(d) + " and " + number(d) + ")";
      case 12:
        return "(e " + one_of<std::string>({"== \"red\"", "!= \"Green\"", "in (\"red\", \"blue\")", "== s1"}) + ")";
      default:
        return chance(50) ? "contains(" + text(d) + ", " + text(d) + ")"
                          : "if(" + boolean(d) + ", " + boolean(d) + ", " + boolean(d) + ")";
    }
  }
  std::string comparison() { return one_of<std::string>({"==", "!=", "<", "<=", ">", ">="}); }
  std::string literal() {
    return one_of<std::string>({"0", "1", "-1", "7", "2.5", "0.1", "-0.05", "1e0", "300", "9223372036854775807",
                                "18446744073709551615", "100.00"});
  }

  std::string whole(int depth) {
    if (depth <= 0)
      return one_of<std::string>({"i8", "i16", "i32", "i64", "u8", "u32", "u64", "n", "0", "1", "7", "-3"});
    const int d = depth - 1;
    switch (below(12)) {
      case 0:
      case 1:
        return "(" + whole(d) + " + " + whole(d) + ")";
      case 2:
        return "(" + whole(d) + " - " + whole(d) + ")";
      case 3:
        return "(" + whole(d) + " * " + whole(d) + ")";
      case 4:
        return "(" + whole(d) + " % " + whole(d) + ")";
      case 5:
        return "div(" + whole(d) + ", " + whole(d) + ")";
      case 6:
        return "(-" + whole(d) + ")";
      case 7:
        return "abs(" + whole(d) + ")";
      case 8:
        return "length(" + text(d) + ")";
      case 9:
        return one_of<std::string>({"cast", "try_cast"}) + "(" + any(d) + " as " +
               one_of<std::string>({"int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"}) + ")";
      case 10:
        return one_of<std::string>({"year", "month", "day", "day_of_week"}) + "(" + instant(d) + ")";
      default:
        return choice(d, &Maker::whole);
    }
  }
  std::string number(int depth) {
    if (depth <= 0)
      return one_of<std::string>({"i8", "i32", "i64", "u64", "f32", "f64", "d2", "d4", "f64", "d2", literal()});
    const int d = depth - 1;
    switch (below(9)) {
      case 0:
      case 1:
        return "(" + number(d) + " " + one_of<std::string>({"+", "-", "*", "/", "%"}) + " " + number(d) + ")";
      case 2:
      case 3:
        return whole(depth);
      case 4:
        return "(-" + number(d) + ")";
      case 5:
        return one_of<std::string>({"abs", "sign"}) + "(" + number(d) + ")";
      case 6:
        return one_of<std::string>({"cast", "try_cast"}) + "(" + number(d) + " as " +
               one_of<std::string>({"float64", "decimal(12,2)", "decimal(5,1)", "decimal(30,6)"}) + ")";
      case 7:
        return one_of<std::string>({"least", "greatest"}) + "(" + number(d) + ", " + number(d) + ")";
      default:
        return choice(d, &Maker::number);
    }
  }
  std::string text(int depth) {
    if (depth <= 0) return one_of<std::string>({"s1", "s2", "s1", "e", "\"a\"", "\"\"", "\"é\"", "s2"});
    const int d = depth - 1;
    switch (below(12)) {
      case 0:
      case 1:
        return "(" + text(d) + " + " + text(d) + (chance(50) ? " + \"-\" + " + text(d) : "") + ")";
      case 2:
        return "lower(" + text(d) + ")";
      case 3:
        return "upper(" + text(d) + ")";
      case 4:
        return "substring(" + text(d) + ", " + small(d) + (chance(50) ? ", " + small(d) : "") + ")";
      case 5:
        return "left(" + text(d) + ", " + small(d) + ")";
      case 6:
        return "right(" + text(d) + ", " + small(d) + ")";
      case 7:
        return "replace(" + text(d) + ", " + text(d) + ", " + text(d) + ")";
      case 8:
        return "reverse(" + text(d) + ")";
      case 9:
        return "cast(" + (chance(50) ? whole(d) : chance(50) ? std::string("d2") : boolean(d)) + " as string)";
      case 10:
        return "concat(" + text(d) + ", " + text(d) + ")";
      default:
        return choice(d, &Maker::text);
    }
  }
  std::string small(int depth) {
    return depth > 0 && chance(20) ? whole(depth) : one_of<std::string>({"1", "2", "3", "-1", "-2", "0", "n", "100"});
  }
  std::string instant(int depth) {
    if (depth <= 0)
      return one_of<std::string>({"at", "day", "date \"2001-02-03\"", "timestamp \"2001-02-03T04:05:06Z\""});
    const int d = depth - 1;
    switch (below(5)) {
      case 0:
        return "(" + instant(d) + " + " + length(d) + ")";
      case 1:
        return "(" + instant(d) + " - " + length(d) + ")";
      case 2:
        return "date(" + instant(d) + ")";
      case 3:
        return "cast(" + instant(d) + " as timestamp)";
      default:
        return choice(d, &Maker::instant);
    }
  }
  std::string length(int depth) {
    if (depth <= 0) return one_of<std::string>({"took", "2d", "15m", "1us", "took"});
    const int d = depth - 1;
    switch (below(4)) {
      case 0:
        return "(" + length(d) + " + " + length(d) + ")";
      case 1:
        return "(" + instant(d) + " - " + instant(d) + ")";
      case 2:
        return "(" + length(d) + " * " + one_of<std::string>({"2", "n", "i64"}) + ")";
      default:
        return "(" + length(d) + " / " + one_of<std::string>({"2", "n", "i8"}) + ")";
    }
  }
  std::string choice(int depth, std::string (Maker::*of)(int)) {
    switch (below(6)) {
      case 0:
        return "coalesce(" + (this->*of)(depth) + ", " + (this->*of)(depth) + ")";
      case 1:
        return "nullif(" + (this->*of)(depth) + ", " + (this->*of)(depth) + ")";
      case 2:
        return "if_null(" + (this->*of)(depth) + ", " + (this->*of)(depth) + ")";
      case 3:
        return "case when " + boolean(depth) + " then " + (this->*of)(depth) + " when " + boolean(depth) + " then " +
               (this->*of)(depth) + (chance(50) ? " else " + (this->*of)(depth) : std::string()) + " end";
      default:
        return "if(" + boolean(depth) + ", " + (this->*of)(depth) + ", " + (this->*of)(depth) + ")";
    }
  }
  std::string any(int depth) {
    switch (below(5)) {
      case 0:
        return boolean(depth);
      case 1:
        return number(depth);
      case 2:
        return text(depth);
      case 3:
        return whole(depth);
      default:
        return instant(depth);
    }
  }

 private:
  std::mt19937_64 random_;
};

struct Tally {
  int checked = 0, refused = 0;
  int64_t values = 0, nulls = 0, errors = 0, unknown = 0;
};

std::string shown(const DataType& type, const Value& value) {
  if (value.is_null()) return "null";
  return show(columnar::make_column(type, {value}), 0);
}

// What differs, or nothing.
std::string difference(const std::string& text, const Batch& batch, Tally& tally) {
  Diagnostics diagnostics;
  const auto source = source_of(text);
  const ExprPtr tree = parse(source, {0, text.size()}, diagnostics);
  if (!tree) return "does not parse: " + diagnostics.render();
  const TypedExpr typed = check(tree, source, Scope(batch.schema), diagnostics);
  if (!typed.valid()) {
    ++tally.refused;
    return "";
  }
  ++tally.checked;
  Evaluator evaluator(typed);
  std::vector<RowError> errors;
  const auto column = evaluator.evaluate(batch, test_context(), errors);
  if (!column.ok()) return column.status().to_string();
  if (column->length != batch.rows || !(column->type == typed.type())) return "the column is of another type or length";
  RowInterpreter rows(tree, source, batch);
  size_t next = 0;
  for (int64_t row = 0; row < batch.rows; ++row) {
    const bool failed = next < errors.size() && errors[next].row == row;
    const std::string got = failed ? "error " + errors[next].message : show(*column, row);
    next += failed ? 1 : 0;
    if (failed && column->is_valid(row)) return fmt::format("row {}: an error, and a value", row);
    const RowResult wanted = rows.run(row);
    if (wanted.kind == RowResult::Kind::kUnknown) {
      ++tally.unknown;
      continue;
    }
    const bool wanted_error = wanted.kind == RowResult::Kind::kError;
    if (failed != wanted_error || (!failed && got != shown(typed.type(), wanted.value))) {
      return fmt::format("row {}: {}, and row by row {}", row, got,
                         wanted_error ? "error " + wanted.what : shown(typed.type(), wanted.value));
    }
    if (!failed && !typed.nullable() && column->is_null(row))
      return fmt::format("row {}: null, and it is said never to be", row);
    ++(failed ? tally.errors : wanted.value.is_null() ? tally.nulls : tally.values);
  }
  return next == errors.size() ? "" : "errors beyond the rows or out of order";
}

// The smallest part that differs too, for the message.
std::string smallest(const ExprPtr& tree, const Batch& batch) {
  for (const auto& arg : tree->args) {
    const std::string part = smallest(arg, batch);
    if (!part.empty()) return part;
  }
  Tally tally;
  const std::string what = difference(to_text(*tree), batch, tally);
  return what.empty() ? "" : to_text(*tree) + "\n  " + what;
}

void compare_one(const std::string& text, const Batch& batch, Tally& tally) {
  const std::string what = difference(text, batch, tally);
  if (what.empty()) return;
  Diagnostics diagnostics;
  const auto source = source_of(text);
  const ExprPtr tree = parse(source, {0, text.size()}, diagnostics);
  FAIL() << text << "\n  " << what << "\nsmallest part:\n" << (tree ? smallest(tree, batch) : "");
}

TEST(ExprDifferential, TheEvaluatorAgreesWithTheRowInterpreter) {
  // RUNINK_ROUNDS makes a longer search by hand.
  const char* rounds = std::getenv("RUNINK_ROUNDS");
  const uint64_t seeds = rounds != nullptr ? static_cast<uint64_t>(std::atoll(rounds)) : 40;
  Tally tally;
  for (uint64_t seed = 0; seed < seeds && !testing::Test::HasFatalFailure(); ++seed) {
    Maker maker(seed);
    const Batch batch = maker.batch(static_cast<int64_t>(seed % 5 == 0 ? seed / 5 : 70));
    for (int i = 0; i < 60 && !testing::Test::HasFatalFailure(); ++i) {
      const int depth = 1 + maker.below(4);
      compare_one(maker.chance(30) ? maker.boolean(depth) : maker.any(depth), batch, tally);
    }
  }
  // The generator must keep finding something to say.
  EXPECT_GT(tally.checked, 1000);
  EXPECT_GT(tally.values, 20000);
  EXPECT_GT(tally.nulls, 5000);
  EXPECT_GT(tally.errors, 2000);
  EXPECT_LT(tally.unknown, tally.values);
  RecordProperty("checked", tally.checked);
  RecordProperty("refused", tally.refused);
}

// A part of the rows gives the same as the same rows among others.
TEST(ExprDifferential, RowsDoNotSeeEachOther) {
  Maker maker(99);
  const Batch batch = maker.batch(130);
  int compared = 0;
  for (int i = 0; i < 400; ++i) {
    const std::string text = maker.any(3);
    Diagnostics diagnostics;
    const auto source = source_of(text);
    const TypedExpr typed =
        check(parse(source, {0, text.size()}, diagnostics), source, Scope(batch.schema), diagnostics);
    if (!typed.valid()) continue;
    Evaluator evaluator(typed);
    std::vector<RowError> all_errors, part_errors;
    const Column all = *evaluator.evaluate(batch, test_context(), all_errors);
    const Column part = *evaluator.evaluate(columnar::slice(batch, 40, 50), test_context(), part_errors);
    for (int64_t row = 0; row < 50; ++row) ASSERT_EQ(show(all, row + 40), show(part, row)) << text;
    size_t expected = 0;
    for (const auto& error : all_errors) expected += error.row >= 40 && error.row < 90 ? 1 : 0;
    ASSERT_EQ(part_errors.size(), expected) << text;
    ++compared;
  }
  EXPECT_GT(compared, 100);
}

}  // namespace
}  // namespace runink::expr
