// Landlock: what a process may do with files and TCP, held by the kernel beside the mount namespace, so that one
// mistake in the mounts is not enough. A second fence: a host whose kernel has none still has the first.
//
// The four steps are plain system calls without allocation, for a child between clone and exec: make_ruleset, allow_*
// for each grant, restrict_self. Everything that the ruleset handles and no rule grants is refused with EACCES.
#pragma once

#include <cstdint>
#include <string>

namespace runink::sandbox {

// The newest ABI that this kernel and this code know; 0 where Landlock is not built in or not switched on.
//   1 files   2 moving between folders   3 truncation   4 TCP   5 ioctl of devices   6 abstract sockets and signals
int landlock_abi() noexcept;
std::string describe_landlock(int abi);  // for doctor: what it holds here, and what not

struct PathGrant {
  bool read = true;  // files and the names in folders
  bool execute = false;
  bool write = false;   // contents, and making and removing what is in a folder; no device nodes
  bool device = false;  // ioctl on device files
};

// The bits of a grant for the kernel, as far as this ABI has them. For a file `folder` is false: a rule for it takes
// fewer bits.
uint64_t access_bits(const PathGrant& grant, bool folder, int abi) noexcept;

// A ruleset that handles all file access of this ABI, TCP if asked (ABI 4), and shuts abstract sockets and signals in
// (ABI 6). A descriptor, close-on-exec, that the caller closes; or minus an errno. ENOSYS for ABI 0.
int make_ruleset(int abi, bool handle_tcp) noexcept;

// `path`: an O_PATH descriptor of a file or folder; the grant holds for all below it. 0 or an errno.
int allow_path(int ruleset, int path, uint64_t access) noexcept;
// Only with a ruleset that handles TCP. Port 0 of `bind` allows any port the kernel picks. 0 or an errno.
int allow_tcp(int ruleset, uint16_t port, bool bind, bool connect) noexcept;

// From here on this thread, its children and what they execute are held to it. After all mounting is done (it refuses
// mount calls), with no_new_privs set, else EPERM. 0 or an errno.
int restrict_self(int ruleset) noexcept;

}  // namespace runink::sandbox
