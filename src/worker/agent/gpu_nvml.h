// NVIDIA GPUs, asked of the driver's own library (NVML), which is loaded when it is asked and never linked: where there
// is none, there are no GPUs. Only calls that the library has had since its version 2 are made
// (https://docs.nvidia.com/deploy/nvml-api/).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace runink::agent {

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

struct Gpu {
  uint32_t index = 0;  // as NVML and CUDA_VISIBLE_DEVICES count (in order of the bus)
  std::string uuid;    // "GPU-…"
  std::string name;
  std::string bus_id;  // "00000000:01:00.0"
  uint64_t memory_bytes = 0;
  int32_t minor = -1;        // of /dev/nvidia<minor>; -1: the driver does not say
  bool partitioned = false;  // MIG is on: slices of it are devices of their own
};

struct GpuList {
  std::vector<Gpu> gpus;
  std::string driver_version;
  std::string why_none;  // "libnvidia-ml.so.1 is not installed"; empty where the library answered
};

// Loads, asks, and unloads. A library that fails or crashes its caller's expectations (negative counts, endless
// strings) is told in why_none.
GpuList find_gpus(const std::string& library = kNvmlLibrary);

}  // namespace runink::agent
