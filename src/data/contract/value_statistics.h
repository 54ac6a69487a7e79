// What is kept of the values of one column while a contract is inferred. Internal to this module.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "data/columnar/time_format.h"
#include "data/contract/infer.h"

namespace runink::contract {

// A form of date or time that text may have. The first of each type is ISO 8601 (no format).
struct TimeForm {
  columnar::TypeId type;
  const char* format;  // "" for ISO 8601
};
const std::vector<TimeForm>& time_forms();

// Statistics over scalar values given as text. Bounded in memory.
class ValueStatistics {
 public:
  ValueStatistics();
  void add_text(std::string_view text);    // a JSON string or a CSV cell
  void add_number(std::string_view text);  // a JSON number
  void add_bool(bool value);

  uint64_t count() const { return count_; }
  // The narrowest type; `from_cells`: text may also be numbers and booleans. Fills in all but names and null counts.
  void describe(bool from_cells, size_t enum_values_max, ColumnProfile& out) const;
  // The kind of personal data that the values (not the name) look like; empty: none.
  std::string pii_kind() const;
  // More than one date form fits, with day and month in different places.
  bool ambiguous_date() const;

 private:
  void add_common(std::string_view text);
  void add_number_forms(std::string_view text);
  void add_time_forms(std::string_view text);
  void add_shape(std::string_view text);
  void add_pii(std::string_view text);
  bool describe_number(ColumnProfile& out) const;
  bool describe_time(ColumnProfile& out) const;
  std::string shape_pattern() const;
  const TimeForm* time_form(size_t* index = nullptr) const;

  uint64_t count_ = 0, texts_ = 0, numbers_ = 0, bools_ = 0, empty_ = 0;
  // Numbers, whether given as numbers or as text that reads as one.
  bool all_integers_ = true, all_numbers_ = true, all_bools_ = true, all_uuids_ = true;
  bool fits_int64_ = true, fits_uint64_ = true;
  int64_t int_min_ = INT64_MAX, int_max_ = INT64_MIN;
  uint64_t uint_max_ = 0;
  double number_min_ = 0, number_max_ = 0;
  int scale_min_ = 1000, scale_max_ = 0, digits_max_ = 0;  // of plain decimal text
  bool plain_decimals_ = true;
  uint32_t time_forms_ = 0;  // bit i: form i of time_forms() reads every value so far
  std::array<std::pair<int64_t, int64_t>, 32> time_range_{};
  // Text.
  uint64_t length_min_ = UINT64_MAX, length_max_ = 0;
  std::string text_min_, text_max_;
  std::map<std::string, uint64_t> distinct_;
  bool distinct_complete_ = true, all_distinct_ = true;
  std::unordered_set<uint64_t> seen_;
  static constexpr size_t kShapeMax = 16;
  struct Place {
    bool upper = false, lower = false, digit = false, other = false;
    char literal = 0;
  };
  std::vector<Place> shape_;
  bool shaped_ = true;
  uint64_t emails_ = 0, phones_ = 0, cards_ = 0, ssns_ = 0, ibans_ = 0;
};

// The kind of personal data that a field's name suggests; empty: none.
std::string pii_kind_of_name(std::string_view name);

}  // namespace runink::contract
