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

namespace runink::model {

// A file or folder of the host that the slice sees.
struct SliceMount {
  std::string source;     // absolute path on the host; no part of it may be a symbolic link
  std::string target;     // absolute path in the slice
  bool writable = false;  // else read-only, with all that is mounted below it
};

// Bytes that the slice finds in /run/secrets/NAME. Held in memory only; the owner of the specification wipes them
// (wipe_secrets) when the slice has them.
struct SliceSecret {
  std::string name;
  std::string bytes;
};

// Limits of what a slice may use of its node; absent: none of its own.
struct SliceResources {
  std::optional<double> cpus;            // processors' worth of time, from 0.01
  std::optional<uint64_t> memory_bytes;  // with what its files in memory (/tmp) take; from 1 MiB
  std::optional<uint32_t> processes;     // and threads, process 1 of the slice among them; from 2
  bool any() const { return cpus || memory_bytes || processes; }
};

enum class SliceNetwork {
  kNone,       // a network of its own with nothing but loopback
  kEndpoints,  // named endpoints; refused for now
};

struct SliceSpec {
  // The program and its arguments. Without a slash it is looked up in PATH, inside the slice.
  std::vector<std::string> argv;
  // The whole environment: PATH, HOME and LANG are set only where they are in it (with_default_environment).
  std::vector<std::pair<std::string, std::string>> environment;
  std::string working_directory = "/";  // in the slice
  std::string host_name = "slice";
  std::vector<SliceMount> mounts;
  std::vector<SliceSecret> secrets;
  SliceResources resources;
  SliceNetwork network = SliceNetwork::kNone;
  // Who the program is inside. On the host that is an id that nobody else has (root starts the slice), or the caller's.
  uint32_t user = 1000, group = 1000;
  int64_t time_limit_micros = 0;        // 0: none
  int64_t grace_micros = 10'000'000;    // between SIGTERM and SIGKILL
  uint64_t scratch_bytes = 256u << 20;  // of the tmpfs at /tmp
};

inline constexpr uint32_t kSliceIds = 65536;  // users and groups of a slice are 0 to kSliceIds - 1
inline constexpr size_t kMostSecretBytes = 1u << 20;

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

// A path that begins with "/" and holds no empty part, no "." and no "..".
bool is_plain_absolute(const std::string& path);
// Whether `path` is `folder` or lies below it; both plain and absolute.
bool is_within(const std::string& path, const std::string& folder);

}  // namespace runink::model
