// What slices could leave on this host, by what others see of it and not by what the launcher says of itself.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

// While it lives, this process stands on a host of its own, as far as slices are concerned: with mounts and a network
// that nobody else has, an empty /run/runink, and as the one that processes come to whose parents have gone. So all
// that is counted is this test's, whatever runs besides. Of the host it shares control groups: count_leaks knows them
// by name. SIGCHLD is blocked, for whoever waits for it. Root only, and one thread.
class OwnHost {
 public:
  OwnHost() = default;
  OwnHost(const OwnHost&) = delete;
  ~OwnHost() { leave(); }
  Status enter();
  void leave();

 private:
  os::Fd mounts_, network_;  // those of the host
  std::optional<sigset_t> signals_;
};

// Each thing by a name that tells it from others of its kind.
struct LeakCounters {
  using Things = std::multiset<std::string>;
  Things processes;    // below this one; launchers and spawners by their names alone
  Things mounts;       // of this process, and of launchers that have others
  Things namespaces;   // in which such a process is, or which a mount or a descriptor of theirs or this one's keeps
  Things links;        // network interfaces of slices
  Things rules;        // chains of nf_tables
  Things groups;       // folders in each hierarchy of control groups
  Things descriptors;  // of launchers and spawners
  Things locks;        // ranges of users, slots of networks, GPUs that somebody holds
  Things files;        // in /run/runink, but the ones that are locked

  bool operator==(const LeakCounters& other) const;
};

// `herds`: their groups are all this test's. In others the ones of `launchers` are, which may have ended.
struct LeaksOf {
  std::set<std::string> herds;
  std::set<pid_t> launchers;
  std::set<pid_t> spared;  // processes below this one that are not counted, nor waited for
};

// Of an OwnHost. Children that came here since their parents had gone are waited for, if they have ended.
LeakCounters count_leaks(const LeaksOf& of);

// What there is more of and less, a line each; "" where nothing is.
std::string difference(const LeakCounters& before, const LeakCounters& after);

// The kernel takes a moment for much of it. The difference that is left after half a minute; "" as soon as there is
// none.
std::string difference_in_the_end(const LeakCounters& before, const LeaksOf& of);

// Memory groups of the whole host that are removed, and that the kernel keeps as long as it has pages of theirs.
// Reported, and no leak: they go when memory is needed.
uint64_t dying_memory_groups();

// The process that makes a launcher's slices; 0 for none.
pid_t spawner_of(pid_t launcher);

}  // namespace runink::sandbox
