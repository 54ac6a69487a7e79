// What this node has: processors and how they lie, memory, disks, GPUs, kernel, and labels of its operator. Looked up
// when it is asked for; what cannot be read is absent, and never an error.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "worker/agent/gpu_nvml.h"

namespace runink::agent {

struct NumaNode {
  uint32_t number = 0;
  std::vector<uint32_t> processors;
  uint64_t memory_bytes = 0;
};

struct Disk {
  std::string name;  // "nvme0n1"
  uint32_t major = 0, minor = 0;
  uint64_t bytes = 0;
  bool rotational = false;
};

struct Space {             // a file system that slices' files may be on
  std::string path, type;  // "/tmp", "ext4"
  uint64_t bytes = 0, free_bytes = 0;
};

struct Inventory {
  std::string host_name, kernel, architecture, system;  // system: PRETTY_NAME of os-release
  std::string processor_model;
  uint32_t processors = 0, cores = 0, sockets = 0;  // online; processors are hardware threads
  uint32_t usable_processors = 0;                   // by this process: affinity and quota
  std::vector<NumaNode> numa;
  uint64_t memory_bytes = 0, usable_memory_bytes = 0, swap_bytes = 0;
  std::vector<Disk> disks;
  std::vector<Space> spaces;
  std::string control_groups;  // "v1: cpu memory …", as the sandbox uses them; why not, where it cannot
  GpuList gpus;
  std::map<std::string, std::string> labels;
};

struct InventoryOptions {
  std::vector<std::string> space_paths = {"/", "/tmp", "/run", "/dev/shm"};
  std::map<std::string, std::string> labels;
  std::string gpu_library = kNvmlLibrary;
  std::string root;  // stands before every path of /proc, /sys and /etc (for tests)
};
Inventory gather_inventory(const InventoryOptions& options);

// One object; keys are only ever added.
std::string inventory_json(const Inventory& inventory);

// "KEY=VALUE": the key 1 to 63 letters, digits, '-', '_', '.' and '/', a letter or digit first and last; the value up
// to 255 bytes of UTF-8 without control characters. kInvalidArgument says what is wrong.
Result<std::pair<std::string, std::string>> parse_label(std::string_view text);
// A file of such lines; empty lines and those that begin with '#' count for nothing. kInvalidArgument names the line; a
// key twice is one.
Result<std::map<std::string, std::string>> read_labels(const std::string& path);

}  // namespace runink::agent
