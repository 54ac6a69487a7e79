// Scratch on disk that is worth nothing without the slice: an ext4 of a fixed size in a file without a name, in which
// one folder is encrypted (fscrypt) with a key that is made up for it and that only the kernel keeps.
//
// Nothing has to be cleaned up, however it ends: the file has no name, so it is gone with the loop device; that goes
// with the mount, and the key, too; and the mount goes with the last process of the slice. The space is taken when it
// is made, so the slice finds its own file system full and never the host's.
//
// File contents and names are encrypted (AES-256, XTS and CTS); how many files there are, how large and how old, is
// not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/slice_spec.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

// The folder inside that is encrypted, and all the slice is to get of it.
inline constexpr const char* kScratchPart = "scratch";

// A detached mount (nosuid, nodev) of a new file system of `bytes`, whose file lies in `folder`, an absolute path
// without symbolic links; it is made as `act_as`, if given, may. The encrypted folder is for everybody to write to,
// like /tmp, and belongs to `owner` of the host. Takes root, loop devices, mkfs.ext4 and a kernel with file encryption;
// what is missing is said (kFailedPrecondition), as is a disk that is too full (kResourceExhausted). Takes some 30 ms.
Result<os::Fd> make_encrypted_scratch(const std::string& folder, uint64_t bytes,
                                      const std::optional<model::SliceIdentity>& act_as, uint32_t owner);

}  // namespace runink::sandbox
