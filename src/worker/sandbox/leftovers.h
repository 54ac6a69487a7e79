// What launchers left on this host that were killed, told from what is in use. The next launcher removes it; here it is
// only counted.
#pragma once

#include <set>
#include <string>

#include "base/status.h"

namespace runink::sandbox {

struct InUseAndLeft {
  std::set<std::string> in_use, left;  // names
};

struct Leftovers {
  InUseAndLeft processes;  // process 1 of each slice, by pid
  InUseAndLeft groups;     // control groups, as herd/group
  InUseAndLeft links;      // of slices with endpoints
  InUseAndLeft rules;      // chains of nf_tables; empty for an ordinary user, who may not see them
  Status rules_unknown;    // why root could not see them
};

// Reads /proc, the control groups and nf_tables: milliseconds.
Leftovers count_leftovers();

// Whether the group's launcher, which its name says, has ended. False where that is not known.
bool launcher_is_gone(const std::string& group);

}  // namespace runink::sandbox
