// Formats of dates and times: strftime-like forms, compiled once, and time zones.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/type.h"

namespace runink::columnar {

// Why a text is not a value. Cheap, since readers meet it once per bad record.
enum class TextError : uint8_t {
  kOk = 0,
  kMalformed,   // not of this form
  kOutOfRange,  // the right form, but the type cannot hold it (overflow, 30 February, hour 25)
  kInexact,     // digits would be lost
};
// `"1e400" is outside float64`, `"abc" is not an int32`, `"1.005" has more digits than decimal(12,2) keeps`. Long text
// is cut. It holds the value itself, so fields that are pii take only the second form: `not an int32`.
std::string describe(TextError error, std::string_view text, const DataType& type);
std::string describe_without_value(TextError error, const DataType& type);

// A time zone: the offsets from UTC over time, from the system's tz database (RFC 8536 files under /usr/share/zoneinfo,
// or $TZDIR), valid for all years. Immutable, shared by threads, loaded once per name and process.
//
// Local times that occur twice (clocks set back) are read as the first occurrence; local times that never occur (clocks
// set forward) are read with the offset before the change, so 02:30 in a gap of one hour becomes what 03:30 then is.
// This is what Python's zoneinfo does with fold=0.
class TimeZone {
 public:
  // "Europe/Berlin", "UTC", or a fixed "+05:30". Unknown names are kNotFound, with the nearest known as a hint.
  static Result<std::shared_ptr<const TimeZone>> find(std::string_view name);

  const std::string& name() const { return name_; }
  bool is_utc() const { return transitions_.size() == 1 && transitions_[0].offset_seconds == 0; }
  int64_t to_utc_micros(int64_t local_micros) const;
  // Seconds east of UTC at an instant.
  int32_t offset_at(int64_t utc_micros) const;
  // "CET", "CEST"; fixed offsets give "+05:30".
  std::string_view abbreviation_at(int64_t utc_micros) const;

 private:
  struct Transition {
    int64_t utc_seconds;  // from here on (the first entry: since ever)
    int64_t local_until;  // local times (seconds) before this, in the next entry's terms, still belong to this entry
    int32_t offset_seconds;
    uint32_t abbreviation;  // index
  };
  friend class TimeZoneLoader;
  size_t index_at(int64_t utc_seconds) const;
  std::string name_;
  std::vector<Transition> transitions_;
  std::vector<std::string> abbreviations_;
  bool repeats_ = false;  // the last 400 years of the table repeat for ever
};
using TimeZonePtr = std::shared_ptr<const TimeZone>;

// A compiled format. Immutable, shared by threads.
//
//   %Y year, 4 digits      %y 2 digits (69-99: 1900s, 00-68: 2000s)   %m month 01-12   %d day 01-31   %e day, " 1"-"31"
//   %j day of year 001-366 %b Jan…Dec (read in any case)              %B January…      %H 00-23       %I 01-12   %p AM, PM
//   %M minute  %S second   %f fraction of the second: written with 6 digits, read with 1 to 9
//   %z +0100, also read as +01:00, +01 and Z                          %Z abbreviation of the zone; read: UTC, GMT, Z
//   %F = %Y-%m-%d   %T = %H:%M:%S   %% a percent sign; every other character stands for itself
//
// Numbers are read with exactly their digits (%e also with one). Names are English. A format must fix the value: a date
// needs year, month and day (or %j); a time needs hours; a timestamp needs a date (no time of day: midnight). %p goes
// with %I. Dates with %z or %Z, times with date parts, and a letter this table lacks are errors of make().
// A format whose parts all have a fixed width and are digits ("%Y/%m/%d %H:%M") takes a path without branches per part.
class TimeFormat {
 public:
  // `type` is kDate, kTime or kTimestamp. `zone` is that of text without %z; null is UTC. It is also the zone written.
  static Result<TimeFormat> make(std::string_view format, TypeId type, TimeZonePtr zone = nullptr);

  const std::string& format() const { return format_; }
  TypeId type() const { return type_; }
  // Days for a date (also as int64), microseconds since midnight for a time, microseconds UTC for a timestamp.
  [[nodiscard]] TextError parse(std::string_view text, int64_t* out) const;
  void append(std::string& out, int64_t value) const;
  // Writes at most max_width() bytes and returns the end. Years outside 0000-9999 are written as they come (more
  // digits, or a minus sign), which this format will not read back.
  char* write(char* out, int64_t value) const;
  size_t max_width() const { return max_width_; }

 private:
  struct Op {
    char kind;        // the letter, or 'c' for a literal character
    char literal = 0;
  };
  struct Parts;
  TextError parse_general(std::string_view text, int64_t* out) const;
  TextError parse_fixed(const char* text, int64_t* out) const;
  TextError assemble(const Parts& parts, int64_t* out) const;

  std::string format_;
  TypeId type_ = TypeId::kTimestamp;
  TimeZonePtr zone_;
  std::vector<Op> ops_;
  size_t max_width_ = 0;

  // Fixed layout: the text's bytes (at most 32, as the first 16 and the last 16, or the first 8 and the last 8) are
  // shuffled to YYYYMMDDHHMMSS.
  size_t fixed_width_ = 0;  // 0: not fixed
  alignas(16) std::array<uint8_t, 32> shuffle_{};       // two times 16 indices into the loaded bytes
  alignas(16) std::array<uint8_t, 16> absent_{};        // digits of parts that the format lacks ('0', or '1' for days)
  alignas(16) std::array<uint8_t, 32> literal_{}, literal_mask_{};
  std::array<int8_t, 7> part_at_{};                     // where each part's digits begin, -1 when absent (plain path)
};

}  // namespace runink::columnar
