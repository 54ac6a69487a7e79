#include "base/clock.h"

#include <fmt/format.h>
#include <time.h>

namespace runink {

namespace {
int64_t read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}
class SystemClock final : public Clock {
 public:
  int64_t unix_micros() const override { return read(CLOCK_REALTIME) / 1000; }
  int64_t steady_nanos() const override { return read(CLOCK_MONOTONIC); }
};
}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

namespace {

constexpr int64_t kMicrosPerDay = int64_t{86'400} * 1'000'000;

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back (the well-known algorithm over eras of
// 400 years that begin on 1 March).
int64_t days_of(int64_t year, int month, int day) {
  year -= month <= 2;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

struct Date {
  int64_t year;
  int month, day;
};
Date date_of(int64_t days) {
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {year_of_era + era * 400 + (month <= 2), month, static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

}  // namespace

std::string format_utc(int64_t unix_micros) {
  int64_t days = unix_micros / kMicrosPerDay, rest = unix_micros % kMicrosPerDay;
  if (rest < 0) {
    --days;
    rest += kMicrosPerDay;
  }
  const Date date = date_of(days);
  const int64_t seconds = rest / 1'000'000, micros = rest % 1'000'000;
  std::string text = date.year < 0 || date.year > 9999 ? fmt::format("{:+05d}", date.year) : fmt::format("{:04d}", date.year);
  fmt::format_to(std::back_inserter(text), "-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}", date.month, date.day, seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
  if (micros != 0) fmt::format_to(std::back_inserter(text), ".{:06d}", micros);
  return text + "Z";
}

bool parse_utc(std::string_view text, int64_t* unix_micros) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
  if (text.size() < kShape.size() + 1 || text.back() != 'Z') return false;
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kShape[i]) return false;
  }
  const auto number = [&](size_t at, size_t digits) {
    int value = 0;
    for (size_t i = at; i < at + digits; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false;
  const int64_t days = days_of(year, month, day);
  if (date_of(days).day != day) return false;  // 30 February
  int64_t micros = 0;
  std::string_view fraction = text.substr(kShape.size(), text.size() - kShape.size() - 1);
  if (!fraction.empty()) {
    if (fraction[0] != '.' || fraction.size() < 2 || fraction.size() > 10) return false;
    int64_t scale = 100'000;
    for (const char c : fraction.substr(1)) {
      if (c < '0' || c > '9') return false;
      micros += (c - '0') * scale;
      scale /= 10;
    }
  }
  *unix_micros = days * kMicrosPerDay + ((hour * 60 + minute) * int64_t{60} + second) * 1'000'000 + micros;
  return true;
}

}  // namespace runink
