// Functions of dates, times and durations. All calendar arithmetic is proleptic Gregorian, in UTC unless a zone is
// named.
#include <algorithm>
#include <array>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"

namespace runink::expr {

namespace {

using columnar::CivilDate;
using columnar::TextError;

constexpr int64_t kSecond = 1000000, kMinute = 60 * kSecond, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr int32_t kFirstDay = -719162, kLastDay = 2932896;  // 0001-01-01, 9999-12-31
constexpr int64_t kFirstMicros = kFirstDay * kDay, kLastMicros = (kLastDay + 1) * kDay - 1;
constexpr const char* kOutside = "outside the years 0001 to 9999";
constexpr const char* kOverflow = "overflow of int64";

int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }
int32_t day_of(int64_t micros) { return static_cast<int32_t>(floor_divide(micros, kDay)); }
int64_t time_of_day(int64_t micros) { return micros - floor_divide(micros, kDay) * kDay; }
// Null rows hold any number; the calendar is computed only for days it has.
int32_t clamp_day(int64_t day) { return static_cast<int32_t>(std::clamp<int64_t>(day, kFirstDay, kLastDay)); }

// --- parts

int64_t year_of(int32_t day) { return columnar::civil_from_days(day).year; }
int64_t quarter_of(int32_t day) { return (columnar::civil_from_days(day).month + 2) / 3; }
int64_t month_of(int32_t day) { return columnar::civil_from_days(day).month; }
int64_t day_of_month(int32_t day) { return columnar::civil_from_days(day).day; }
int64_t day_of_week(int32_t day) { return ((day + 3) % 7 + 7) % 7 + 1; }  // 1970-01-01 was a Thursday, 4
int64_t day_of_year(int32_t day) {
  return day - columnar::days_from_civil(columnar::civil_from_days(day).year, 1, 1) + 1;
}
// ISO 8601: the week that has the year's first Thursday is the first.
int64_t week_of(int32_t day) {
  const int32_t thursday = day - static_cast<int32_t>(day_of_week(day)) + 4;
  return (day_of_year(clamp_day(thursday)) - 1) / 7 + 1;
}

template <int64_t (*part)(int32_t)>
void part_of_date(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int32_t> v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return part(clamp_day(v[i])); });
}
template <int64_t (*part)(int32_t)>
void part_of_timestamp(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return part(clamp_day(floor_divide(v[i], kDay))); });
}

template <int64_t unit, int64_t modulo>
void part_of_clock(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return time_of_day(v[i]) / unit % modulo; });
}

// --- units

enum class Unit { kYear, kQuarter, kMonth, kWeek, kDay, kHour, kMinute, kSecond, kMillisecond };
constexpr std::array<std::string_view, 9> kUnits = {"year", "quarter", "month",  "week",       "day",
                                                    "hour", "minute",  "second", "millisecond"};
constexpr std::array<int64_t, 9> kUnitMicros = {0, 0, 0, 7 * kDay, kDay, kHour, kMinute, kSecond, 1000};

bool prepare_unit(Binding& binding, size_t arg) {
  const auto name = constant_text(binding, arg, "a unit");
  if (!name) return false;
  std::string word = *name;
  if (word.size() > 1 && word.back() == 's') word.pop_back();
  const auto found = std::find(kUnits.begin(), kUnits.end(), word);
  if (found == kUnits.end()) {
    const std::vector<std::string> names(kUnits.begin(), kUnits.end());
    const auto near = nearest(word, names);
    return binding.fail(fmt::format("there is no unit {}", json_quote(*name)),
                        near.empty() ? "units are: " + join(names, ", ") : fmt::format("did you mean \"{}\"?", near[0]),
                        static_cast<int>(arg));
  }
  binding.state = std::make_shared<Unit>(static_cast<Unit>(found - kUnits.begin()));
  binding.args.resize(arg);
  return true;
}
bool prepare_unit_1(Binding& binding) { return prepare_unit(binding, 1); }
bool prepare_unit_2(Binding& binding) { return prepare_unit(binding, 2); }
Unit unit_of(const Node& node) { return *static_cast<const Unit*>(node.state.get()); }

int32_t truncate_day(int32_t day, Unit unit) {
  const CivilDate civil = columnar::civil_from_days(day);
  switch (unit) {
    case Unit::kYear:
      return columnar::days_from_civil(civil.year, 1, 1);
    case Unit::kQuarter:
      return columnar::days_from_civil(civil.year, (civil.month - 1u) / 3 * 3 + 1, 1);
    case Unit::kMonth:
      return columnar::days_from_civil(civil.year, civil.month, 1);
    case Unit::kWeek:
      return day - static_cast<int32_t>(day_of_week(day)) + 1;
    default:
      return day;
  }
}

void truncate_date(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Unit unit = unit_of(node);
  const Values<int32_t> v(args[0]);
  map_checked<int32_t>(node, args, 1, frame, out, [&](int64_t i, int32_t* r) -> const char* {
    *r = truncate_day(clamp_day(v[i]), unit);
    return *r < kFirstDay ? kOutside : nullptr;
  });
}
void truncate_timestamp(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Unit unit = unit_of(node);
  const Values<int64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    if (unit >= Unit::kDay) {
      const int64_t micros = kUnitMicros[static_cast<size_t>(unit)];
      *r = floor_divide(v[i], micros) * micros;
    } else {
      *r = truncate_day(clamp_day(day_of(v[i])), unit) * kDay;
    }
    return *r < kFirstMicros ? kOutside : nullptr;
  });
}

// Months on the calendar; the day is the last of the month where that is shorter.
bool add_months_to(int32_t day, int64_t months, int32_t* out) {
  if (months > 120000 || months < -120000) return false;
  const CivilDate civil = columnar::civil_from_days(day);
  const int64_t total = civil.year * 12LL + civil.month - 1 + months;
  const int64_t year = floor_divide(total, 12);
  const auto month = static_cast<unsigned>(total - year * 12 + 1);
  if (year < 1 || year > 9999) return false;
  const unsigned last = columnar::days_in_month(static_cast<int32_t>(year), month);
  *out = columnar::days_from_civil(static_cast<int32_t>(year), month, std::min<unsigned>(civil.day, last));
  return true;
}

void add_days_date(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int32_t> v(args[0]);
  const Values<int64_t> n(args[1]);
  map_checked<int32_t>(node, args, 2, frame, out, [&](int64_t i, int32_t* r) -> const char* {
    int64_t day = 0;
    if (__builtin_add_overflow(static_cast<int64_t>(v[i]), n[i], &day) || day < kFirstDay || day > kLastDay)
      return kOutside;
    *r = static_cast<int32_t>(day);
    return nullptr;
  });
}
void add_days_timestamp(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]), n(args[1]);
  map_checked<int64_t>(node, args, 2, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    int64_t micros = 0;
    if (__builtin_mul_overflow(n[i], kDay, &micros) || __builtin_add_overflow(v[i], micros, &micros) ||
        micros < kFirstMicros || micros > kLastMicros) {
      return kOutside;
    }
    *r = micros;
    return nullptr;
  });
}
void add_months_date(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int32_t> v(args[0]);
  const Values<int64_t> n(args[1]);
  map_checked<int32_t>(node, args, 2, frame, out, [&](int64_t i, int32_t* r) -> const char* {
    return add_months_to(clamp_day(v[i]), n[i], r) ? nullptr : kOutside;
  });
}
void add_months_timestamp(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]), n(args[1]);
  map_checked<int64_t>(node, args, 2, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    int32_t day = 0;
    if (!add_months_to(clamp_day(day_of(v[i])), n[i], &day)) return kOutside;
    *r = day * kDay + time_of_day(v[i]);
    return nullptr;
  });
}

// Whole units from the second to the first, toward zero. Months count when their day and time have come.
int64_t months_between(int64_t later, int64_t earlier) {
  if (later < earlier) return -months_between(earlier, later);
  const CivilDate a = columnar::civil_from_days(clamp_day(day_of(later))),
                  b = columnar::civil_from_days(clamp_day(day_of(earlier)));
  int64_t months = (a.year - b.year) * 12LL + a.month - b.month;
  int32_t reached = 0;
  if (months > 0 &&
      (!add_months_to(clamp_day(day_of(earlier)), months, &reached) || reached * kDay + time_of_day(earlier) > later))
    --months;
  return months;
}
void difference(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Unit unit = unit_of(node);
  const Values<int64_t> a(args[0]), b(args[1]);
  const Rows rows(combined_validity(args, 2, frame.rows));
  map_all<int64_t>(node, args, 2, frame, out, [&](int64_t i) -> int64_t {
    if (!rows[i]) return 0;
    if (unit >= Unit::kWeek) return (a[i] - b[i]) / kUnitMicros[static_cast<size_t>(unit)];
    const int64_t months = months_between(a[i], b[i]);
    return unit == Unit::kYear ? months / 12 : unit == Unit::kQuarter ? months / 3 : months;
  });
}

// --- making

void make_date(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> year(args[0]), month(args[1]), day(args[2]);
  map_checked<int32_t>(node, args, 3, frame, out, [&](int64_t i, int32_t* r) -> const char* {
    if (year[i] < 1 || year[i] > 9999 || month[i] < 1 || month[i] > 12 || day[i] < 1) return "there is no such date";
    if (day[i] > columnar::days_in_month(static_cast<int32_t>(year[i]), static_cast<unsigned>(month[i])))
      return "there is no such date";
    *r = columnar::days_from_civil(static_cast<int32_t>(year[i]), static_cast<unsigned>(month[i]),
                                   static_cast<unsigned>(day[i]));
    return nullptr;
  });
}

template <int64_t unit>
void duration_of(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    return __builtin_mul_overflow(v[i], unit, r) ? kOverflow : nullptr;
  });
}
template <int64_t unit>
void total_of(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_all<double>(node, args, 1, frame, out,
                  [&](int64_t i) { return static_cast<double>(v[i]) / static_cast<double>(unit); });
}
template <int64_t unit>
void since_epoch(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return floor_divide(v[i], unit); });
}
template <int64_t unit>
void from_epoch(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    if (__builtin_mul_overflow(v[i], unit, r) || *r < kFirstMicros || *r > kLastMicros) {
      *r = 0;
      return kOutside;
    }
    return nullptr;
  });
}

void now(const Node& node, const Arg*, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  std::fill_n(out->mutable_data<int64_t>(), frame.rows, frame.context->now_micros);
}
void today(const Node& node, const Arg*, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  std::fill_n(out->mutable_data<int32_t>(), frame.rows, day_of(frame.context->now_micros));
}

// --- text and zones

struct Form {
  std::unique_ptr<columnar::TimeFormat> format;
  columnar::TimeZonePtr zone;
};
const Form& form_of(const Node& node) { return *static_cast<const Form*>(node.state.get()); }

bool find_zone(Binding& binding, size_t arg, columnar::TimeZonePtr* zone) {
  const auto name = constant_text(binding, arg, "a time zone");
  if (!name) return false;
  auto found = columnar::TimeZone::find(*name);
  if (!found.ok()) return binding.fail(found.status().message(), found.status().hint(), static_cast<int>(arg));
  *zone = *found;
  return true;
}

bool prepare_form(Binding& binding, TypeId type, bool writing_only) {
  auto form = std::make_shared<Form>();
  if (binding.args.size() == 3 && !find_zone(binding, 2, &form->zone)) return false;
  const auto text = constant_text(binding, 1, "a format");
  if (!text) return false;
  auto format = columnar::TimeFormat::make(*text, type, form->zone, writing_only);
  if (!format.ok()) return binding.fail(format.status().message(), format.status().hint(), 1);
  form->format = std::make_unique<columnar::TimeFormat>(std::move(*format));
  binding.state = std::move(form);
  binding.args.resize(1);
  return true;
}
bool prepare_format(Binding& binding) { return prepare_form(binding, binding.args[0]->type.id(), true); }
bool prepare_parse_timestamp(Binding& binding) { return prepare_form(binding, TypeId::kTimestamp, false); }
bool prepare_parse_date(Binding& binding) { return prepare_form(binding, TypeId::kDate, false); }

template <typename T>
void format_time(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<T> v(args[0]);
  const columnar::TimeFormat& format = *form_of(node).format;
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    format.append(scratch, v[i]);
    *view = scratch;
    return nullptr;
  });
}

template <typename T>
void parse_time(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  const columnar::TimeFormat& format = *form_of(node).format;
  map_checked<T>(node, args, 1, frame, out, [&](int64_t i, T* r) -> const char* {
    int64_t value = 0;
    switch (format.parse(v[i], &value)) {
      case TextError::kOk:
        *r = static_cast<T>(value);
        return nullptr;
      case TextError::kMalformed:
        return "the text is not in this format";
      case TextError::kOutOfRange:
        return "there is no such date or time";
      case TextError::kInexact:
        return "more digits than microseconds";
    }
    return nullptr;
  });
}

bool prepare_zone(Binding& binding) {
  auto form = std::make_shared<Form>();
  if (!find_zone(binding, 1, &form->zone)) return false;
  binding.state = std::move(form);
  binding.args.resize(1);
  return true;
}

// The clock on the wall in that zone, as if it were UTC: parts of it are local parts.
void local_time(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  const columnar::TimeZone& zone = *form_of(node).zone;
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    *r = v[i] + zone.offset_at(v[i]) * kSecond;
    return *r < kFirstMicros || *r > kLastMicros ? kOutside : nullptr;
  });
}

}  // namespace

void define_time_functions(std::vector<Definition>& out) {
  const char* kGroup = "time";
  const auto date_part = [&](const char* name, Kernel of_date, Kernel of_timestamp, const char* help) {
    out.push_back({name,
                   kGroup,
                   help,
                   fmt::format("{}(departure)", name),
                   {{fmt::format("{}(when: date) -> int64", name), of_date},
                    {fmt::format("{}(when: timestamp) -> int64", name), of_timestamp}}});
  };
  date_part("year", part_of_date<year_of>, part_of_timestamp<year_of>, "The year.");
  date_part("quarter", part_of_date<quarter_of>, part_of_timestamp<quarter_of>, "The quarter, 1 to 4.");
  date_part("month", part_of_date<month_of>, part_of_timestamp<month_of>, "The month, 1 to 12.");
  date_part("week", part_of_date<week_of>, part_of_timestamp<week_of>, "The week of ISO 8601, 1 to 53.");
  date_part("day", part_of_date<day_of_month>, part_of_timestamp<day_of_month>, "The day of the month, 1 to 31.");
  date_part("day_of_week", part_of_date<day_of_week>, part_of_timestamp<day_of_week>, "1 for Monday to 7 for Sunday.");
  date_part("day_of_year", part_of_date<day_of_year>, part_of_timestamp<day_of_year>, "The day of the year, 1 to 366.");
  const auto clock_part = [&](const char* name, Kernel kernel, const char* help) {
    out.push_back({name,
                   kGroup,
                   help,
                   fmt::format("{}(departure)", name),
                   {{fmt::format("{}(when: timestamp) -> int64", name), kernel},
                    {fmt::format("{}(when: time) -> int64", name), kernel}}});
  };
  clock_part("hour", part_of_clock<kHour, 24>, "The hour, 0 to 23.");
  clock_part("minute", part_of_clock<kMinute, 60>, "The minute, 0 to 59.");
  clock_part("second", part_of_clock<kSecond, 60>, "The second, 0 to 59.");
  clock_part("microsecond", part_of_clock<1, kSecond>, "The microseconds after the second, 0 to 999999.");
  out.push_back({"now",
                 kGroup,
                 "The start of the run, the same for every record.",
                 "now() - 2d",
                 {{"now() -> timestamp", now, kUsesNow}}});
  out.push_back(
      {"today", kGroup, "The date (UTC) of the start of the run.", "today()", {{"today() -> date", today, kUsesNow}}});
  out.push_back(
      {"truncate",
       kGroup,
       "The start of the year, quarter, month, week (Monday), day, hour, minute or second.",
       "truncate(departure, \"hour\")",
       {{"truncate(when: date, unit: string) -> date", truncate_date, kCanFail, prepare_unit_1},
        {"truncate(when: timestamp, unit: string) -> timestamp", truncate_timestamp, kCanFail, prepare_unit_1}}});
  out.push_back(
      {"difference",
       kGroup,
       "How many whole units lie between two times, negative when the first is earlier.",
       "difference(arrival, departure, \"minute\")",
       {{"difference(later: timestamp, earlier: timestamp, unit: string) -> int64", difference, 0, prepare_unit_2}}});
  out.push_back({"add_days",
                 kGroup,
                 "So many days later.",
                 "add_days(due, 14)",
                 {{"add_days(when: date, days: int64) -> date", add_days_date, kCanFail},
                  {"add_days(when: timestamp, days: int64) -> timestamp", add_days_timestamp, kCanFail}}});
  out.push_back({"add_months",
                 kGroup,
                 "So many months later; the last day of the month where that is shorter.",
                 "add_months(due, 1)",
                 {{"add_months(when: date, months: int64) -> date", add_months_date, kCanFail},
                  {"add_months(when: timestamp, months: int64) -> timestamp", add_months_timestamp, kCanFail}}});
  out.push_back({"make_date",
                 kGroup,
                 "The date of a year, a month and a day.",
                 "make_date(2024, 2, 29)",
                 {{"make_date(year: int64, month: int64, day: int64) -> date", make_date, kCanFail}}});
  const auto durations = [&](const char* name, Kernel make, Kernel total) {
    out.push_back({name,
                   kGroup,
                   fmt::format("So many {}, as a duration.", name),
                   fmt::format("departure + {}(delay)", name),
                   {{fmt::format("{}(count: int64) -> duration", name), make, kCanFail}}});
    out.push_back({fmt::format("total_{}", name),
                   kGroup,
                   fmt::format("A duration in {}.", name),
                   fmt::format("total_{}(arrival - departure)", name),
                   {{fmt::format("total_{}(length: duration) -> float64", name), total}}});
  };
  durations("seconds", duration_of<kSecond>, total_of<kSecond>);
  durations("minutes", duration_of<kMinute>, total_of<kMinute>);
  durations("hours", duration_of<kHour>, total_of<kHour>);
  durations("days", duration_of<kDay>, total_of<kDay>);
  const auto epochs = [&](const char* name, Kernel to, Kernel from) {
    out.push_back({fmt::format("epoch_{}", name),
                   kGroup,
                   fmt::format("Whole {} since 1970-01-01T00:00:00Z.", name),
                   fmt::format("epoch_{}(departure)", name),
                   {{fmt::format("epoch_{}(when: timestamp) -> int64", name), to}}});
    out.push_back({fmt::format("from_epoch_{}", name),
                   kGroup,
                   fmt::format("The time so many {} after 1970-01-01T00:00:00Z.", name),
                   fmt::format("from_epoch_{}(created)", name),
                   {{fmt::format("from_epoch_{}(count: int64) -> timestamp", name), from, kCanFail}}});
  };
  epochs("seconds", since_epoch<kSecond>, from_epoch<kSecond>);
  epochs("millis", since_epoch<1000>, from_epoch<1000>);
  epochs("micros", since_epoch<1>, from_epoch<1>);
  out.push_back(
      {"format_time",
       kGroup,
       "As text in a format of %Y %m %d %H %M %S …, in UTC or in a zone.",
       "format_time(departure, \"%Y-%m-%d\")",
       {{"format_time(when: date, format: string) -> string", format_time<int32_t>, kCanFail, prepare_format},
        {"format_time(when: time, format: string) -> string", format_time<int64_t>, kCanFail, prepare_format},
        {"format_time(when: timestamp, format: string) -> string", format_time<int64_t>, kCanFail, prepare_format},
        {"format_time(when: timestamp, format: string, zone: string) -> string", format_time<int64_t>, kCanFail,
         prepare_format}}});
  out.push_back({"parse_time",
                 kGroup,
                 "The time that a text in that format says, in UTC or in a zone.",
                 "parse_time(text, \"%d.%m.%Y %H:%M\", \"Europe/Berlin\")",
                 {{"parse_time(text: string, format: string) -> timestamp", parse_time<int64_t>, kCanFail,
                   prepare_parse_timestamp},
                  {"parse_time(text: string, format: string, zone: string) -> timestamp", parse_time<int64_t>, kCanFail,
                   prepare_parse_timestamp}}});
  out.push_back(
      {"parse_date",
       kGroup,
       "The date that a text in that format says.",
       "parse_date(text, \"%d.%m.%Y\")",
       {{"parse_date(text: string, format: string) -> date", parse_time<int32_t>, kCanFail, prepare_parse_date}}});
  out.push_back({"local_time",
                 kGroup,
                 "The clock on the wall in a zone: hour(local_time(t, \"Europe/Berlin\")) is the hour there.",
                 "local_time(departure, \"Europe/Berlin\")",
                 {{"local_time(when: timestamp, zone: string) -> timestamp", local_time, kCanFail, prepare_zone}}});
}

}  // namespace runink::expr
