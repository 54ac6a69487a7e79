// The system calls a slice may make: an allow-list, compiled to a seccomp filter once and loaded by one call.
//
// What is not allowed is answered with EPERM; clone3, and calls newer than the list, with ENOSYS, so that libraries
// fall back; a call by another architecture's numbers (int 0x80, x32) kills the process. The list and its reasons are
// in syscall_list.inc; rules about arguments are in seccomp.cc.
#pragma once

#include <linux/filter.h>

#include <string>
#include <vector>

#include "base/status.h"

namespace runink::sandbox {

struct SeccompFilter {
  std::vector<sock_filter> program;  // classic BPF over struct seccomp_data
};

// The filter of every slice. Built at the first call, which must come before a child is made that installs it (it
// allocates); after that it may be called from any thread and costs nothing.
const SeccompFilter& default_filter();

// Loads the filter into every thread of the calling process, for good; children and programs it executes inherit it.
// 0, or the errno: EACCES without no_new_privs (which the caller sets before), EINVAL or ENOSYS where the kernel has no
// seccomp filters, ESRCH if another thread runs under a filter of its own. Async-signal-safe: one system call.
int install_filter(const SeccompFilter& filter) noexcept;

// Whether this kernel can enforce the filter: filters, the actions it uses, TSYNC. Changes nothing. The error says what
// is missing and what to change.
Status probe_seccomp();

// The filter in words, one line each, for `--explain`: how many calls are allowed, then what is checked and left out.
std::string describe_default_filter();

}  // namespace runink::sandbox
