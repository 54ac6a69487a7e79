#include "data/expr/number.h"

#include <array>
#include <cmath>
#include <cstdlib>

#include "data/columnar/text.h"

namespace runink::expr {

using columnar::TypeId;
using uint128 = unsigned __int128;

namespace {

constexpr std::array<int128, 39> make_powers() {
  std::array<int128, 39> powers{};
  int128 p = 1;
  for (int i = 0; i < 39; ++i) {
    powers[static_cast<size_t>(i)] = p;
    if (i < 38) p *= 10;
  }
  return powers;
}
constexpr std::array<int128, 39> kPowers = make_powers();

uint128 magnitude(int128 v) { return v < 0 ? 0 - static_cast<uint128>(v) : static_cast<uint128>(v); }

// 256-bit unsigned, for the products and quotients that 128 bits cannot hold.
struct Wide {
  uint128 high = 0, low = 0;
};

Wide multiply(uint128 a, uint128 b) {
  const uint64_t a0 = static_cast<uint64_t>(a), a1 = static_cast<uint64_t>(a >> 64);
  const uint64_t b0 = static_cast<uint64_t>(b), b1 = static_cast<uint64_t>(b >> 64);
  const uint128 p00 = static_cast<uint128>(a0) * b0, p01 = static_cast<uint128>(a0) * b1;
  const uint128 p10 = static_cast<uint128>(a1) * b0, p11 = static_cast<uint128>(a1) * b1;
  const uint128 middle = (p00 >> 64) + static_cast<uint64_t>(p01) + static_cast<uint64_t>(p10);
  Wide out;
  out.low = static_cast<uint64_t>(p00) | (middle << 64);
  out.high = p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64);
  return out;
}

// Shift and subtract; the quotient must fit 128 bits, which the caller knows from high < divisor.
uint128 divide(Wide n, uint128 divisor, uint128* remainder) {
  uint128 rest = n.high, quotient = 0;
  for (int bit = 127; bit >= 0; --bit) {
    const bool carry = static_cast<bool>(rest >> 127);
    rest = (rest << 1) | ((n.low >> bit) & 1);
    quotient <<= 1;
    if (carry || rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
  }
  *remainder = rest;
  return quotient;
}

}  // namespace

int128 power_of_ten(int n) { return kPowers[static_cast<size_t>(n)]; }

int integer_digits(TypeId id) {
  switch (id) {
    case TypeId::kBool:
      return 1;
    case TypeId::kInt8:
    case TypeId::kUInt8:
      return 3;
    case TypeId::kInt16:
    case TypeId::kUInt16:
      return 5;
    case TypeId::kInt32:
    case TypeId::kUInt32:
      return 10;
    case TypeId::kUInt64:
      return 20;
    default:
      return 19;
  }
}

bool scale_up(int128 value, int up, int128* out) {
  if (value == 0) {
    *out = 0;
    return true;
  }
  if (up > 38) return false;
  return !__builtin_mul_overflow(value, kPowers[static_cast<size_t>(up)], out) && fits_digits(*out, 38);
}

int128 scale_down(int128 value, int down) {
  if (down == 0) return value;
  if (down > 38) return 0;
  const int128 unit = kPowers[static_cast<size_t>(down)];
  const int128 quotient = value / unit;
  const int128 rest = value % unit;
  const uint128 twice = magnitude(rest) * 2;
  if (twice >= static_cast<uint128>(unit)) return quotient + (value < 0 ? -1 : 1);
  return quotient;
}

bool divide_scaled(int128 a, int shift, int128 b, int128* out) {
  const uint128 divisor = magnitude(b);
  uint128 quotient = 0, remainder = 0;
  int128 direct = 0;
  const bool small =
      shift <= 38 && !__builtin_mul_overflow(a, kPowers[static_cast<size_t>(std::min(shift, 38))], &direct);
  if (small) {
    quotient = magnitude(direct) / divisor;
    remainder = magnitude(direct) % divisor;
  } else {
    // At most 38 + 38 digits fit 256 bits; a larger shift of a non-zero value cannot fit the result either, unless the
    // divisor is that large too, which 38 digits bound.
    if (shift > 76) return a == 0 ? (*out = 0, true) : false;
    Wide wide = multiply(magnitude(a), static_cast<uint128>(kPowers[static_cast<size_t>(std::min(shift, 38))]));
    if (shift > 38) {
      if (wide.high != 0) return false;
      wide = multiply(wide.low, static_cast<uint128>(kPowers[static_cast<size_t>(shift - 38)]));
    }
    if (wide.high >= divisor) return false;
    quotient = divide(wide, divisor, &remainder);
  }
  if (remainder >= divisor - remainder) ++quotient;
  if (quotient >= static_cast<uint128>(kPowers[38])) return false;
  const bool negative = (a < 0) != (b < 0);
  *out = negative ? -static_cast<int128>(quotient) : static_cast<int128>(quotient);
  return true;
}

double decimal_to_double(int128 value, int scale) {
  // Below 2^53 both value and power of ten (up to 10^22) are exact, so one division rounds correctly.
  if (scale <= 22 && magnitude(value) < (uint128{1} << 53)) {
    return static_cast<double>(static_cast<int64_t>(value)) / static_cast<double>(kPowers[static_cast<size_t>(scale)]);
  }
  if (scale == 0) return static_cast<double>(value);
  std::string text;
  columnar::append_decimal(text, value, scale);
  double out = 0;
  (void)columnar::parse_double(text, &out);
  return out;
}

bool double_to_decimal(double value, int precision, int scale, int128* out) {
  if (!std::isfinite(value)) return false;
  if (std::fabs(value) >= 1e38) return false;
  // Through the shortest text that reads back the same: 0.1 becomes 0.1, not 0.1000000000000000055.
  std::string text;
  columnar::append_double(text, value);
  bool negative = false;
  int128 digits = 0;
  int exponent = 0;
  bool after_point = false;
  size_t i = 0;
  if (i < text.size() && text[i] == '-') negative = true, ++i;
  for (; i < text.size() && text[i] != 'e'; ++i) {
    if (text[i] == '.') {
      after_point = true;
      continue;
    }
    if (digits < kPowers[37]) {
      digits = digits * 10 + (text[i] - '0');
      if (after_point) --exponent;
    } else if (!after_point) {
      ++exponent;
    }
  }
  if (i < text.size()) exponent += std::atoi(text.c_str() + i + 1);
  if (negative) digits = -digits;
  const int shift = exponent + scale;
  if (shift >= 0) {
    if (!scale_up(digits, shift, out)) return false;
  } else {
    *out = scale_down(digits, -shift);
  }
  return fits_digits(*out, precision);
}

int compare_doubles(double a, double b) {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a == b) return 0;
  const bool a_nan = std::isnan(a), b_nan = std::isnan(b);
  return static_cast<int>(a_nan) - static_cast<int>(b_nan);
}

int compare_decimals(int128 a, int scale_a, int128 b, int scale_b) {
  int128 raised = 0;
  if (scale_a < scale_b) {
    if (__builtin_mul_overflow(a, kPowers[static_cast<size_t>(scale_b - scale_a)], &raised)) return a < 0 ? -1 : 1;
    a = raised;
  } else if (scale_b < scale_a) {
    if (__builtin_mul_overflow(b, kPowers[static_cast<size_t>(scale_a - scale_b)], &raised)) return b < 0 ? 1 : -1;
    b = raised;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

int compare_decimal_double(int128 a, int scale, double b) {
  if (std::isnan(b)) return -1;
  if (b >= 1.7e38) return -1;
  if (b <= -1.7e38) return 1;
  const int sign_a = a < 0 ? -1 : a > 0 ? 1 : 0, sign_b = b < 0 ? -1 : b > 0 ? 1 : 0;
  if (sign_a != sign_b) return sign_a < sign_b ? -1 : 1;
  if (sign_a < 0) return -compare_decimal_double(-a, scale, -b);
  // Neither is negative now, so taking the whole part off a double is exact. Whole parts first; both fit int128.
  const int128 unit = kPowers[static_cast<size_t>(scale)];
  const double b_floor = std::floor(b);
  const auto b_whole = static_cast<int128>(b_floor);
  const int128 a_whole = a / unit, a_rest = a % unit;
  if (a_whole != b_whole) return a_whole < b_whole ? -1 : 1;
  // Fractions: b's is f / 2^k exactly with f < 2^k. Peel binary digits off both; a double has at most 1074 of them.
  double fraction = b - b_floor;
  auto rest = static_cast<uint128>(a_rest);
  const auto whole = static_cast<uint128>(unit);
  while (fraction != 0 || rest != 0) {
    rest *= 2;  // below 2·10^38, which fits
    fraction *= 2;
    const int a_bit = rest >= whole ? 1 : 0;
    const int b_bit = fraction >= 1 ? 1 : 0;
    if (a_bit != b_bit) return a_bit < b_bit ? -1 : 1;
    if (a_bit != 0) rest -= whole;
    if (b_bit != 0) fraction -= 1;
    if (fraction == 0) return rest == 0 ? 0 : 1;
  }
  return 0;
}

int compare_numbers(const Number& a, const Number& b) {
  if (a.is_float && b.is_float) return compare_doubles(a.real, b.real);
  if (a.is_float) return -compare_decimal_double(b.scaled, b.scale, a.real);
  if (b.is_float) return compare_decimal_double(a.scaled, a.scale, b.real);
  return compare_decimals(a.scaled, a.scale, b.scaled, b.scale);
}

Number number_at(const columnar::Column& column, int64_t row) {
  Number n;
  switch (column.type.id()) {
    case TypeId::kBool:
    case TypeId::kUInt8:
      n.scaled = column.data<uint8_t>()[row];
      break;
    case TypeId::kInt8:
      n.scaled = column.data<int8_t>()[row];
      break;
    case TypeId::kInt16:
      n.scaled = column.data<int16_t>()[row];
      break;
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum:
      n.scaled = column.data<int32_t>()[row];
      break;
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
      n.scaled = column.data<int64_t>()[row];
      break;
    case TypeId::kUInt16:
      n.scaled = column.data<uint16_t>()[row];
      break;
    case TypeId::kUInt32:
      n.scaled = column.data<uint32_t>()[row];
      break;
    case TypeId::kUInt64:
      n.scaled = column.data<uint64_t>()[row];
      break;
    case TypeId::kDecimal:
      n.scaled = column.data<int128>()[row];
      n.scale = column.type.scale();
      break;
    case TypeId::kFloat32:
      n.is_float = true;
      n.real = static_cast<double>(column.data<float>()[row]);
      break;
    case TypeId::kFloat64:
      n.is_float = true;
      n.real = column.data<double>()[row];
      break;
    default:
      break;
  }
  return n;
}

}  // namespace runink::expr
