// What is said between a launcher and its owner. One owner at a time: `runi exec`, or the agent; when the agent is
// killed, the next one connects and is given back what there is (adoption).
//
//   owner → launcher   kLaunch kSignal kKill kKeepParked kList kForget kStop kLimitHerds
//   launcher → owner   kReady kStarted kRefused kEnded kSlice kListEnd kPool kHerds
//
// The message's subject is the slice, where it is about one.
//
// A slice's number is its owner's choice, and names it until it has ended and was forgotten. A launch with a number
// that is in use is refused with kAlreadyExists, so that an owner can repeat one when it does not know whether it
// arrived.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/herd_limits.h"
#include "model/slice_spec.h"
#include "worker/sandbox/herd_state.h"
#include "worker/sandbox/slice_end.h"

namespace runink::launcher {

inline constexpr uint32_t kProtocolVersion = 2;

enum class MessageType : uint16_t {
  kLaunch = 1,      // LaunchRequest; descriptors: 0, 1, 2, the program's others, those to keep
  kSignal = 2,      // int32: to the program's process group
  kKill = 3,        // the whole slice
  kKeepParked = 4,  // PoolRequest
  kList = 5,
  kForget = 6,  // an ended slice
  kStop = 7,    // end all slices, and the launcher
  // std::vector<model::HerdLimit>: what herds are limited to from now on, all of them; a herd that it does not name is
  // not, any more. Every slice of such a herd has a control group, and none is started where the limits do not hold.
  kLimitHerds = 8,

  kReady = 101,    // Ready: the first message of a connection
  kStarted = 102,  // Started; descriptors: the control channel of an engine
  kRefused = 103,  // Status: it was not started, and nothing of it is left
  kEnded = 104,    // sandbox::SliceEnd
  kSlice = 105,    // SliceRecord; descriptors: those it keeps. An answer to kList
  kListEnd = 106,  // Counters
  kPool = 107,     // PoolState: when one more stands ready, or it cannot be filled
  kHerds = 108,    // std::vector<sandbox::HerdState>: the answer to kLimitHerds
};

// What a slice holds when it is started.
enum class SliceKind : uint8_t {
  kCommand = 0,  // executes its program
  // Its program serves: it waits for its work on descriptor 3, a SOCK_SEQPACKET socket whose other end kStarted brings.
  // 0, 1 and 2 are /dev/null, whatever the launch brings.
  kEngine = 1,
};

// How it came to be started.
enum class StartPath : uint8_t {
  kCold = 0,      // everything was made for it then
  kParked = 1,    // its namespaces, root and processes were ready, and nobody had used them
  kRecycled = 2,  // the same, and slices of its herd had used them
};
const char* start_path_name(StartPath path);  // "cold", "parked", "recycled"

struct LaunchRequest {
  model::SliceSpec spec;
  SliceKind kind = SliceKind::kCommand;
  // The owner's own note about it, given back on adoption. At most 4 KiB.
  std::string label;
  // Whether its namespaces may have been used by an ended slice of the same herd, and may be used by one after it.
  bool recycle = false;
  // Killed when this owner goes away, also by a launcher that waits for the next one: its caller went with the owner.
  bool ends_with_owner = false;
  // Of the message's descriptors, after the three streams: how many are the program's (3, 4, …), how many the launcher
  // only keeps (the read ends of its output).
  uint32_t program_descriptors = 0, kept_descriptors = 0;
};

// How many slices of a class are to stand ready. A slice is of the same class if the same is done to park it:
// spec's herd, user and group, whether it has limits at all (of `resources` only that counts), kind, and, for an
// engine, program and environment. 0 takes the pool away. A launch takes what fits, whatever made it stand ready.
struct PoolRequest {
  model::SliceSpec spec;
  SliceKind kind = SliceKind::kCommand;
  uint32_t count = 0;
};

struct Ready {
  uint32_t version = kProtocolVersion;
  pid_t pid = 0;
  uint32_t slices = 0;  // that it has: to be asked for by kList
};

struct Started {
  StartPath path = StartPath::kCold;
  pid_t pid = 0;          // of process 1, on the host
  std::string group;      // its control group, "herd/slice" below the base (sandbox/cgroup.h); empty without
  uint32_t first_id = 0;  // its users and groups on the host begin here; 0 where it has none of its own
  int64_t at_nanos = 0;   // when its launcher knew; monotonic
};

enum class SliceState : uint8_t { kStarting = 0, kRunning = 1, kEnded = 2 };

struct SliceRecord {
  SliceState state = SliceState::kStarting;
  std::string herd, label;
  Started started;               // but while it is starting
  sandbox::SliceEnd end;         // once it has ended
};

struct PoolState {
  std::string herd;
  SliceKind kind = SliceKind::kCommand;
  bool limited = false, terminal = false;  // its slices have a control group; can have a terminal
  uint32_t wanted = 0, ready = 0;
  Status failed;  // why it could not be filled the last time; OK where it could
};

// Since the launcher was started.
struct Counters {
  uint64_t cold = 0, parked = 0, recycled = 0;  // slices that were started so
  uint64_t refused = 0, ended = 0;
  uint64_t scrubbed = 0;            // sets that were clean after a slice, and kept
  uint64_t scrub_failed = 0;        // sets that were destroyed for what a slice had left in them
  uint64_t parked_died = 0;         // parked slices that ended by themselves
  uint64_t running = 0, ready = 0;  // now
  uint64_t leaving = 0;             // that have ended, and whose namespaces are still to be taken apart
};

std::string encode(const LaunchRequest& request);
std::string encode(const PoolRequest& request);
std::string encode(const Ready& ready);
std::string encode(const Started& started);
std::string encode(const Status& status);
std::string encode(const sandbox::SliceEnd& end);
std::string encode(const SliceRecord& record);
std::string encode(const PoolState& state);
std::string encode(const Counters& counters);
std::string encode(const std::vector<model::HerdLimit>& limits);
std::string encode(const std::vector<sandbox::HerdState>& states);
std::string encode_signal(int signal);

// kDataLoss for what is no such value. Whether a specification makes sense is not looked at (model::validate).
Result<LaunchRequest> decode_launch(std::string_view body);
Result<PoolRequest> decode_pool_request(std::string_view body);
Result<Ready> decode_ready(std::string_view body);
Result<Started> decode_started(std::string_view body);
Status decode_refusal(std::string_view body);  // what it says; kDataLoss for what is none; never OK
Result<sandbox::SliceEnd> decode_end(std::string_view body);
Result<SliceRecord> decode_record(std::string_view body);
Result<PoolState> decode_pool(std::string_view body);
Result<Counters> decode_counters(std::string_view body);
// Limits that make no sense are kDataLoss, too.
Result<std::vector<model::HerdLimit>> decode_herd_limits(std::string_view body);
Result<std::vector<sandbox::HerdState>> decode_herd_states(std::string_view body);
Result<int> decode_signal(std::string_view body);

}  // namespace runink::launcher
