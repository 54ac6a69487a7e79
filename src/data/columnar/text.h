// Text: the one place that turns text into values and values into text. CSV, NDJSON, casts, contract defaults, synthetic
// data and display all use it, so the same text means the same everywhere.
//
// Parsers take the whole text (no white space around it is skipped) and never allocate or throw. What they accept:
//
//   integers    -?[0-9]+ ; no '+', no point, no exponent; leading zeros are fine; overflow is kOutOfRange
//   float64     -?digits[.digits][e[+-]digits], also ".5" and "5."; "nan", "inf", "infinity" (any case) only when asked;
//               a finite text that rounds to infinity is kOutOfRange ("1e400"); one that rounds to 0 is fine
//   decimal     as float64; exact: digits beyond the scale must be 0 (else kInexact), beyond the precision kOutOfRange
//   bool        true, false, any case (TRUE, False); nothing else
//   date        YYYY-MM-DD, years 0001 to 9999
//   time        HH:MM[:SS[.fraction]], 00:00 to 23:59:59.999999
//   timestamp   date, then 'T', 't' or one space, then time, then nothing, 'Z', 'z', or ±HH[:MM] or ±HHMM
//               (also a bare date: its midnight)
//   duration    ISO 8601: [-]P[nW][nD][T[nH][nM][n[.n]S]] (weeks and days of 24 hours; years and months have no fixed
//               length and are refused), or 2h30m, 90s, 1.5h, 250ms, 10us, 7d, 2w with units in falling order
//   uuid        8-4-4-4-12 hexadecimal digits, either case
//   bytes       base64 (RFC 4648, padded)
//
// A fraction of a second may have up to 9 digits; digits beyond microseconds must be 0, else kInexact. Second 60 and
// hour 24 are kOutOfRange.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/builder.h"
#include "data/columnar/column.h"
#include "data/columnar/time_format.h"
#include "data/columnar/value.h"

namespace runink::columnar {

[[nodiscard]] TextError parse_int64(std::string_view text, int64_t* out);
[[nodiscard]] TextError parse_uint64(std::string_view text, uint64_t* out);
[[nodiscard]] TextError parse_double(std::string_view text, double* out, bool allow_special = false);
[[nodiscard]] TextError parse_float(std::string_view text, float* out, bool allow_special = false);  // rounds once
[[nodiscard]] TextError parse_decimal(std::string_view text, int precision, int scale, int128* out);
[[nodiscard]] TextError parse_bool(std::string_view text, bool* out);
[[nodiscard]] TextError parse_date(std::string_view text, int32_t* days);
[[nodiscard]] TextError parse_time(std::string_view text, int64_t* micros);
// `zone` is that of texts that name none; nullptr is UTC.
[[nodiscard]] TextError parse_timestamp(std::string_view text, int64_t* micros, const TimeZone* zone = nullptr);
[[nodiscard]] TextError parse_duration(std::string_view text, int64_t* micros);
[[nodiscard]] TextError parse_uuid(std::string_view text, uint8_t out[16]);
[[nodiscard]] TextError parse_base64(std::string_view text, std::string* out);  // replaces

// Text that parses back to the same value. All append.
void append_int64(std::string& out, int64_t value);
void append_uint64(std::string& out, uint64_t value);
void append_double(std::string& out, double value);   // shortest that reads back the same; "nan", "inf", "-inf"
void append_float(std::string& out, float value);
void append_decimal(std::string& out, int128 value, int scale);  // exactly `scale` digits after the point
void append_date(std::string& out, int32_t days);
void append_time(std::string& out, int64_t micros);        // 18:20:00, with .ffffff only when not zero
void append_timestamp(std::string& out, int64_t micros);   // 2001-01-10T18:20:00Z, with .ffffff only when not zero
void append_duration(std::string& out, int64_t micros);    // P1DT2H30M, -PT0.5S, PT0S
void append_uuid(std::string& out, const uint8_t bytes[16]);
void append_base64(std::string& out, std::string_view bytes);

// The same into memory of the caller; each returns the end. Room needed: 20, 20, 40, 40, 42, 14, 15, 30, 36 bytes.
char* write_int64(char* out, int64_t value);
char* write_uint64(char* out, uint64_t value);
char* write_double(char* out, double value);
char* write_float(char* out, float value);
char* write_decimal(char* out, int128 value, int scale);
char* write_date(char* out, int32_t days);
char* write_time(char* out, int64_t micros);
char* write_timestamp(char* out, int64_t micros);
char* write_uuid(char* out, const uint8_t bytes[16]);

// Checked calendar arithmetic, for expressions as well. Days and micros count from 1970-01-01.
struct CivilDate {
  int32_t year = 1970;
  uint8_t month = 1, day = 1;
};
int32_t days_from_civil(int32_t year, unsigned month, unsigned day);  // proleptic Gregorian; the date must exist
CivilDate civil_from_days(int32_t days);
unsigned days_in_month(int32_t year, unsigned month);

// How the values of one field look as text: its type, format and zone, compiled once. Immutable; shared by threads.
//
// Plain text (a CSV cell) of null is empty; of a list or struct it is JSON. JSON text is as value.h says, with dates and
// times as JSON strings in the field's format.
class FieldText {
 public:
  // Fails on a format or zone that does not exist, and on a format for a type that has none.
  static Result<FieldText> make(const Field& field);
  // ISO forms, UTC. Never fails.
  explicit FieldText(DataType type);

  const DataType& type() const { return type_; }
  const TimeFormat* format() const { return format_.get(); }  // null: ISO 8601
  const TimeZone* zone() const { return zone_.get(); }        // null: UTC

  // Appends the value of the text to a builder of this type. On error nothing is appended. Empty text is not null
  // here: an empty string is a string, and for other types it is kMalformed. Text of strings must be UTF-8 (readers have
  // checked it); a list or struct is read as JSON; a label that an enum lacks is kOutOfRange.
  [[nodiscard]] TextError append_parsed(std::string_view text, ColumnBuilder& out) const;
  // The same for one value; the error names the text and the type.
  Result<Value> parse(std::string_view text) const;
  // The same from the JSON text of the value (see parse_json_value), null included.
  [[nodiscard]] TextError append_json_parsed(std::string_view json, ColumnBuilder& out) const;
  [[nodiscard]] TextError parse_json(std::string_view json, Value* out) const;

  // `row` of a column of this type.
  void append_plain(const Column& column, int64_t row, std::string& out) const;
  void append_json(const Column& column, int64_t row, std::string& out) const;

 private:
  friend class JsonReader;
  TextError parse_scalar(std::string_view text, Value* out) const;
  void append_scalar(const Column& column, int64_t row, std::string& out) const;

  DataType type_;
  std::shared_ptr<const TimeFormat> format_;
  std::shared_ptr<const TimeZone> zone_;
  std::vector<FieldText> children_;  // of a list or struct; elements have the format of the list's field
};

// One field's value for people, in the field's format; "null" for null; control bytes are not escaped. For messages and
// previews: it compiles the format each time.
void append_value_text(const Column& column, int64_t row, const Field& field, std::string& out);

// JSON text of one value of a type: null, true and false, numbers (also for decimals), strings as the parsers above read
// them, arrays for lists, objects for structs (a member that is absent is null; one that is unknown, or twice there, is
// kMalformed). The text of a json column is kept as it is, without white space around it.
inline constexpr int kJsonDepthMax = 512;
[[nodiscard]] TextError parse_json_value(std::string_view json, const DataType& type, Value* out);
// Whether the text is one JSON value (RFC 8259), not nested deeper than kJsonDepthMax, valid UTF-8.
bool is_valid_json(std::string_view json);

}  // namespace runink::columnar
