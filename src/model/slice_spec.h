// What a slice is to be: a program, what it is granted, and how long it may take; as plain values.
//
// A specification touches nothing: whether a path exists is known only when the slice is started (worker/sandbox). What
// can be wrong with the values themselves is refused by validate(), and what nothing enforces yet is refused, too: a
// limit that would not hold must not be taken for one that does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/slice_network.h"
#include "model/slice_devices.h"
#include "model/slice_path.h"
#include "model/slice_resources.h"

namespace runink::model {

// A file or folder of the host that the slice sees.
struct SliceMount {
  std::string source;     // absolute path on the host; no part of it may be a symbolic link
  std::string target;     // absolute path in the slice
  bool writable = false;  // else read-only, with all that is mounted below it
  auto operator<=>(const SliceMount&) const = default;
};

// Bytes that the slice finds in /run/secrets/NAME. Held in memory only; the owner of the specification wipes them
// (wipe_secrets) when the slice has them.
struct SliceSecret {
  std::string name;
  std::string bytes;
};

// A user and group of the host.
struct SliceIdentity {
  uint32_t user = 0, group = 0;
  bool operator==(const SliceIdentity&) const = default;
};

// The size that a terminal begins with, in characters.
struct SliceTerminal {
  uint16_t rows = 24, columns = 80;
};

struct SliceSpec {
  // Whose slice it is. Its control group lies in the herd's; what a slice leaves in its namespaces only slices of the same
  // herd could ever meet.
  std::string herd = "local";
  // The program and its arguments. Without a slash it is looked up in PATH, inside the slice.
  std::vector<std::string> argv;
  // The whole environment: PATH, HOME and LANG are set only where they are in it (with_default_environment).
  std::vector<std::pair<std::string, std::string>> environment;
  std::string working_directory = "/";  // in the slice
  std::string host_name = "slice";
  std::vector<SliceMount> mounts;
  std::vector<SliceSecret> secrets;
  SliceResources resources;
  std::vector<SliceDevice> devices;
  SliceGpus gpus;
  SliceNetwork network;
  // Who the program is inside. On the host that is an id that nobody else has (root starts the slice), or the caller's.
  uint32_t user = 1000, group = 1000;
  // Who it is on mounts: paths are looked up, and files read and written, as this user and group of the host would, who
  // are never root. Absent: on each mount as its owner (root starts the slice), or as the caller.
  std::optional<SliceIdentity> act_as;
  // A terminal of its own as 0, 1 and 2; the streams it is started with are then the socket on which its other side
  // comes back (worker/sandbox/slice_terminal.h).
  std::optional<SliceTerminal> terminal;
  int64_t time_limit_micros = 0;        // 0: none
  int64_t grace_micros = 10'000'000;    // between SIGTERM and SIGKILL
  uint64_t scratch_bytes = 256u << 20;  // the size of /tmp
  // Where /tmp is kept: a folder of the host in which it is a file without a name, encrypted with a key that only the
  // kernel has and only as long as the slice runs. Empty: in memory, as a tmpfs.
  std::string scratch_folder;
};

inline constexpr uint32_t kSliceIds = 65536;  // users and groups of a slice are 0 to kSliceIds - 1
inline constexpr size_t kMostSecretBytes = 1u << 20;

// Lower-case letters, digits, "-" and "_", 1 to 64.
bool is_herd_name(const std::string& name);

// kInvalidArgument says which value is wrong and what it may be; kUnimplemented what is not supported yet.
Status validate(const SliceSpec& spec);

// Adds PATH, HOME and LANG where the environment does not name them.
void add_default_environment(SliceSpec* spec);

// Overwrites the bytes of secrets and forgets them.
void wipe_secrets(SliceSpec* spec);

// "SRC:DST" or "SRC:DST:rw" (":ro" is the default said aloud). A relative SRC begins at `folder`.
Result<SliceMount> parse_mount(const std::string& text, const std::string& folder);
// "UID" or "UID:GID"; without a GID it is the UID.
Result<std::pair<uint32_t, uint32_t>> parse_user(const std::string& text);
// "UID" or "UID:GID" of the host; without a GID it is the UID. Root is nobody's to act as.
Result<SliceIdentity> parse_identity(const std::string& text);

}  // namespace runink::model
