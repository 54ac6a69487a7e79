// Time zones from the system's compiled tz database: TZif files (RFC 8536) with the rule for later years at their end.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>

#include "base/nearest.h"
#include "data/columnar/calendar.h"
#include "data/columnar/digits.h"
#include "data/columnar/time_format.h"

namespace runink::columnar {

namespace {

constexpr int kBucketShift = 24;  // 194 days

std::string zone_folder() {
  const char* configured = std::getenv("TZDIR");
  return configured != nullptr && *configured != 0 ? configured : "/usr/share/zoneinfo";
}

// A name that is a path below the folder and nothing else.
bool is_plausible_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name[0] == '/' || name.find("..") != name.npos) return false;
  for (char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '+' && c != '/') return false;
  }
  return true;
}

std::vector<std::string> known_names() {
  std::vector<std::string> names = {"UTC"};
  std::ifstream in(zone_folder() + "/tzdata.zi");
  std::string line;
  while (std::getline(in, line)) {
    if (line.starts_with("Z ")) names.push_back(line.substr(2, line.find(' ', 2) - 2));
    if (line.starts_with("L ")) names.push_back(line.substr(line.rfind(' ') + 1));
  }
  return names;
}

// A rule such as "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX TZ, with hours up to 167 as RFC 8536 allows).
struct PosixRule {
  struct Day {
    char kind = 'M';  // 'M' month.week.weekday, 'J' day 1-365 without 29 February, '0' day 0-365
    int month = 0, week = 0, weekday = 0, day = 0;
    int64_t seconds = 2 * 3600;

    // Seconds since the epoch of that moment of a year, in local terms.
    int64_t in_year(int64_t year) const {
      int64_t days = civil_to_days(year, 1, 1);
      if (kind == 'J') {
        days += day - 1 + (day >= 60 && is_leap_year(static_cast<int32_t>(year)) ? 1 : 0);
      } else if (kind == '0') {
        days += day;
      } else {
        const int64_t first = civil_to_days(year, static_cast<unsigned>(month), 1);
        const int64_t weekday_of_first = ((first + 4) % 7 + 7) % 7;
        days = first + (weekday - weekday_of_first + 7) % 7 + (week - 1) * 7;
        if (days >= first + month_days(static_cast<int32_t>(year), static_cast<unsigned>(month))) days -= 7;
      }
      return days * 86400 + seconds;
    }
  };
  std::string standard, summer;
  int64_t standard_offset = 0, summer_offset = 0;
  Day begin, end;
};

class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : rest_(text) {}

  bool read(PosixRule* rule) {
    if (!name(&rule->standard) || !offset(&rule->standard_offset)) return false;
    rule->standard_offset = -rule->standard_offset;
    if (rest_.empty()) return true;
    if (!name(&rule->summer)) return false;
    rule->summer_offset = rule->standard_offset + 3600;
    if (!rest_.empty() && rest_[0] != ',') {
      if (!offset(&rule->summer_offset)) return false;
      rule->summer_offset = -rule->summer_offset;
    }
    return day(&rule->begin) && day(&rule->end) && rest_.empty();
  }

 private:
  bool eat(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool number(int64_t* out, int64_t max) {
    size_t n = 0;
    *out = 0;
    while (n < rest_.size() && n < 4 && is_digit(rest_[n])) *out = *out * 10 + (rest_[n++] - '0');
    rest_.remove_prefix(n);
    return n > 0 && *out <= max;
  }
  bool number(int* out, int min, int max) {
    int64_t value;
    if (!number(&value, max) || value < min) return false;
    *out = static_cast<int>(value);
    return true;
  }
  bool name(std::string* out) {
    size_t n = 0;
    if (eat('<')) {
      while (n < rest_.size() && rest_[n] != '>') ++n;
      *out = rest_.substr(0, n);
      rest_.remove_prefix(n);
      return eat('>');
    }
    while (n < rest_.size() && std::isalpha(static_cast<unsigned char>(rest_[n]))) ++n;
    *out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return n > 0;
  }
  bool offset(int64_t* seconds) {
    const bool negative = eat('-');
    if (!negative) eat('+');
    int64_t part = 0;
    if (!number(seconds, 167)) return false;
    *seconds *= 3600;
    if (eat(':')) {
      if (!number(&part, 59)) return false;
      *seconds += part * 60;
      if (eat(':')) {
        if (!number(&part, 59)) return false;
        *seconds += part;
      }
    }
    if (negative) *seconds = -*seconds;
    return true;
  }
  bool day(PosixRule::Day* out) {
    if (!eat(',')) return false;
    if (eat('M')) {
      out->kind = 'M';
      if (!number(&out->month, 1, 12) || !eat('.') || !number(&out->week, 1, 5) || !eat('.') ||
          !number(&out->weekday, 0, 6)) {
        return false;
      }
    } else if (eat('J')) {
      out->kind = 'J';
      if (!number(&out->day, 1, 365)) return false;
    } else {
      out->kind = '0';
      if (!number(&out->day, 0, 365)) return false;
    }
    return !eat('/') || offset(&out->seconds);
  }

  std::string_view rest_;
};

}  // namespace

class TimeZoneLoader {
 public:
  static Result<TimeZonePtr> load(std::string_view name) {
    auto zone = std::make_shared<TimeZone>();
    zone->name_ = name;
    if (name == "UTC" || name == "Z") {
      zone->spans_ = {{INT64_MIN, INT64_MIN, 0, 0}};
      zone->abbreviations_ = {"UTC"};
      return TimeZonePtr(zone);
    }
    if (name.size() == 6 && (name[0] == '+' || name[0] == '-') && name[3] == ':' && is_digit(name[1]) &&
        is_digit(name[2]) && is_digit(name[4]) && is_digit(name[5])) {
      const int hours = (name[1] - '0') * 10 + name[2] - '0', minutes = (name[4] - '0') * 10 + name[5] - '0';
      if (hours > 23 || minutes > 59) return invalid_argument("\"{}\" is no offset from UTC", name);
      const int seconds = (hours * 60 + minutes) * 60;
      zone->spans_ = {{INT64_MIN, INT64_MIN, name[0] == '-' ? -seconds : seconds, 0}};
      zone->abbreviations_ = {std::string(name)};
      return TimeZonePtr(zone);
    }
    std::string bytes;
    if (!is_plausible_name(name) || !read_file(name, &bytes)) {
      Status status = not_found("no time zone \"{}\" in {}", name, zone_folder());
      const auto near = nearest(name, known_names());
      if (near.empty()) return std::move(status).with_hint("use an IANA name such as Europe/Berlin, or +05:30");
      return std::move(status).with_hint(fmt::format("did you mean \"{}\"?", near[0]));
    }
    if (!parse(bytes, zone.get())) return data_loss("the time zone file {}/{} is damaged", zone_folder(), name);
    return TimeZonePtr(zone);
  }

 private:
  static bool read_file(std::string_view name, std::string* bytes) {
    std::ifstream in(zone_folder() + "/" + std::string(name), std::ios::binary);
    if (!in) return false;
    bytes->resize(size_t{1} << 20);
    in.read(bytes->data(), static_cast<std::streamsize>(bytes->size()));
    bytes->resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return bytes->starts_with("TZif");
  }

  static int64_t big_endian(std::string_view bytes, size_t at, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    if (width == 4) return static_cast<int32_t>(static_cast<uint32_t>(value));
    return static_cast<int64_t>(value);
  }

  static bool parse(std::string_view bytes, TimeZone* zone) {
    struct Counts {
      size_t ut, standard, leap, times, types, characters;
    } n{};
    const auto counts = [&](size_t at) {
      if (bytes.size() < at + 44 || bytes.substr(at, 4) != "TZif") return false;
      size_t* const into[] = {&n.ut, &n.standard, &n.leap, &n.times, &n.types, &n.characters};
      for (size_t i = 0; i < 6; ++i) *into[i] = static_cast<uint32_t>(big_endian(bytes, at + 20 + 4 * i, 4));
      return n.times < 100000 && n.types > 0 && n.types <= 256 && n.characters <= 4096 && n.leap < 10000 &&
             n.ut <= 256 && n.standard <= 256;
    };
    const auto block = [&](size_t width) {
      return n.times * (width + 1) + n.types * 6 + n.characters + n.leap * (width + 4) + n.standard + n.ut;
    };
    if (!counts(0)) return false;
    size_t at = 44, width = 4;
    if (bytes[4] >= '2') {
      const size_t second = 44 + block(4);
      if (!counts(second)) return false;
      at = second + 44;
      width = 8;
    }
    if (bytes.size() < at + block(width)) return false;
    const size_t indices = at + n.times * width, types = indices + n.times, names = types + n.types * 6;
    std::vector<TimeZone::Span> kinds;
    for (size_t i = 0; i < n.types; ++i) {
      const size_t name_at = static_cast<uint8_t>(bytes[types + i * 6 + 5]);
      if (name_at >= n.characters) return false;
      const std::string_view rest = bytes.substr(names + name_at, n.characters - name_at);
      const auto offset = static_cast<int32_t>(big_endian(bytes, types + i * 6, 4));
      if (offset < -100000 || offset > 100000) return false;
      kinds.push_back({0, 0, offset, abbreviation(zone, rest.substr(0, rest.find('\0')))});
    }
    zone->spans_.push_back(kinds[0]);
    zone->spans_[0].utc_begin = INT64_MIN;
    for (size_t i = 0; i < n.times; ++i) {
      const auto kind = static_cast<uint8_t>(bytes[indices + i]);
      if (kind >= n.types) return false;
      const int64_t when = big_endian(bytes, at + i * width, width);
      if (i > 0 && when <= zone->spans_.back().utc_begin) return false;
      add(zone, when, kinds[kind]);
    }
    if (width == 8) {
      const std::string_view footer = bytes.substr(at + block(width));
      const size_t end = footer.find('\n', 1);
      if (footer.size() > 2 && footer[0] == '\n' && end != footer.npos && end > 1 &&
          !extend(footer.substr(1, end - 1), zone)) {
        return false;
      }
    }
    finish(zone);
    return true;
  }

  static uint32_t abbreviation(TimeZone* zone, std::string_view name) {
    auto& all = zone->abbreviations_;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i] == name) return static_cast<uint32_t>(i);
    }
    all.emplace_back(name);
    return static_cast<uint32_t>(all.size() - 1);
  }

  static void add(TimeZone* zone, int64_t when, const TimeZone::Span& kind) {
    TimeZone::Span span = kind;
    span.utc_begin = when;
    zone->spans_.push_back(span);
  }

  // Writes the rule out for 400 years and a little from where the table ends.
  static bool extend(std::string_view text, TimeZone* zone) {
    PosixRule rule;
    if (!RuleReader(text).read(&rule)) return false;
    TimeZone::Span standard{0, 0, static_cast<int32_t>(rule.standard_offset), abbreviation(zone, rule.standard)};
    const int64_t last = zone->spans_.back().utc_begin;
    if (rule.summer.empty()) {
      const auto& end = zone->spans_.back();
      if (end.offset_seconds != standard.offset_seconds) add(zone, std::max<int64_t>(last, -1) + 1, standard);
      return true;
    }
    TimeZone::Span summer{0, 0, static_cast<int32_t>(rule.summer_offset), abbreviation(zone, rule.summer)};
    const int64_t first_year = zone->spans_.size() == 1 ? 1970 : days_to_civil(floor_div(last, 86400)).year;
    for (int64_t year = first_year; year <= first_year + 402; ++year) {
      std::pair<int64_t, TimeZone::Span*> changes[2] = {{rule.begin.in_year(year) - rule.standard_offset, &summer},
                                                        {rule.end.in_year(year) - rule.summer_offset, &standard}};
      if (changes[1].first < changes[0].first) std::swap(changes[0], changes[1]);
      for (const auto& [when, kind] : changes) {
        const auto& before = zone->spans_.back();
        if (when <= before.utc_begin) continue;
        if (before.offset_seconds == kind->offset_seconds && before.abbreviation == kind->abbreviation) continue;
        add(zone, when, *kind);
      }
    }
    zone->repeats_after_ = civil_to_days(first_year + 401, 1, 1) * 86400;
    return true;
  }

  static void finish(TimeZone* zone) {
    auto& spans = zone->spans_;
    spans[0].local_begin = INT64_MIN;
    for (size_t i = 1; i < spans.size(); ++i) {
      spans[i].local_begin = spans[i].utc_begin + std::max(spans[i - 1].offset_seconds, spans[i].offset_seconds);
      spans[i].local_begin = std::max(spans[i].local_begin, spans[i - 1].local_begin);
    }
    if (spans.size() == 1) return;
    // A table in whose first entries times lie far in the past would need many buckets: they begin at 1900 at the
    // earliest, and what is before goes through the first spans one by one.
    zone->bucket_base_ = std::max(std::min(spans[1].utc_begin, spans[1].local_begin), civil_to_days(1900, 1, 1) * 86400);
    size_t index = 0;
    for (int64_t begin = zone->bucket_base_; begin < spans.back().utc_begin + 200000; begin += int64_t{1} << kBucketShift) {
      while (index + 1 < spans.size() && std::max(spans[index + 1].utc_begin, spans[index + 1].local_begin) <= begin) {
        ++index;
      }
      zone->buckets_.push_back(static_cast<uint32_t>(index));
    }
  }
};

Result<TimeZonePtr> TimeZone::find(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, TimeZonePtr, std::less<>> loaded;
  const std::lock_guard lock(mutex);
  const auto known = loaded.find(name);
  if (known != loaded.end()) return known->second;
  TimeZonePtr zone = RUNINK_TRY(TimeZoneLoader::load(name));
  loaded.emplace(std::string(name), zone);
  return zone;
}

const TimeZone::Span& TimeZone::span_at(int64_t seconds, int64_t Span::*begin) const {
  if (seconds >= repeats_after_) {
    const int64_t cycles = (seconds - repeats_after_) / kSecondsPer400Years + 1;
    seconds -= cycles * kSecondsPer400Years;
  }
  size_t index = 0;
  if (seconds >= bucket_base_ && !buckets_.empty()) {
    const auto bucket = static_cast<size_t>((seconds - bucket_base_) >> kBucketShift);
    index = buckets_[std::min(bucket, buckets_.size() - 1)];
  }
  while (index + 1 < spans_.size() && spans_[index + 1].*begin <= seconds) ++index;
  return spans_[index];
}

int64_t TimeZone::to_utc_micros(int64_t local_micros) const {
  if (spans_.size() == 1) return local_micros - spans_[0].offset_seconds * kMicrosPerSecond;
  const Span& span = span_at(floor_div(local_micros, kMicrosPerSecond), &Span::local_begin);
  return local_micros - span.offset_seconds * kMicrosPerSecond;
}

int32_t TimeZone::offset_at(int64_t utc_micros) const {
  return span_at(floor_div(utc_micros, kMicrosPerSecond), &Span::utc_begin).offset_seconds;
}

std::string_view TimeZone::abbreviation_at(int64_t utc_micros) const {
  return abbreviations_[span_at(floor_div(utc_micros, kMicrosPerSecond), &Span::utc_begin).abbreviation];
}

}  // namespace runink::columnar
