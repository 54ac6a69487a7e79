// What decides how a slice is made on this host: who starts it, and which parts of the default root there are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/network/host_view.h"
#include "worker/sandbox/device_nodes.h"
#include "worker/sandbox/gpus.h"
#include "worker/sandbox/node_size.h"

namespace runink::sandbox {

struct HostEntry {
  enum class Kind { kMissing, kFolder, kFile, kLink };
  std::string path;
  Kind kind = Kind::kMissing;
  std::string link_target;        // of a link, as it is written in it
  uint32_t owner = 0, group = 0;  // of what is no link
};

struct HostFacts {
  bool root = false;  // else an ordinary user
  uint32_t uid = 0, gid = 0;
  // A core dump of a slice would be piped to a program of the host: the limit that stops it cannot be set.
  bool cores_reach_handler = false;
  int landlock_abi = 0;                // 0: none
  NodeSize node;
  std::vector<HostEntry> root_parts;  // of default_root_parts(), those there are
  std::vector<HostEntry> mounts;      // one for each mount of the specification, in its order
  std::vector<DeviceEntry> devices;   // and for each device
  GpuFacts gpus;                      // looked up where the slice is to have some
  network::HostView network;          // looked at where the slice has endpoints
  std::vector<std::string> limited_herds;  // whose slices all have a control group; known to who limits them
};

// Whether this process is root, and in the host's own user namespace: root of another one has no more rights on the
// host than whoever made that.
bool is_host_root();

// Host paths from which the default root is made.
const std::vector<std::string>& default_root_parts();

// Those that matter to every slice, and what one specification adds to them.
HostFacts gather_host_facts();
void add_facts_of(const model::SliceSpec& spec, HostFacts* facts);
void look_at_mounts(const std::vector<model::SliceMount>& mounts, HostFacts* facts);

// Changes when a part of the default root is replaced: a slice that was parked before shows the old one.
std::string root_parts_stamp();

// Both. Only looks. A source that is missing is a fact; to start the slice is then refused.
HostFacts gather_host_facts(const model::SliceSpec& spec);

}  // namespace runink::sandbox
