// Time behind an interface, so that tests and simulations supply their own. Units: microseconds since the Unix epoch,
// UTC, for wall time; nanoseconds from an arbitrary start for steady time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace runink {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t unix_micros() const = 0;
  virtual int64_t steady_nanos() const = 0;
};

// The machine's clocks. Thread-safe; never destroyed.
const Clock& system_clock();

// "2026-11-21T19:55:00Z", with ".123456" before the Z where the microseconds are not zero (RFC 3339). Years outside
// 0000..9999 are written with as many digits as they need, and a sign.
std::string format_utc(int64_t unix_micros);
// The inverse for years 0000..9999; 1 to 9 digits of a fraction are accepted and cut to microseconds. False if it is not
// exactly such a text.
bool parse_utc(std::string_view text, int64_t* unix_micros);

}  // namespace runink
