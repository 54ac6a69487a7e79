// Calendar arithmetic (proleptic Gregorian), inline for the parsers of this folder. text.h declares what others use.
// The algorithms are those of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
#pragma once

#include <cstdint>

namespace runink::columnar {

inline constexpr int64_t kMicrosPerSecond = 1000000;
inline constexpr int64_t kMicrosPerDay = 86400 * kMicrosPerSecond;
inline constexpr int64_t kSecondsPer400Years = int64_t{146097} * 86400;

inline bool is_leap_year(int32_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

inline unsigned month_days(int32_t year, unsigned month) {
  if (month == 2) return is_leap_year(year) ? 29 : 28;
  return 30 + ((month + (month >> 3)) & 1);
}

inline int64_t civil_to_days(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto year_of_era = static_cast<unsigned>(year - era * 400);
  const unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + static_cast<int64_t>(day_of_era) - 719468;
}

// For years 0001 to 9999.
inline int32_t civil_to_days_positive(uint32_t year, uint32_t month, uint32_t day) {
  const uint32_t early = month <= 2;
  const uint32_t y = year - early;
  const uint32_t m = month + (early ? 9 : -3u);
  const uint32_t century = y / 100;
  return static_cast<int32_t>(365 * y + y / 4 - century + century / 4 + (153 * m + 2) / 5 + day - 1) - 719468;
}

struct YearMonthDay {
  int64_t year;
  unsigned month, day;
};
inline YearMonthDay days_to_civil(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto day_of_era = static_cast<unsigned>(days - era * 146097);
  const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const unsigned mp = (5 * day_of_year + 2) / 153;
  const unsigned month = mp < 10 ? mp + 3 : mp - 9;
  return {static_cast<int64_t>(year_of_era) + era * 400 + (month <= 2), month, day_of_year - (153 * mp + 2) / 5 + 1};
}

// What is left of the day, 0 to kMicrosPerDay - 1; for every value.
inline int64_t micros_of_day(int64_t micros) {
  const int64_t rest = micros % kMicrosPerDay;
  return rest < 0 ? rest + kMicrosPerDay : rest;
}

inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

}  // namespace runink::columnar
