// Devices that a slice is granted: each as a node of its own, which its group alone may open, for what was granted.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

// What there is under a path of the host.
struct DeviceEntry {
  std::string path;
  char type = 0;  // 'c' or 'b'; 0: nothing, or something else
  uint32_t major = 0, minor = 0;
};
DeviceEntry look_at_device(const std::string& path);

// The name of the node in what make_device_node gives.
inline constexpr const char* kNodePart = "node";

// A detached tmpfs with a node of that device, for `group` of the host to read, and, if `writable`, to write. It is
// root's, so that nobody in the slice can change that; the host's own node may be anybody's. Root only.
Result<os::Fd> make_device_node(const DeviceEntry& device, bool writable, uint32_t group);

}  // namespace runink::sandbox
