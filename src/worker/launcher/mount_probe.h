// Whether what a launch mounts answers: tried by a process of its own, since a file system of the network or of a
// program (NFS, FUSE) that does not would hold whoever looks at it for as long, beyond any signal.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "platform/os/fd.h"

namespace runink::launcher {

struct MountProbe {
  pid_t pid = -1;  // a child; it ends as soon as all have answered
  os::Fd pidfd;    // readable then
};

// What the specification takes from the host's files, where this host has any file system that may not answer; else
// nothing. Reads the table of mounts.
std::vector<std::string> paths_to_probe(const model::SliceSpec& spec);

// Begins to look at them. In a process with one thread.
Result<MountProbe> start_probe(const std::vector<std::string>& paths);

}  // namespace runink::launcher
