// Limits of what a slice may use of its node; as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace runink::model {

// Of one block device; at least one of the limits is there, and none is 0.
struct SliceIoLimit {
  std::string device;  // its node: an absolute path below /dev, of a whole device
  std::optional<uint64_t> read_bytes_per_second, write_bytes_per_second;
  std::optional<uint64_t> read_operations_per_second, write_operations_per_second;
  bool operator==(const SliceIoLimit&) const = default;
};

// Absent or empty: none of its own.
struct SliceResources {
  std::optional<double> cpus;                 // processors' worth of time, from 0.01
  std::optional<uint32_t> cpu_weight;         // share of a busy node, 1 to 10000; 100 is what a group has without it
  std::optional<uint64_t> memory_bytes;       // with what its files in memory (/tmp) take; from 1 MiB
  std::optional<uint64_t> memory_high_bytes;  // above it the slice is slowed and its memory reclaimed; from 1 MiB
  std::optional<uint64_t> swap_bytes;         // besides memory_bytes, which must be set; absent: no swap
  std::optional<uint32_t> processes;          // and threads, process 1 of the slice among them; from 2
  std::vector<uint32_t> cpu_set;              // the processors it may use, by number
  std::vector<uint32_t> memory_nodes;         // the NUMA nodes its memory may come from, by number
  std::vector<SliceIoLimit> io;
  bool any() const {
    return cpus || cpu_weight || memory_bytes || memory_high_bytes || processes || !cpu_set.empty() ||
           !memory_nodes.empty() || !io.empty();
  }
  bool operator==(const SliceResources&) const = default;
};

// kInvalidArgument says which value no machine could hold. What this machine cannot hold is known when the slice
// starts.
Status validate(const SliceResources& resources);

// "0.5 processors, 67.1 MB of memory"; "" where nothing is limited.
std::string describe(const SliceResources& resources);

// "0-3,6": sorted, each once.
Result<std::vector<uint32_t>> parse_numbers(const std::string& text);

// "DEVICE:LIMIT=AMOUNT,…", where LIMIT is read or write (bytes a second, such as 10M) or read-ops or write-ops.
Result<SliceIoLimit> parse_io_limit(const std::string& text);

}  // namespace runink::model
