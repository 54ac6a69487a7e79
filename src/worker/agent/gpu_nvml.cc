#include "worker/agent/gpu_nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>

namespace runink::agent {
namespace {

// The part of nvml.h that is used, as its documentation states it. Every structure is handed out by us and filled in
// by the library, so that a larger one of a newer library cannot be met: newer structures belong to newer functions.
using Device = struct NvmlDevice*;
constexpr int kSuccess = 0;
constexpr unsigned kTextBytes = 96;  // of names, ids and versions: NVML_DEVICE_UUID_V2_BUFFER_SIZE, the largest
constexpr unsigned kMostGpus = 1024;

struct Memory {
  unsigned long long total, free, used;  // NOLINT: as in nvml.h
};
struct PciInfo {
  char bus_id_legacy[16];
  unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
  char bus_id[32];
};

class Library {
 public:
  explicit Library(const std::string& name) : handle_(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) error_ = ::dlerror();
  }
  ~Library() {
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  bool loaded() const { return handle_ != nullptr; }
  const std::string& error() const { return error_; }

  template <typename Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(::dlsym(handle_, name));
  }

 private:
  void* handle_;
  std::string error_;
};

struct Calls {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*device)(unsigned, Device*) = nullptr;
  int (*name)(Device, char*, unsigned) = nullptr;
  int (*uuid)(Device, char*, unsigned) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  // Those that may be missing:
  int (*pci)(Device, PciInfo*) = nullptr;
  int (*minor)(Device, unsigned*) = nullptr;
  int (*partitions)(Device, unsigned*, unsigned*) = nullptr;
  int (*driver)(char*, unsigned) = nullptr;
  const char* (*error)(int) = nullptr;

  explicit Calls(const Library& from)
      : init(from.find<int()>("nvmlInit_v2")),
        shutdown(from.find<int()>("nvmlShutdown")),
        count(from.find<int(unsigned*)>("nvmlDeviceGetCount_v2")),
        device(from.find<int(unsigned, Device*)>("nvmlDeviceGetHandleByIndex_v2")),
        name(from.find<int(Device, char*, unsigned)>("nvmlDeviceGetName")),
        uuid(from.find<int(Device, char*, unsigned)>("nvmlDeviceGetUUID")),
        memory(from.find<int(Device, Memory*)>("nvmlDeviceGetMemoryInfo")),
        pci(from.find<int(Device, PciInfo*)>("nvmlDeviceGetPciInfo_v3")),
        minor(from.find<int(Device, unsigned*)>("nvmlDeviceGetMinorNumber")),
        partitions(from.find<int(Device, unsigned*, unsigned*)>("nvmlDeviceGetMigMode")),
        driver(from.find<int(char*, unsigned)>("nvmlSystemGetDriverVersion")),
        error(from.find<const char*(int)>("nvmlErrorString")) {}

  bool complete() const { return init && shutdown && count && device && name && uuid && memory; }
  std::string say(int result) const {
    const char* text = error != nullptr ? error(result) : nullptr;
    return text != nullptr ? std::string(text) : fmt::format("error {}", result);
  }
};

// Text that the library wrote: ended here if it did not do so itself.
template <typename Fill>
std::string text_of(Fill fill) {
  char text[kTextBytes] = {};
  if (fill(text, kTextBytes) != kSuccess) return {};
  text[kTextBytes - 1] = '\0';
  return text;
}

Gpu look_at(const Calls& calls, Device device, uint32_t index) {
  Gpu gpu;
  gpu.index = index;
  gpu.uuid = text_of([&](char* text, unsigned size) { return calls.uuid(device, text, size); });
  gpu.name = text_of([&](char* text, unsigned size) { return calls.name(device, text, size); });
  Memory memory = {};
  if (calls.memory(device, &memory) == kSuccess) gpu.memory_bytes = memory.total;
  PciInfo pci = {};
  if (calls.pci != nullptr && calls.pci(device, &pci) == kSuccess) {
    gpu.bus_id.assign(pci.bus_id, std::find(pci.bus_id, pci.bus_id + sizeof pci.bus_id, '\0'));
  }
  unsigned minor = 0;
  if (calls.minor != nullptr && calls.minor(device, &minor) == kSuccess && minor < (1u << 20)) {
    gpu.minor = static_cast<int32_t>(minor);
  }
  unsigned now = 0, after_reboot = 0;
  gpu.partitioned =
      calls.partitions != nullptr && calls.partitions(device, &now, &after_reboot) == kSuccess && now == 1;
  return gpu;
}

}  // namespace

GpuList find_gpus(const std::string& library) {
  GpuList found;
  const Library loaded(library);
  if (!loaded.loaded()) {
    found.why_none = fmt::format("no NVIDIA driver library: {}", loaded.error());
    return found;
  }
  const Calls calls(loaded);
  if (!calls.complete()) {
    found.why_none = fmt::format("{} lacks functions of NVML's second version", library);
    return found;
  }
  if (const int result = calls.init(); result != kSuccess) {
    found.why_none = fmt::format("NVML does not begin: {}", calls.say(result));
    return found;
  }
  if (calls.driver != nullptr) found.driver_version = text_of(calls.driver);
  unsigned count = 0;
  if (const int result = calls.count(&count); result != kSuccess || count > kMostGpus) {
    found.why_none = result != kSuccess ? fmt::format("NVML does not count its devices: {}", calls.say(result))
                                        : fmt::format("NVML counts {} devices", count);
    count = 0;
  }
  for (unsigned i = 0; i < count; ++i) {
    Device device = nullptr;
    // One that has fallen off the bus, or that this user may not see.
    if (calls.device(i, &device) == kSuccess) found.gpus.push_back(look_at(calls, device, i));
  }
  (void)calls.shutdown();
  return found;
}

}  // namespace runink::agent
