// How a slice ended and what it used: plain values, as they travel from the launcher to whoever asked for the slice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace runink::sandbox {

// Since the slice was started, not what was used to prepare it. From its control group where it has one, else what the
// kernel counts of processes that have ended and were waited for.
struct SliceUsage {
  int64_t user_micros = 0, system_micros = 0;  // processor time
  // With what its files in memory take; without a control group that of its largest process alone.
  std::optional<uint64_t> peak_memory_bytes;
  // From and to block devices. What comes from the page cache is not counted.
  std::optional<uint64_t> io_read_bytes, io_write_bytes;
  uint64_t minor_faults = 0, major_faults = 0;  // of pages
};

struct SliceEnd {
  bool exited = false;                  // else ended by a signal
  int code = 0;                         // exit code, when exited
  int signal = 0;                       // else
  bool timed_out = false;               // its time limit ended it
  std::vector<std::string> limits_hit;  // a sentence for each limit that the slice ran into
  SliceUsage usage;
  int64_t at_nanos = 0;  // when its launcher knew; monotonic
};

}  // namespace runink::sandbox
