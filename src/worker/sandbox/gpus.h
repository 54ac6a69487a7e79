// The GPUs of this node, as NVIDIA's driver shows them in /dev; which of them no slice has; how a slice takes them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/slice_devices.h"
#include "platform/os/fd.h"
#include "worker/sandbox/device_nodes.h"

namespace runink::sandbox {

struct Gpu {
  uint32_t number = 0;  // of /dev/nvidiaN
  DeviceEntry device;
  bool free = true;  // no slice has it
};

struct GpuFacts {
  std::vector<Gpu> gpus;              // by number
  std::vector<DeviceEntry> controls;  // nodes that whoever uses any of them needs
};

GpuFacts look_for_gpus();

// Which GPUs a slice gets: those it names, which others may have, too, unless they were given them alone; or the first
// of the free ones, for it alone.
struct GpuChoice {
  std::vector<Gpu> gpus;
  bool alone = false;
};
Result<GpuChoice> choose_gpus(const model::SliceGpus& wanted, const GpuFacts& facts);

// What programs look for: the numbers on the host, and for CUDA those of the ones it can open, which it counts from 0.
std::vector<std::pair<std::string, std::string>> gpu_environment(const GpuChoice& choice);

// Takes them as long as the descriptors (locks in /run/runink/gpus) are open. kResourceExhausted: another slice has one
// of them. Root only.
Result<std::vector<os::Fd>> take_gpus(const GpuChoice& choice);

}  // namespace runink::sandbox
