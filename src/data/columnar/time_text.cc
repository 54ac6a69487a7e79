// Dates, times, timestamps and durations in ISO 8601, and calendar arithmetic.
#include <limits>

#include "base/check.h"
#include "data/columnar/calendar.h"
#include "data/columnar/digits.h"
#include "data/columnar/text.h"

namespace runink::columnar {

namespace {

// Reads two digits; false if they are none.
bool two_digits(const char* p, unsigned* out) {
  const auto a = static_cast<unsigned>(p[0] - '0'), b = static_cast<unsigned>(p[1] - '0');
  *out = a * 10 + b;
  return a <= 9 && b <= 9;
}

// YYYY-MM-DD at p, ten bytes.
TextError date_at(const char* p, int32_t* days) {
  unsigned century, year, month, day;
  const bool digits = two_digits(p, &century) & two_digits(p + 2, &year) & two_digits(p + 5, &month) &
                      two_digits(p + 8, &day) & (p[4] == '-') & (p[7] == '-');
  if (!digits) return TextError::kMalformed;
  year += century * 100;
  if (year == 0 || month - 1 > 11 || day == 0 || day > month_days(static_cast<int32_t>(year), month)) {
    return TextError::kOutOfRange;
  }
  *days = civil_to_days_positive(year, month, day);
  return TextError::kOk;
}

// HH:MM[:SS[.fraction]] at the beginning of text; how much it took.
TextError time_at(std::string_view text, int64_t* micros, size_t* used) {
  unsigned hour, minute, second = 0;
  if (text.size() < 5 || text[2] != ':' || !two_digits(text.data(), &hour) || !two_digits(text.data() + 3, &minute)) {
    return TextError::kMalformed;
  }
  int64_t fraction = 0;
  TextError error = TextError::kOk;
  *used = 5;
  if (text.size() > 5 && text[5] == ':') {
    if (text.size() < 8 || !two_digits(text.data() + 6, &second)) return TextError::kMalformed;
    *used = 8;
    if (text.size() > 8 && (text[8] == '.' || text[8] == ',')) {
      size_t i = 9;
      for (; i < text.size() && is_digit(text[i]); ++i) {
        if (i < 15) fraction = fraction * 10 + (text[i] - '0');
        else if (text[i] != '0') error = TextError::kInexact;
      }
      if (i == 9 || i > 18) return TextError::kMalformed;
      if (i < 15) fraction *= static_cast<int64_t>(kPowersOf10[15 - i]);
      *used = i;
    }
  }
  if (hour > 23 || minute > 59 || second > 59) return TextError::kOutOfRange;
  *micros = (static_cast<int64_t>(hour) * 3600 + minute * 60 + second) * kMicrosPerSecond + fraction;
  return error;
}

// Nothing, Z, ±HH, ±HHMM, ±HH:MM. `has_zone` says whether there was anything.
TextError zone_at(std::string_view text, int64_t* offset_seconds, bool* has_zone) {
  *has_zone = !text.empty();
  *offset_seconds = 0;
  if (text.empty() || text == "Z" || text == "z") return TextError::kOk;
  if (text[0] != '+' && text[0] != '-') return TextError::kMalformed;
  unsigned hours, minutes = 0;
  if (text.size() < 3 || !two_digits(text.data() + 1, &hours)) return TextError::kMalformed;
  if (text.size() == 6 && text[3] == ':') {
    if (!two_digits(text.data() + 4, &minutes)) return TextError::kMalformed;
  } else if (text.size() == 5) {
    if (!two_digits(text.data() + 3, &minutes)) return TextError::kMalformed;
  } else if (text.size() != 3) {
    return TextError::kMalformed;
  }
  if (hours > 23 || minutes > 59) return TextError::kOutOfRange;
  const int64_t seconds = hours * 3600 + minutes * 60;
  *offset_seconds = text[0] == '-' ? -seconds : seconds;
  return TextError::kOk;
}

// --- durations -----------------------------------------------------------------------------------------------------

// A part such as "1.5h": digits, perhaps a fraction, and then the unit's letters are the caller's. In microseconds,
// exactly.
struct DurationSum {
  unsigned __int128 micros = 0;
  TextError error = TextError::kOk;

  // whole and fraction are digits; unit in microseconds.
  void add(std::string_view whole, std::string_view fraction, int64_t unit) {
    constexpr unsigned __int128 kLimit = static_cast<unsigned __int128>(std::numeric_limits<int64_t>::max()) + 1;
    unsigned __int128 value = 0;
    for (char c : whole) {
      value = value * 10 + static_cast<unsigned>(c - '0');
      if (value > kLimit) return fail(TextError::kOutOfRange);
    }
    micros += value * static_cast<uint64_t>(unit);
    while (!fraction.empty() && fraction.back() == '0') fraction.remove_suffix(1);
    if (fraction.size() > 18) return fail(TextError::kInexact);
    unsigned __int128 part = 0;
    for (char c : fraction) part = part * 10 + static_cast<unsigned>(c - '0');
    part *= static_cast<uint64_t>(unit);
    const uint64_t power = kPowersOf10[fraction.size()];
    if (part % power != 0) return fail(TextError::kInexact);
    micros += part / power;
    if (micros > kLimit) fail(TextError::kOutOfRange);
  }
  void fail(TextError why) {
    if (error == TextError::kOk) error = why;
    micros = 0;
  }
  TextError result(bool negative, int64_t* out) const {
    if (error != TextError::kOk) return error;
    const auto limit = static_cast<unsigned __int128>(std::numeric_limits<int64_t>::max()) + (negative ? 1 : 0);
    if (micros > limit) return TextError::kOutOfRange;
    const auto size = static_cast<uint64_t>(micros);
    *out = static_cast<int64_t>(negative ? 0 - size : size);
    return TextError::kOk;
  }
};

bool take_number(std::string_view* text, std::string_view* whole, std::string_view* fraction) {
  size_t i = 0;
  while (i < text->size() && is_digit((*text)[i])) ++i;
  *whole = text->substr(0, i);
  *fraction = {};
  if (i < text->size() && ((*text)[i] == '.' || (*text)[i] == ',')) {
    const size_t begin = ++i;
    while (i < text->size() && is_digit((*text)[i])) ++i;
    *fraction = text->substr(begin, i - begin);
    if (fraction->empty()) return false;
  }
  text->remove_prefix(i);
  return !whole->empty();
}

constexpr int64_t kHour = 3600 * kMicrosPerSecond;

// After the P.
bool add_iso_parts(std::string_view text, DurationSum* sum) {
  struct Unit {
    char letter;
    bool time;
    int64_t micros;
  };
  constexpr Unit kUnits[] = {{'W', false, 7 * kMicrosPerDay}, {'D', false, kMicrosPerDay}, {'H', true, kHour},
                             {'M', true, 60 * kMicrosPerSecond}, {'S', true, kMicrosPerSecond}};
  size_t next = 0;  // units come in falling order, each once
  bool in_time = false, any = false;
  while (!text.empty()) {
    if (text[0] == 'T' && !in_time) {
      in_time = true;
      text.remove_prefix(1);
      if (text.empty()) return false;
      continue;
    }
    std::string_view whole, fraction;
    if (!take_number(&text, &whole, &fraction) || text.empty()) return false;
    size_t unit = next;
    while (unit < std::size(kUnits) && (kUnits[unit].letter != text[0] || kUnits[unit].time != in_time)) ++unit;
    if (unit == std::size(kUnits)) return false;
    text.remove_prefix(1);
    if (!fraction.empty() && !text.empty()) return false;  // only the last part may have a fraction
    sum->add(whole, fraction, kUnits[unit].micros);
    next = unit + 1;
    any = true;
  }
  return any;
}

bool add_short_parts(std::string_view text, DurationSum* sum) {
  struct Unit {
    std::string_view name;
    int64_t micros;
  };
  constexpr Unit kUnits[] = {{"w", 7 * kMicrosPerDay}, {"d", kMicrosPerDay}, {"h", kHour}, {"m", 60 * kMicrosPerSecond},
                             {"s", kMicrosPerSecond}, {"ms", 1000}, {"us", 1}};
  size_t next = 0;
  while (!text.empty()) {
    std::string_view whole, fraction;
    if (!take_number(&text, &whole, &fraction)) return false;
    size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    size_t unit = next;
    while (unit < std::size(kUnits) && kUnits[unit].name != text.substr(0, letters)) ++unit;
    if (unit == std::size(kUnits)) return false;
    text.remove_prefix(letters);
    sum->add(whole, fraction, kUnits[unit].micros);
    next = unit + 1;
  }
  return next > 0;
}

}  // namespace

TextError parse_date(std::string_view text, int32_t* days) {
  if (text.size() != 10) return TextError::kMalformed;
  return date_at(text.data(), days);
}

TextError parse_time(std::string_view text, int64_t* micros) {
  size_t used = 0;
  const TextError error = time_at(text, micros, &used);
  return error != TextError::kMalformed && error != TextError::kOutOfRange && used != text.size() ? TextError::kMalformed
                                                                                                  : error;
}

TextError parse_timestamp(std::string_view text, int64_t* micros, const TimeZone* zone) {
  if (text.size() < 10) return TextError::kMalformed;
  int32_t days = 0;
  TextError error = date_at(text.data(), &days);
  if (error != TextError::kOk) return error;
  int64_t time = 0, offset = 0;
  bool has_zone = false;
  if (text.size() > 10) {
    if (text[10] != 'T' && text[10] != ' ' && text[10] != 't') return TextError::kMalformed;
    text.remove_prefix(11);
    size_t used = 0;
    error = time_at(text, &time, &used);
    if (error == TextError::kMalformed || error == TextError::kOutOfRange) return error;
    const TextError zone_error = zone_at(text.substr(used), &offset, &has_zone);
    if (zone_error != TextError::kOk) return zone_error;
    if (error != TextError::kOk) return error;
  }
  const int64_t local = days * kMicrosPerDay + time;
  if (has_zone) *micros = local - offset * kMicrosPerSecond;
  else *micros = zone == nullptr ? local : zone->to_utc_micros(local);
  return TextError::kOk;
}

TextError parse_duration(std::string_view text, int64_t* micros) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty()) return TextError::kMalformed;
  DurationSum sum;
  const bool well_formed = text[0] == 'P' ? add_iso_parts(text.substr(1), &sum) : add_short_parts(text, &sum);
  return well_formed ? sum.result(negative, micros) : TextError::kMalformed;
}

char* write_date(char* out, int32_t days) {
  const YearMonthDay d = days_to_civil(days);
  int64_t year = d.year;
  if (year < 0) {
    *out++ = '-';
    year = -year;
  }
  if (year <= 9999) out = write_4(out, static_cast<unsigned>(year));
  else out = write_int64(out, year);
  *out++ = '-';
  out = write_2(out, d.month);
  *out++ = '-';
  return write_2(out, d.day);
}

char* write_time(char* out, int64_t micros) {
  // A time of day is below a day; a value that a program made otherwise is shown modulo a day rather than misprinted.
  micros = micros_of_day(micros);
  const auto seconds = static_cast<unsigned>(micros / kMicrosPerSecond);
  const auto fraction = static_cast<unsigned>(micros % kMicrosPerSecond);
  out = write_2(out, seconds / 3600);
  *out++ = ':';
  out = write_2(out, seconds / 60 % 60);
  *out++ = ':';
  out = write_2(out, seconds % 60);
  if (fraction != 0) {
    *out++ = '.';
    out = write_6(out, fraction);
  }
  return out;
}

char* write_timestamp(char* out, int64_t micros) {
  out = write_date(out, static_cast<int32_t>(floor_div(micros, kMicrosPerDay)));
  *out++ = 'T';
  out = write_time(out, micros);
  *out++ = 'Z';
  return out;
}

void append_date(std::string& out, int32_t days) {
  char text[24];
  out.append(text, write_date(text, days));
}
void append_time(std::string& out, int64_t micros) {
  char text[24];
  out.append(text, write_time(text, micros));
}
void append_timestamp(std::string& out, int64_t micros) {
  char text[48];
  out.append(text, write_timestamp(text, micros));
}

void append_duration(std::string& out, int64_t micros) {
  auto size = static_cast<uint64_t>(micros);
  if (micros < 0) {
    out += '-';
    size = 0 - size;
  }
  const uint64_t days = size / static_cast<uint64_t>(kMicrosPerDay);
  size %= static_cast<uint64_t>(kMicrosPerDay);
  const uint64_t seconds = size / 1000000;
  auto fraction = static_cast<unsigned>(size % 1000000);
  out += 'P';
  if (days != 0) {
    append_uint64(out, days);
    out += 'D';
  }
  if (size == 0 && days != 0) return;
  out += 'T';
  if (seconds / 3600 != 0) {
    append_uint64(out, seconds / 3600);
    out += 'H';
  }
  if (seconds / 60 % 60 != 0) {
    append_uint64(out, seconds / 60 % 60);
    out += 'M';
  }
  if (seconds % 60 != 0 || fraction != 0 || size == 0) {
    append_uint64(out, seconds % 60);
    if (fraction != 0) {
      char digits[6];
      write_6(digits, fraction);
      size_t count = 6;
      while (digits[count - 1] == '0') --count;
      out += '.';
      out.append(digits, count);
    }
    out += 'S';
  }
}

int32_t days_from_civil(int32_t year, unsigned month, unsigned day) {
  return static_cast<int32_t>(civil_to_days(year, month, day));
}
CivilDate civil_from_days(int32_t days) {
  const YearMonthDay d = days_to_civil(days);
  return {static_cast<int32_t>(d.year), static_cast<uint8_t>(d.month), static_cast<uint8_t>(d.day)};
}
unsigned days_in_month(int32_t year, unsigned month) { return month_days(year, month); }

}  // namespace runink::columnar
