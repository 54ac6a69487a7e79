// One line that a slice wrote, and how it stands in a slice's log: a line of JSON (RFC 8259).
//
//   {"time":"2026-11-21T19:55:00.123456Z","slice":"s1","herd":"etl","stream":"stdout","line":"read 10 rows"}
//
// "continues":true says that the next line of this stream is the rest of it: longer lines than kMostLineBytes come in
// pieces. A line of the stream "runink" is not the slice's: it says what happened to it or to its log; "dropped_lines"
// and "dropped_bytes" then are how much is missing here. Bytes that are not UTF-8 are kept as U+FFFD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runink::agent {

inline constexpr size_t kMostLineBytes = 16 << 10;

enum class LogStream : uint8_t { kOutput, kError, kRunink };
std::string_view stream_name(LogStream stream);  // "stdout", "stderr", "runink"

// Whose lines they are.
struct LogOrigin {
  std::string slice;  // its id; names the log's folder: letters, digits, '-', '_' and '.', not '.' first, 128 at most
  std::string herd;
};

struct LogLine {
  int64_t unix_micros = 0;  // when the agent got its last byte
  LogStream stream = LogStream::kOutput;
  std::string text;        // without the line end
  bool continues = false;  // what follows on this stream belongs to the same line
  uint64_t dropped_lines = 0, dropped_bytes = 0;
};

// With the line end.
std::string log_line_json(const LogOrigin& origin, const LogLine& line);
// What log_line_json() wrote, one line with or without its end; nothing where it is not that (a line that a crash cut).
std::optional<LogLine> parse_log_line(std::string_view json);

}  // namespace runink::agent
