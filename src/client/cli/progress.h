// A line on standard error that says how far something is, how fast, and how long it will take.
//
// Drawn only when standard error is a terminal, --quiet is not given, and a second has passed; redrawn at most ten
// times a second, and erased at the end, so a log never holds half of one.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "client/cli/console.h"

namespace runink::cli {

class Progress {
 public:
  enum class Unit { kRecords, kBytes, kItems };

  // total 0: not known; then no share and no time left. `console` and `clock` outlive this.
  Progress(Console& console, std::string what, Unit unit, uint64_t total, const Clock& clock = system_clock());
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // From any thread. `done` counts from the start. `extra`: something short behind it ("12 rejected").
  void update(uint64_t done, std::string_view extra = {});
  void set_total(uint64_t total);
  void set_what(std::string what);
  // Erases the line. Further updates do nothing.
  void finish();

  // What would be drawn at this moment, without escape codes. For tests.
  std::string line(uint64_t done, int64_t elapsed_nanos, std::string_view extra, int width) const;

 private:
  Console& console_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::string what_;
  Unit unit_;
  uint64_t total_;
  int64_t started_nanos_, last_drawn_nanos_ = 0;
  bool enabled_, drawn_ = false, finished_ = false;
};

}  // namespace runink::cli
