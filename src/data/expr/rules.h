// The rules of a contract's fields as kernels over columns.
//
// Each rule looks at one column and marks the rows that break it. Null rows pass every rule but not_null. The kernels
// are built for several vector widths and chosen at start by what the processor has.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/column.h"
#include "data/columnar/value.h"

namespace runink::expr {

// The largest regular expression program kept, in bytes of RE2's memory.
inline constexpr int64_t kRegexMemoryBytes = 8 << 20;

class RuleKernel {
 public:
  virtual ~RuleKernel() = default;
  // failed[i] |= bit for every row i that breaks the rule.
  virtual void check(const columnar::Column& column, uint8_t* failed, uint8_t bit = 1) const = 0;
  // One row, for saying which rules a dead letter broke.
  bool passes(const columnar::Column& column, int64_t row) const { return passes_row(column, row); }
  // "range(-1440, 4320)", for messages and for explaining plans.
  const std::string& text() const { return text_; }

 protected:
  virtual bool passes_row(const columnar::Column& column, int64_t row) const = 0;
  std::string text_;
};
using RulePtr = std::shared_ptr<const RuleKernel>;

// Values are given in the column's own type (see columnar::Value). Each fails with kInvalidArgument where the rule does
// not fit the type.

RulePtr rule_not_null();
// Inclusive on both sides; a missing side is open. Numbers, date, time, timestamp, duration. NaN is outside any range.
Result<RulePtr> rule_range(const columnar::DataType& type, std::optional<columnar::Value> min,
                           std::optional<columnar::Value> max);
// Code points of string and json, bytes of bytes, elements of a list; inclusive.
Result<RulePtr> rule_length(const columnar::DataType& type, std::optional<uint64_t> min, std::optional<uint64_t> max);
// One of the values. For an enum the values are its labels (strings) or indices (int64).
Result<RulePtr> rule_one_of(const columnar::DataType& type, const std::vector<columnar::Value>& values);
// An enum column's index is that of a label.
Result<RulePtr> rule_enum(const columnar::DataType& type);
// The whole value matches the RE2 expression. Simple expressions (sequences of literals, classes and bounded or
// unbounded repeats of one class) are compiled to tables; `allow_tables` false forces RE2, for tests.
Result<RulePtr> rule_pattern(const columnar::DataType& type, std::string_view pattern, bool allow_tables = true);

// How a pattern is checked: "classes", "literals" or "re2".
std::string pattern_method(std::string_view pattern);

// The vector level of the kernels. Levels above the best one are refused.
enum class VectorLevel { kBaseline, kAvx2, kAvx512 };
VectorLevel best_vector_level();
VectorLevel vector_level();
bool force_vector_level(VectorLevel level);  // false when this machine does not have it; for tests and benchmarks
std::string_view vector_level_name(VectorLevel level);
int vector_level_bits(VectorLevel level);

}  // namespace runink::expr
