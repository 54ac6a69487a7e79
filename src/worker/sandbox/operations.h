// From a specification and the facts of a host to the list of what is done to start the slice: data, made without
// privilege and without touching anything, so that it can be printed (`runi exec --explain`) and tested as text.
//
// The list has two parts. What every slice of a class has is done when it is parked, and can be done long before it is
// asked for; it depends on the class alone (plan_parking). What one specification adds is done when it is started
// (plan_start). A cold start does one after the other.
//
// The launcher (slice.h) and the processes it makes (child.h) walk this very list, each its own part, in this order;
// what is printed is what is done. docs/internals/sandbox.md says why the order is as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/network/plan.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/gpus.h"
#include "worker/sandbox/host_facts.h"

namespace runink::sandbox {

enum class Phase : uint8_t {
  kPark,   // for every slice of the class
  kStart,  // for one specification
};

// Who carries an operation out.
enum class Place : uint8_t {
  kLauncher,  // the process that starts the slice, on the host
  kInit,      // process 1 of the slice
  kProgram,   // the process that becomes the program
};

enum class Action : uint8_t {
  kCheckStreams,
  kOpenSource,  // source: an O_PATH descriptor, checked; root also clones the mounts below it from here
  kMakeGroup,   // without limits yet
  kSetLimits,   // of the control group: written, and read back
  kTakeGpus,
  kConnectNetwork,  // to the endpoints, and no further
  kPickIds,     // a range of users and groups that no other slice has
  kClone,       // number: namespaces that a process is born in
  kForgetOomProtection,
  kMapIds,         // written, and read back
  kBecomeRoot,     // of the slice's user namespace, without groups
  kTieToLauncher,  // dies with it
  kEnterGroup,     // where it was not born in it
  kUnshare,        // number: namespaces that it makes for itself
  kPrivateMounts,
  kCloneSource,  // source: opened again inside, the same as before, cloned (ordinary user)
  kMountRoot,    // an empty tmpfs
  kMountTmpfs,   // path; number: bytes, second: mode
  kMountRamfs,   // path
  kMountProc,    // path
  kMountTerminals,  // path: a devpts of its own
  kMakeFolder,   // path, number: mode
  kMakeLink,     // path -> text
  kMakeFile,     // path holds text
  kRewriteFile,  // path, which is there, holds text instead
  kAttach,       // source at path
  kAttachPart,   // of the source what lies at text, at path
  kWriteSecret,  // path; number: which, second: user and group
  kProtect,      // path becomes read-only, not what is mounted below it
  kUnprotect,    // path becomes writable
  kResize,       // of the tmpfs at path; number: bytes
  kPivot,        // the slice's root becomes /, the host's is gone
  kSetHostName,  // text
  kRaiseLoopback,
  kStartProgram,  // what follows is done in a new process
  kNewSession,
  kOpenTerminal,  // number: rows, second: columns; its master is sent over the stream that is the program's input
  kTakeTerminal,  // as that session's, and as 0, 1 and 2
  kResetSignals,
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
  kMakeFence,    // Landlock; number: the ABI
  kAllowPath,    // path; number: FenceGrant
  kAllowStreams,  // what 0, 1 and 2 are, as they are open already
  kEnterFence,
  kFilterCalls,
  kCloseDescriptors,
  kExecute,
};

// What the fence (Landlock) grants below a path; bits.
enum FenceGrant : uint64_t {
  kGrantRead = 1,  // and the names in folders
  kGrantExecute = 2,
  kGrantWrite = 4,   // and to make and remove what is in folders
  kGrantDevice = 8,  // control devices (ioctl)
};

struct Operation {
  Phase phase = Phase::kPark;
  Place place = Place::kInit;
  Action action = Action::kMakeFolder;
  std::string says;  // "mount /data read-only": what an error names, and --explain prints
  std::string path;  // in the slice, without the first slash ("data"); "" is the root
  std::string text;
  int source = -1;  // index into Operations::sources: of its own phase's
  uint64_t number = 0, second = 0;
};

// A file, folder or device of the host that the slice sees.
struct MountSource {
  std::string path;
  bool folder = true;
  bool writable = false;
  bool device = false;
  uint32_t device_major = 0, device_minor = 0;  // what it has to be, of a device
  bool block = false;                           // a block device
  bool granted = false;         // the slice gets a node of its own for the device, by which its user alone may open it
  uint64_t scratch_bytes = 0;   // not 0: no mount of `path`, but an encrypted file system whose file lies there
  // Whether the slice acts on it as this user and group of the host (id-mapped mount): its owner, or whom the
  // specification names; else as nobody in particular, or, when an ordinary user starts the slice, as that user.
  bool mapped = false;
  bool by_specification = false;  // then its path is looked up with their rights, too
  uint32_t user = 0, group = 0;
};

struct Operations {
  std::vector<Operation> list;
  std::vector<MountSource> sources;
  // In what this slice is weaker than one started by root; clauses about "it". Empty for root.
  std::vector<std::string> missing_guarantees;
  // Where the program is looked for, in the slice, in this order.
  std::vector<std::string> program_candidates;
  // All that it may open of devices, if that is limited by its control group, too.
  std::optional<std::vector<DeviceRule>> device_rules;
  GpuChoice gpus;
  std::optional<network::NetworkPlan> network;  // absent: none but its loopback
  // Set besides what the specification sets.
  std::vector<std::pair<std::string, std::string>> environment;
};

// What parking depends on. A slice can be started in any that was parked for an equal class.
struct ParkingClass {
  std::string herd;
  uint32_t user = 0, group = 0;
  bool limited = false;   // it has a control group
  bool terminal = false;  // it can have one of its own
  // An ordinary user can clone mounts only while the host's files are still in sight: so these are of the class there.
  std::vector<model::SliceMount> mounts;
  auto operator<=>(const ParkingClass&) const = default;
};
ParkingClass class_of(const model::SliceSpec& spec, const HostFacts& facts);

// What is done to park a slice of this class. `facts.mounts` are of the class's mounts.
Result<Operations> plan_parking(const ParkingClass& parking, const HostFacts& facts);
// What is done to start this one in a parked slice of its class. kPermissionDenied where something cannot be granted as
// asked, with the reason.
// kOfErrors: what only --explain tells is not said, since to say it takes longer than to plan it.
enum class Words { kAll, kOfErrors };
Result<Operations> plan_start(const model::SliceSpec& spec, const HostFacts& facts, Words words = Words::kAll);

// Both, one after the other: the whole of a cold start.
Result<Operations> plan_operations(const model::SliceSpec& spec, const HostFacts& facts);

// The list in words, one operation a line, under the heading of the process that does it; then what is missing.
std::string explain(const Operations& operations);

}  // namespace runink::sandbox
