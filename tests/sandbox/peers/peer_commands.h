// A slice as other sandboxes make it: the same root, mounts, identity, limits of the process and filter, from the same
// list of operations, said to bubblewrap as arguments and to runc and crun as a bundle. For tests that show that the
// attack programs are stopped by others too, and for benchmarks.
//
// What a peer has no word for is left out: bubblewrap limits nothing (rlimits), neither hides /proc except for the
// slice's own processes, and none has a separate keyring or id-mapped sources where it says nothing of them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/sandbox/operations.h"

namespace runink::sandbox::peers {

struct PeerCommand {
  std::vector<std::string> argv;
  // What is to be opened for reading anew at each start, and under which number the peer expects it.
  std::vector<std::pair<std::string, int>> files;
};

// `folder` takes the files that the command reads: the filter, and what is made up in the slice's root. Secrets and
// limits of control groups are refused: kUnimplemented.
Result<PeerCommand> bubblewrap_command(const model::SliceSpec& spec, const Operations& operations,
                                       const std::string& folder);

struct BundleOptions {
  uint32_t first_id = 0;  // of 65,536 users and groups on the host that the container gets
  std::string cgroup;     // path below each hierarchy: "/runink-peer/x"
};
// Ids for the containers of this process: below those of slices, and another process's are others.
uint32_t ids_of_this_process();

// Writes config.json and rootfs/ into `folder`, which is there and empty. Root only, as is running it.
Status write_bundle(const model::SliceSpec& spec, const Operations& operations, const BundleOptions& options,
                    const std::string& folder);

// `runtime` is "runc" or "crun"; `id` is the container's name while it runs, `state` a folder for its records.
PeerCommand bundle_command(const std::string& runtime, const std::string& bundle, const std::string& state,
                           const std::string& id);

}  // namespace runink::sandbox::peers
