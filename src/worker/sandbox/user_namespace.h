// The maps of user namespaces: written through a procfs that is known to be one, and read back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

struct IdMap {
  uint32_t inside = 0, outside = 0, count = 1;
};

// Writes both maps of the process's user namespace and reads them back: an error unless they are exactly these.
// `deny_setgroups` is what the kernel asks of those who are not root.
Status map_ids(pid_t pid, const IdMap& users, const IdMap& groups, bool deny_setgroups);

// Where this process is spared when memory runs out (a negative oom_score_adj), that process is not: 0.
Status forget_oom_protection(pid_t pid);

// A user namespace that holds these maps and no process; for id-mapped mounts. Root only.
Result<os::Fd> make_user_namespace(const std::vector<IdMap>& users, const std::vector<IdMap>& groups);

}  // namespace runink::sandbox
