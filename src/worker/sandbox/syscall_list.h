// The system calls that Linux has on this architecture, and what a slice gets for each: the table form of
// syscall_list.inc, which is where the list is kept and reviewed.
#pragma once

#include <cstdint>
#include <span>

namespace runink::sandbox {

enum class SyscallRule : uint8_t {
  kDeny,     // EPERM
  kMissing,  // ENOSYS
  kAllow,    // whatever the arguments
  // Allowed where the arguments hold to the rule (see seccomp.cc), else EPERM.
  kClone,
  kIoctl,
  kMknod,
  kMknodat,
  kPersonality,
  kPrlimit,
  kPrctl,
  kSeccomp,
  kSocket,
  kSocketpair,
};

struct SyscallEntry {
  const char* name;
  uint32_t number;
  SyscallRule rule;
  const char* reason;  // why it is left out; empty for those that are not
};

// In the order of the list. The numbers are those of the architecture that this was compiled for.
std::span<const SyscallEntry> syscall_list();

}  // namespace runink::sandbox
