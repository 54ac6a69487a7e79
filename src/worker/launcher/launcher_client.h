// An owner's side of a launcher: asks it for slices and hears what becomes of them.
//
//   LauncherClient launcher = RUNINK_TRY(LauncherClient::start({}));
//   RUNINK_RETURN_IF_ERROR(launcher.launch(7, {.spec = spec}, {.input = 0, .output = 1, .error = 2}));
//   while (auto event = RUNINK_TRY(launcher.next_event(-1))) …   // kStarted or kRefused, then kEnded
//
// Nothing blocks but next_event and list, for as long as they are told. One thread at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"
#include "worker/launcher/protocol.h"
#include "worker/wire/framing.h"

namespace runink::launcher {

// The launcher's program, as bytes within this one (target runink_launcher_program).
std::span<const char> launcher_program();

struct LauncherOptions {
  // Where it listens for its next owner when this one has gone ("…/launcher.sock"); its user alone may connect. Empty:
  // it ends with this owner, and all its slices with it.
  std::string listen_path;
  // How long it then waits for one before it ends all slices and itself.
  int64_t outlive_micros = 600'000'000;
  // The program to run; by default the one within.
  std::span<const char> program = launcher_program();
};

// Descriptors of the caller, which keeps (and should close) its own copies. None but the kept ones may be a folder.
struct LaunchDescriptors {
  int input = 0, output = 1, error = 2;
  std::vector<int> more;  // the program's 3, 4, …
  std::vector<int> kept;  // stay with the launcher, and come back with the slice's record: to an owner that adopts it
};

// What became of a slice.
struct LauncherEvent {
  enum class Kind {
    kStarted,  // its program runs
    kRefused,  // it was not started: `refused` says why, with kind and hint; nothing of it is left
    kEnded,    // no process of it is left; forget() it where the launcher outlives its owner
    kHerds,    // whether the limits of limit_herds() hold
    kPool,     // a pool has another number of parked slices, or cannot be filled
  };
  Kind kind = Kind::kEnded;
  uint64_t slice = 0;
  Started started;
  os::Fd control;  // of an engine: the other end of its descriptor 3
  Status refused;
  sandbox::SliceEnd end;
  PoolState pool;
  std::vector<sandbox::HerdState> herds;
};

struct Adopted {
  uint64_t slice = 0;
  SliceRecord record;
  std::vector<os::Fd> kept;  // copies: they stay with the launcher, too, until the slice is forgotten
};

struct LauncherState {
  std::vector<Adopted> slices;
  Counters counters;
};

class LauncherClient {
 public:
  // Starts a launcher from a sealed memfd, with nothing of this process's environment and descriptors (but standard
  // error, where it does not outlive its owner). It is a child of this process, in a session of its own.
  static Result<LauncherClient> start(const LauncherOptions& options);
  // Becomes the owner of one whose owner has gone. kNotFound and kUnavailable: there is none; kAborted: it has an
  // owner.
  static Result<LauncherClient> connect(const std::string& path);

  LauncherClient() = default;
  LauncherClient(LauncherClient&& other) noexcept;
  LauncherClient& operator=(LauncherClient&& other) noexcept;
  // The connection ends. A launcher that does not listen for another owner is waited for: then nothing is left of it
  // and of its slices.
  ~LauncherClient();

  pid_t pid() const { return ready_.pid; }
  uint32_t slices_at_connect() const { return ready_.slices; }
  // For poll: readable when next_event(0) may have something (also when has_event()), and, where wants_to_write(),
  // writable when flush() would help.
  int descriptor() const { return channel_.descriptor(); }
  bool has_event() const { return !events_.empty(); }
  bool wants_to_write() const { return channel_.wants_to_write(); }
  Status flush() { return channel_.flush(); }

  // Asks; the answer is an event. `slice` is the caller's number for it, used for no other until it is forgotten (or,
  // where nothing outlives the owner, has ended). What request says of descriptors is filled in here.
  Status launch(uint64_t slice, LaunchRequest request, const LaunchDescriptors& descriptors);
  // To the program's process group; a slice that has ended, or is unknown, is OK.
  Status signal(uint64_t slice, int signal);
  // All of the slice. kEnded tells when it is done.
  Status kill(uint64_t slice);
  // Has that many slices of the class stand ready from now on; kPool events tell how it goes.
  Status keep_parked(const PoolRequest& request);
  // What herds are limited to from now on, all of them; a kHerds event tells whether that holds.
  Status limit_herds(const std::vector<model::HerdLimit>& limits);
  // An ended slice is not to be remembered any longer. Only where the launcher outlives its owner.
  Status forget(uint64_t slice);
  // Ends all slices and the launcher.
  Status stop();

  // What the launcher has: at most timeout_micros, then kDeadlineExceeded. Other events stay to be taken.
  Result<LauncherState> list(int64_t timeout_micros);
  // The next event. nullopt: none within timeout_micros (-1: for ever; 0: only looks). kUnavailable: the launcher has
  // ended, and with it all its slices.
  Result<std::optional<LauncherEvent>> next_event(int64_t timeout_micros);

 private:
  Status greet();
  void finish();
  Status send(MessageType type, uint64_t subject, std::string_view body = {}, std::span<const int> descriptors = {});

  wire::Channel channel_;
  Ready ready_;
  pid_t child_ = -1;                  // the launcher, where this process started it
  bool outlives_ = false;             // the launcher, this client
  std::deque<LauncherEvent> events_;  // received while something else was waited for
};

}  // namespace runink::launcher
