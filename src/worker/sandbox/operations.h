// From a specification and the facts of a host to the list of what is done to start the slice: data, made without
// privilege and without touching anything, so that it can be printed (`runi exec --explain`) and tested as text.
//
// The launcher (launch.h) and the processes it makes (child.h) walk this very list, each its own part, in this order;
// what is printed is what is done. docs/internals/sandbox.md says why the order is as it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/sandbox/host_facts.h"

namespace runink::sandbox {

// Who carries an operation out.
enum class Place : uint8_t {
  kLauncher,  // the process that starts the slice, on the host
  kInit,      // process 1 of the slice
  kProgram,   // the process that becomes the program
};

enum class Action : uint8_t {
  kCheckStreams,
  kOpenSource,  // source: an O_PATH descriptor, checked; root also clones the mounts below it from here
  kMakeGroup,   // with the limits
  kPickIds,     // a range of users and groups that no other slice has
  kClone,       // number: namespaces
  kEnterGroup,  // where it was not born in it
  kForgetOomProtection,
  kMapIds,         // written, and read back
  kBecomeRoot,     // of the slice's user namespace, without groups
  kTieToLauncher,  // dies with it
  kPrivateMounts,
  kCloneSource,  // source: opened again inside, the same as before, cloned (ordinary user)
  kMountRoot,    // an empty tmpfs
  kMountTmpfs,   // path; number: bytes, second: mode
  kMountRamfs,   // path
  kMountProc,    // path
  kMakeFolder,   // path, number: mode
  kMakeLink,     // path -> text
  kMakeFile,     // path holds text
  kAttach,       // source at path
  kWriteSecret,  // path; number: which
  kProtect,      // path becomes read-only, not what is mounted below it
  kPivot,        // the slice's root becomes /, the host's is gone
  kSetHostName,  // text
  kRaiseLoopback,
  kStartProgram,  // fork: what follows is done in the new process
  kNewSession,
  kNewKeyring,
  kSetMask,  // number
  kForbidCores,
  kLimit,  // number: the resource, second: the most
  kLockSecurebits,
  kDropBounding,
  kBecomeUser,  // number: user, second: group
  kDropCapabilities,
  kNoNewPrivileges,
  kEnterFolder,  // path, checked to lie in the slice's root
  kOpenProgram,  // the program: found, opened and checked in the slice's root
  kFilterCalls,
  kCloseDescriptors,
  kExecute,
};

struct Operation {
  Place place = Place::kInit;
  Action action = Action::kMakeFolder;
  std::string says;  // "mount /data read-only": what an error names, and --explain prints
  std::string path;  // in the slice, without the first slash ("data"); "" is the root
  std::string text;
  int source = -1;  // index into Operations::sources
  uint64_t number = 0, second = 0;
};

// A file, folder or device of the host that the slice sees.
struct MountSource {
  std::string path;
  bool folder = true;
  bool writable = false;
  bool device = false;
  uint32_t device_major = 0, device_minor = 0;  // what it has to be, of a device
  // Whether the slice acts as the owner on it (id-mapped mount); else as nobody in particular, or, when an ordinary
  // user starts the slice, as that user.
  bool as_owner = false;
  uint32_t owner = 0, group = 0;
};

struct Operations {
  std::vector<Operation> list;
  std::vector<MountSource> sources;
  // In what this slice is weaker than one started by root; clauses about "it". Empty for root.
  std::vector<std::string> missing_guarantees;
  // Where the program is looked for, in the slice, in this order.
  std::vector<std::string> program_candidates;
};

// kPermissionDenied where a mount cannot be granted as asked, with the reason.
Result<Operations> plan_operations(const model::SliceSpec& spec, const HostFacts& facts);

// The list in words, one operation a line, under the heading of the process that does it; then what is missing.
std::string explain(const Operations& operations);

}  // namespace runink::sandbox
