// Devices of the host that a slice is granted; as plain values.
//
// Whoever takes a specification from others decides which devices they may ask for: a disk is all that is on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace runink::model {

// A device node of the host, which the slice has under the same path.
struct SliceDevice {
  std::string path;       // absolute, below /dev
  bool writable = false;  // else it can only be opened for reading
};

// GPUs by number, or how many of those that no other slice has. Neither: none.
struct SliceGpus {
  uint32_t count = 0;
  std::vector<uint32_t> numbers;  // sorted, each once
  bool any() const { return count > 0 || !numbers.empty(); }
};

// kInvalidArgument: what is no device to be given, or twice.
Status validate_devices(const std::vector<SliceDevice>& devices, const SliceGpus& gpus);

// "/dev/X", "/dev/X:r" or "/dev/X:rw"; without a flag it is for reading.
Result<SliceDevice> parse_device(const std::string& text);
// "2": so many; "device=0,2": these.
Result<SliceGpus> parse_gpus(const std::string& text);

}  // namespace runink::model
