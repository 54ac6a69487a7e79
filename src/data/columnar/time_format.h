// Formats of dates and times: strftime-like forms, compiled once, and time zones.
#pragma once

#include <array>
#include <climits>
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
  bool is_utc() const { return spans_.size() == 1 && spans_[0].offset_seconds == 0; }
  int64_t to_utc_micros(int64_t local_micros) const;
  // Seconds east of UTC at an instant.
  int32_t offset_at(int64_t utc_micros) const;
  // "CET", "CEST"; fixed offsets give "+05:30".
  std::string_view abbreviation_at(int64_t utc_micros) const;

 private:
  // One stretch of time with one offset. The first entry holds since ever.
  struct Span {
    int64_t utc_begin;    // seconds
    int64_t local_begin;  // local seconds from which texts belong to this entry, by the rule above
    int32_t offset_seconds;
    uint32_t abbreviation;  // index
  };
  friend class TimeZoneLoader;
  const Span& span_at(int64_t seconds, int64_t Span::*begin) const;

  std::string name_;
  std::vector<Span> spans_;
  std::vector<std::string> abbreviations_;
  // spans_ from the rule at the file's end are written out for 400 years, after which the calendar repeats.
  int64_t repeats_after_ = INT64_MAX;  // seconds
  // For each stretch of 2^24 seconds from the second span on: the index of the span at its beginning, by utc_begin and
  // by local_begin whichever is less.
  int64_t bucket_base_ = 0;
  std::vector<uint32_t> buckets_;
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
  // With `writing_only` the format need not fix the value ("%Y-%m", "%H:%M" of a timestamp); parse() must not be called.
  static Result<TimeFormat> make(std::string_view format, TypeId type, TimeZonePtr zone = nullptr, bool writing_only = false);

  const std::string& format() const { return format_; }
  TypeId type() const { return type_; }
  // Days for a date (also as int64), microseconds since midnight for a time, microseconds UTC for a timestamp.
  [[nodiscard]] TextError parse(std::string_view text, int64_t* out) const;
  // The same without vector instructions, as on machines that lack them.
  [[nodiscard]] TextError parse_portable(std::string_view text, int64_t* out) const;
  void append(std::string& out, int64_t value) const;
  // Writes at most max_width() bytes and returns the end. Years outside 0000-9999 are written as they come (more
  // digits, or a minus sign), which this format will not read back.
  char* write(char* out, int64_t value) const;
  char* write_portable(char* out, int64_t value) const;
  size_t max_width() const { return max_width_; }

 private:
  struct Op {
    char kind;        // the letter, or 'c' for a literal character
    char literal = 0;
  };
  struct Parts;
  TextError parse_general(std::string_view text, int64_t* out) const;
  TextError parse_shuffled(const char* text, int64_t* out) const;  // the fixed layout, 16 bytes at a time
  TextError parse_fixed(const char* text, int64_t* out) const;     // the same byte by byte
  TextError fixed_parts(const uint16_t* parts, int64_t* out) const;
  TextError assemble(const Parts& parts, int64_t* out) const;
  void compile_fixed();
  int64_t local_of(int64_t value, int64_t* offset_seconds) const;
  bool write_shuffled(char* out, int64_t value) const;

  std::string format_;
  TypeId type_ = TypeId::kTimestamp;
  TimeZonePtr zone_;  // null for UTC
  std::vector<Op> ops_;
  size_t max_width_ = 0;

  // Fixed layout of 8 to 32 bytes: the first and the last 16 bytes of the text (for less than 16: the first and the last
  // 8, as one 16) are compared with the literals and shuffled to the digits YYYYMMDDHHMMSS00.
  size_t fixed_width_ = 0;  // 0: the format has no such layout
  bool short_year_ = false;
  std::array<int8_t, 14> digit_at_{};  // place in the text of each of those digits; -1: the format lacks it
  alignas(16) std::array<uint8_t, 16> absent_{};  // what stands for digits that the format lacks
  alignas(16) std::array<uint8_t, 32> shuffle_{}, literal_{}, literal_mask_{};
  alignas(16) std::array<uint8_t, 32> write_shuffle_{}, write_literal_{};  // the other way, for both pieces whole
};

}  // namespace runink::columnar
