// Exact arithmetic and comparison of integers, decimals and floats. Internal.
#pragma once

#include <cstdint>

#include "data/columnar/column.h"

namespace runink::expr {

using columnar::int128;

// 10^n for 0 ≤ n ≤ 38.
int128 power_of_ten(int n);
// Decimal digits that hold every value of an integer type: int8 3, …, uint64 20.
int integer_digits(columnar::TypeId id);

// |value| < 10^digits
inline bool fits_digits(int128 value, int digits) {
  const int128 bound = power_of_ten(digits);
  return value < bound && value > -bound;
}

// value * 10^up; false on overflow of 38 digits.
bool scale_up(int128 value, int up, int128* out);
// value / 10^down, rounded half away from zero.
int128 scale_down(int128 value, int down);

// a·10^shift / b, rounded half away from zero; false when it does not fit 38 digits. b is not 0; shift ≥ 0.
bool divide_scaled(int128 a, int shift, int128 b, int128* out);
// Rounded once, to the nearest double.
double decimal_to_double(int128 value, int scale);
// Rounded half away from zero at `scale`; false when NaN, infinite or more than `precision` digits.
bool double_to_decimal(double value, int precision, int scale, int128* out);

// -1, 0, 1. NaN equals NaN and is above every number.
int compare_doubles(double a, double b);
int compare_decimals(int128 a, int scale_a, int128 b, int scale_b);
int compare_decimal_double(int128 a, int scale, double b);

// One number of any numeric type, for exact comparison.
struct Number {
  bool is_float = false;
  double real = 0;
  int128 scaled = 0;
  int scale = 0;
};
int compare_numbers(const Number& a, const Number& b);
Number number_at(const columnar::Column& column, int64_t row);

}  // namespace runink::expr
