// Numbers, booleans, uuids and base64 as text.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "data/columnar/digits.h"
#include "data/columnar/text.h"

namespace runink::columnar {

namespace {

// Digits only, at least one.
TextError parse_digits(const char* p, size_t n, uint64_t* out) {
  uint32_t a, b;
  if (n - 1 < 8) {
    if (!eight_digits(load_digits(p, n), &a)) return TextError::kMalformed;
    *out = a;
    return TextError::kOk;
  }
  if (n - 1 < 16) {
    if (!eight_digits(load_digits(p, 8), &a) || !eight_digits(load_digits(p + 8, n - 8), &b)) {
      return TextError::kMalformed;
    }
    *out = a * kPowersOf10[n - 8] + b;
    return TextError::kOk;
  }
  if (n == 0) return TextError::kMalformed;
  while (n > 16 && *p == '0') ++p, --n;
  if (n <= 16) return parse_digits(p, n, out);
  for (size_t i = 0; i < n; ++i) {
    if (!is_digit(p[i])) return TextError::kMalformed;
  }
  if (n > 20) return TextError::kOutOfRange;
  uint64_t head = 0;
  if (parse_digits(p, 16, &head) != TextError::kOk) return TextError::kMalformed;
  unsigned __int128 value = head;
  for (size_t i = 16; i < n; ++i) value = value * 10 + static_cast<unsigned>(p[i] - '0');
  if (value > std::numeric_limits<uint64_t>::max()) return TextError::kOutOfRange;
  *out = static_cast<uint64_t>(value);
  return TextError::kOk;
}

// -?digits[.digits][e[+-]digits], with a digit before or after the point.
struct NumberText {
  bool negative = false;
  const char* whole = nullptr;  // digits before the point
  size_t whole_size = 0;
  const char* fraction = nullptr;
  size_t fraction_size = 0;
  int64_t exponent = 0;  // held within ±1e6: beyond every type, and sums of it cannot overflow
};

bool scan_number(std::string_view text, NumberText* out) {
  const char* p = text.data();
  const char* const end = p + text.size();
  if (p < end && *p == '-') out->negative = true, ++p;
  out->whole = p;
  while (p < end && is_digit(*p)) ++p;
  out->whole_size = static_cast<size_t>(p - out->whole);
  out->fraction = p;
  if (p < end && *p == '.') {
    out->fraction = ++p;
    while (p < end && is_digit(*p)) ++p;
    out->fraction_size = static_cast<size_t>(p - out->fraction);
  }
  if (out->whole_size + out->fraction_size == 0) return false;
  if (p < end && (*p == 'e' || *p == 'E')) {
    ++p;
    bool negative = false;
    if (p < end && (*p == '-' || *p == '+')) negative = *p == '-', ++p;
    if (p == end) return false;
    int64_t exponent = 0;
    for (; p < end && is_digit(*p); ++p) exponent = std::min<int64_t>(exponent * 10 + (*p - '0'), 1000000);
    out->exponent = negative ? -exponent : exponent;
  }
  return p == end;
}

constexpr double kExactPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool parse_special(std::string_view text, double* out) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  const auto is = [&](std::string_view word) {
    if (text.size() != word.size()) return false;
    for (size_t i = 0; i < word.size(); ++i) {
      if ((text[i] | 0x20) != word[i]) return false;
    }
    return true;
  };
  if (is("nan")) *out = std::numeric_limits<double>::quiet_NaN();
  else if (is("inf") || is("infinity")) *out = std::numeric_limits<double>::infinity();
  else return false;
  if (negative) *out = -*out;
  return true;
}

// Correctly rounded. `exact_mantissa` and `exact_power`: below these, mantissa and power are exact in T, and one
// multiplication or division rounds once (Clinger's fast path).
template <typename T>
TextError parse_floating(std::string_view text, uint64_t exact_mantissa, int exact_power, T* out, bool allow_special) {
  NumberText n;
  if (!scan_number(text, &n)) {
    double special;
    if (!allow_special || !parse_special(text, &special)) return TextError::kMalformed;
    *out = static_cast<T>(special);
    return TextError::kOk;
  }
  if (n.whole_size + n.fraction_size <= 19) {
    uint64_t mantissa = 0;
    for (size_t i = 0; i < n.whole_size; ++i) mantissa = mantissa * 10 + static_cast<unsigned>(n.whole[i] - '0');
    for (size_t i = 0; i < n.fraction_size; ++i) mantissa = mantissa * 10 + static_cast<unsigned>(n.fraction[i] - '0');
    const int64_t power = n.exponent - static_cast<int64_t>(n.fraction_size);
    if (mantissa <= exact_mantissa && power >= -exact_power && power <= exact_power) {
      T value = static_cast<T>(mantissa);
      if (power < 0) value /= static_cast<T>(kExactPowers[-power]);
      else value *= static_cast<T>(kExactPowers[power]);
      *out = n.negative ? -value : value;
      return TextError::kOk;
    }
  }
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    // Too large or too small? The place of the first digit that is not 0 says it.
    int64_t place = n.exponent + static_cast<int64_t>(n.whole_size);
    size_t zeros = 0;
    while (zeros < n.whole_size && n.whole[zeros] == '0') ++zeros;
    if (zeros == n.whole_size) {
      for (size_t i = 0; i < n.fraction_size && n.fraction[i] == '0'; ++i) ++zeros;
    }
    place -= static_cast<int64_t>(zeros);
    if (place > 0) return TextError::kOutOfRange;
    *out = n.negative ? -T(0) : T(0);
    return TextError::kOk;
  }
  if (error != std::errc() || end != text.data() + text.size()) return TextError::kMalformed;
  if (std::isinf(value)) return TextError::kOutOfRange;
  *out = value;
  return TextError::kOk;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> base64_values() {
  std::array<int8_t, 256> out{};
  for (auto& v : out) v = -1;
  for (int i = 0; i < 64; ++i) out[static_cast<uint8_t>(kBase64[i])] = static_cast<int8_t>(i);
  return out;
}
constexpr std::array<int8_t, 256> kBase64Values = base64_values();

int count_digits(uint64_t value) {
  // floor(log10) from the number of bits, corrected by one comparison.
  const int guess = (std::bit_width(value | 1) * 1233) >> 12;
  return guess + (value >= kPowersOf10[guess] ? 1 : 0) + (value == 0 ? 1 : 0);
}

template <typename T>
char* write_floating(char* out, T value) {
  if (std::isnan(value)) {
    std::memcpy(out, "nan", 3);
    return out + 3;
  }
  if (std::isinf(value)) {
    if (value < 0) *out++ = '-';
    std::memcpy(out, "inf", 3);
    return out + 3;
  }
  const T size = std::abs(value);
  if (size < T(1e15) && size == std::trunc(size) && sizeof(T) == 8 && !std::signbit(value)) {
    out = write_uint64(out, static_cast<uint64_t>(size));
    *out++ = '.';
    *out++ = '0';
    return out;
  }
  // Beyond the digits that T holds, fixed notation would show digits that mean nothing.
  const T fixed_below = sizeof(T) == 8 ? T(1e16) : T(1e7);
  if (size != 0 && (size < T(1e-4) || size >= fixed_below)) {
    return std::to_chars(out, out + 32, value, std::chars_format::scientific).ptr;
  }
  char* end = std::to_chars(out, out + 32, value, std::chars_format::fixed).ptr;
  for (const char* p = out; p < end; ++p) {
    if (*p == '.') return end;
  }
  *end++ = '.';
  *end++ = '0';
  return end;
}

}  // namespace

TextError parse_uint64(std::string_view text, uint64_t* out) { return parse_digits(text.data(), text.size(), out); }

TextError parse_int64(std::string_view text, int64_t* out) {
  const bool negative = !text.empty() && text[0] == '-';
  uint64_t size = 0;
  const TextError error = parse_digits(text.data() + negative, text.size() - negative, &size);
  if (error != TextError::kOk) return error;
  if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + negative) return TextError::kOutOfRange;
  *out = static_cast<int64_t>(negative ? 0 - size : size);
  return TextError::kOk;
}

TextError parse_double(std::string_view text, double* out, bool allow_special) {
  return parse_floating<double>(text, uint64_t{1} << 53, 22, out, allow_special);
}
TextError parse_float(std::string_view text, float* out, bool allow_special) {
  return parse_floating<float>(text, uint64_t{1} << 24, 10, out, allow_special);
}

TextError parse_decimal(std::string_view text, int precision, int scale, int128* out) {
  NumberText n;
  if (!scan_number(text, &n)) return TextError::kMalformed;
  const auto digit = [&](size_t i) { return i < n.whole_size ? n.whole[i] : n.fraction[i - n.whole_size]; };
  size_t begin = 0, end = n.whole_size + n.fraction_size;
  while (begin < end && digit(begin) == '0') ++begin;
  while (end > begin && digit(end - 1) == '0') --end;
  if (begin == end) {
    *out = 0;
    return TextError::kOk;
  }
  // The significant digits are an integer times 10^power.
  const int64_t power = n.exponent + static_cast<int64_t>(n.whole_size) - static_cast<int64_t>(end);
  const auto digits = static_cast<int64_t>(end - begin);
  if (digits + power > precision - scale) return TextError::kOutOfRange;
  if (power + scale < 0) return TextError::kInexact;
  unsigned __int128 value = 0;
  for (size_t i = begin; i < end; ++i) value = value * 10 + static_cast<unsigned>(digit(i) - '0');
  for (int64_t i = 0; i < power + scale; ++i) value *= 10;
  *out = n.negative ? -static_cast<int128>(value) : static_cast<int128>(value);
  return TextError::kOk;
}

TextError parse_bool(std::string_view text, bool* out) {
  if (text.size() != 4 && text.size() != 5) return TextError::kMalformed;
  char lower[5];
  for (size_t i = 0; i < text.size(); ++i) lower[i] = static_cast<char>(text[i] | 0x20);
  if (text.size() == 4 && std::memcmp(lower, "true", 4) == 0) *out = true;
  else if (text.size() == 5 && std::memcmp(lower, "false", 5) == 0) *out = false;
  else return TextError::kMalformed;
  return TextError::kOk;
}

TextError parse_uuid(std::string_view text, uint8_t out[16]) {
  if (text.size() != 36) return TextError::kMalformed;
  size_t at = 0;
  uint8_t bytes[16];
  for (size_t i = 0; i < 36;) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return TextError::kMalformed;
      ++i;
      continue;
    }
    const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return TextError::kMalformed;
    bytes[at++] = static_cast<uint8_t>(high << 4 | low);
    i += 2;
  }
  std::memcpy(out, bytes, 16);
  return TextError::kOk;
}

TextError parse_base64(std::string_view text, std::string* out) {
  out->clear();
  if (text.size() % 4 != 0) return TextError::kMalformed;
  size_t padding = 0;
  if (!text.empty() && text.back() == '=') padding = text[text.size() - 2] == '=' ? 2 : 1;
  out->reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t bits = 0;
    const size_t missing = i + 4 == text.size() ? padding : 0;
    for (size_t j = 0; j < 4; ++j) {
      const int value = j + missing >= 4 ? 0 : kBase64Values[static_cast<uint8_t>(text[i + j])];
      if (value < 0) return TextError::kMalformed;
      bits = bits << 6 | static_cast<uint32_t>(value);
    }
    // Bits that no byte takes must be 0, so that each value has one text.
    if ((missing == 1 && (bits & 0xFF) != 0) || (missing == 2 && (bits & 0xFFFF) != 0)) return TextError::kMalformed;
    *out += static_cast<char>(bits >> 16);
    if (missing < 2) *out += static_cast<char>(bits >> 8);
    if (missing < 1) *out += static_cast<char>(bits);
  }
  return TextError::kOk;
}

char* write_uint64(char* out, uint64_t value) {
  if (value < 100) {
    if (value < 10) {
      *out = static_cast<char>('0' + value);
      return out + 1;
    }
    return write_2(out, static_cast<unsigned>(value));
  }
  return write_padded(out, value, count_digits(value));
}

char* write_int64(char* out, int64_t value) {
  uint64_t size = static_cast<uint64_t>(value);
  if (value < 0) {
    *out++ = '-';
    size = 0 - size;
  }
  return write_uint64(out, size);
}

char* write_double(char* out, double value) { return write_floating(out, value); }
char* write_float(char* out, float value) { return write_floating(out, value); }

char* write_decimal(char* out, int128 value, int scale) {
  auto size = static_cast<unsigned __int128>(value);
  if (value < 0) {
    *out++ = '-';
    size = 0 - size;
  }
  char digits[48];
  int count = 0;  // as groups of 18 digits from the end
  uint64_t groups[3];
  int used = 0;
  do {
    groups[used++] = static_cast<uint64_t>(size % kPowersOf10[18]);
    size /= kPowersOf10[18];
  } while (size != 0);
  char* end = write_uint64(digits, groups[used - 1]);
  for (int i = used - 2; i >= 0; --i) end = write_padded(end, groups[i], 18);
  count = static_cast<int>(end - digits);
  if (scale == 0) {
    std::memcpy(out, digits, static_cast<size_t>(count));
    return out + count;
  }
  const int whole = count - scale;
  if (whole <= 0) {
    *out++ = '0';
    *out++ = '.';
    for (int i = whole; i < 0; ++i) *out++ = '0';
    std::memcpy(out, digits, static_cast<size_t>(count));
    return out + count;
  }
  std::memcpy(out, digits, static_cast<size_t>(whole));
  out += whole;
  *out++ = '.';
  std::memcpy(out, digits + whole, static_cast<size_t>(scale));
  return out + scale;
}

char* write_uuid(char* out, const uint8_t bytes[16]) {
  constexpr char kHex[] = "0123456789abcdef";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = kHex[bytes[i] >> 4];
    *out++ = kHex[bytes[i] & 15];
  }
  return out;
}

void append_int64(std::string& out, int64_t value) {
  char text[24];
  out.append(text, write_int64(text, value));
}
void append_uint64(std::string& out, uint64_t value) {
  char text[24];
  out.append(text, write_uint64(text, value));
}
void append_double(std::string& out, double value) {
  char text[40];
  out.append(text, write_double(text, value));
}
void append_float(std::string& out, float value) {
  char text[40];
  out.append(text, write_float(text, value));
}
void append_decimal(std::string& out, int128 value, int scale) {
  char text[56];
  out.append(text, write_decimal(text, value, scale));
}
void append_uuid(std::string& out, const uint8_t bytes[16]) {
  char text[36];
  out.append(text, write_uuid(text, bytes));
}

void append_base64(std::string& out, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) bits = bits << 8 | (j < have ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    out += kBase64[bits >> 18];
    out += kBase64[bits >> 12 & 63];
    out += have > 1 ? kBase64[bits >> 6 & 63] : '=';
    out += have > 2 ? kBase64[bits & 63] : '=';
  }
}

}  // namespace runink::columnar
