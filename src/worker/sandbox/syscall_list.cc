#include "worker/sandbox/syscall_list.h"

#include <sys/syscall.h>

// Newer than the headers of the distribution that this is built on. From 424 on a number means the same on every
// architecture.
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif

namespace runink::sandbox {
namespace {

constexpr SyscallEntry kList[] = {
#define ALLOW(name) {#name, __NR_##name, SyscallRule::kAllow, ""},
#define CHECK(name, rule) {#name, __NR_##name, SyscallRule::rule, ""},
#define MISSING(name, why) {#name, __NR_##name, SyscallRule::kMissing, why},
#define DENY(name, why) {#name, __NR_##name, SyscallRule::kDeny, why},
#ifdef __x86_64__
#define ALLOW_X86(name) ALLOW(name)
#define CHECK_X86(name, rule) CHECK(name, rule)
#define DENY_X86(name, why) DENY(name, why)
#else
#define ALLOW_X86(name)
#define CHECK_X86(name, rule)
#define DENY_X86(name, why)
#endif
#include "worker/sandbox/syscall_list.inc"
};

}  // namespace

std::span<const SyscallEntry> syscall_list() { return kList; }

}  // namespace runink::sandbox
