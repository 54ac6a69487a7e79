// The life of one slice as its agent sees it: a pure state machine. Events go in; what comes out is the hooks that the
// agent then carries out, in this order. Nothing here touches a file, a process or a clock, so that every order of
// events, and a crash of the agent at every hook, can be tried (lifecycle_test.cc).
//
//   requested ──accepted──► preparing ──prepared──► starting ──started──► running ──asked to end──► ending
//                               │                    │    │                  │                        │
//                               │                    │    └───program ended──┴────────────┬───────────┘
//                               ▼                    ▼                                    ▼
//                            refused ◄──── could not be started ───────────────────────  ended
//
// Hooks are named for what is true once they are done, and each may be carried out again: a restarted agent cannot know
// how far its predecessor came.
//
//   write_record   the slice is in the agent's folder, with its stage            (only of slices that outlive a caller)
//   open_streams   there are pipes for its output, and a log; after a restart: those that the launcher kept
//   launch         the launcher was asked to start it. Never again after a restart: the launcher says what it knows
//   tell_started   whoever asked for it knows its id
//   tell_refused   … or why there is none
//   ask_to_end     its program got SIGTERM
//   kill           all of it was sent SIGKILL
//   drain          what it wrote is in the log, to the end
//   write_end      its end is in the agent's folder
//   tell_ended     whoever waits for it knows
//   release        the launcher knows nothing of it any more, and has closed the pipes that it kept
//   forget         no record and no log of it is left
//
// The record is written before there is anything else, and the end before the launcher forgets: so a slice that runs is
// always known to one of the two, and one that only the launcher knows is nobody's and is ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runink::agent {

enum class Stage : uint8_t { kRequested, kPreparing, kStarting, kRunning, kEnding, kEnded, kRefused };
std::string_view stage_name(Stage stage);  // "running"
std::optional<Stage> stage_of(std::string_view name);

enum class Hook : uint8_t {
  kWriteRecord,
  kOpenStreams,
  kLaunch,
  kTellStarted,
  kTellRefused,
  kAskToEnd,
  kKill,
  kDrain,
  kWriteEnd,
  kTellEnded,
  kRelease,
  kForget,
};
std::string_view hook_name(Hook hook);  // "write_record"
using Hooks = std::vector<Hook>;

// Why a slice ended, or is to end.
enum class EndReason : uint8_t {
  kItself,         // its program ended
  kTimeLimit,      // it ran for as long as it may
  kAsked,          // somebody asked for it: runi slice kill, Ctrl-C
  kCallerGone,     // the command that waited for it has gone
  kAgentStopped,   // its agent stopped, and ends slices then
  kAgentFound,     // an agent that was restarted found it, and ends what it finds
  kNotAnswered,    // its agent ended before whoever asked for it knew of it
  kLauncherLost,   // its launcher ended, and every slice with it
  kHostRestarted,  // the host did
};
std::string_view reason_name(EndReason reason);  // "time-limit"
std::optional<EndReason> reason_of(std::string_view name);
std::string_view reason_sentence(EndReason reason);  // "its time limit ended it"

enum class Event : uint8_t {
  kAccepted,      // the request may be carried out
  kPrepared,      // its record and streams are there
  kFailed,        // one of them could not be made
  kStarted,       // its program runs
  kRefused,       // it could not be started
  kEnded,         // its program has ended, and all of the slice
  kTimedOut,      // the same, by the time limit, which the launcher keeps
  kStreamsEnded,  // what it wrote was read, to the end
  kLauncherLost,
};

// What the launcher says about a slice when an agent connects to it.
enum class Found : uint8_t { kUnknown, kStarting, kRunning, kEnded };

class Life {
 public:
  struct Options {
    // Recorded, captured, and running on without whoever asked for it; else it ends with its caller.
    bool detached = false;
    int64_t grace_nanos = 10'000'000'000;
  };
  // What a record keeps of it. Times are of the monotonic clock, which goes on while the host runs.
  struct Kept {
    Stage stage = Stage::kRequested;
    EndReason reason = EndReason::kItself;
    int64_t kill_nanos = 0;  // when it is killed, once it was asked to end; 0: it was not asked, or is killed already
  };

  explicit Life(const Options& options) : options_(options), drained_(!options.detached) {}
  // Of a record that a former agent wrote; recover() is the first thing to be called then.
  Life(const Options& options, const Kept& kept) : Life(options) { kept_ = kept; }

  Stage stage() const { return kept_.stage; }
  EndReason reason() const { return kept_.reason; }
  const Kept& kept() const { return kept_; }
  const Options& options() const { return options_; }
  // Refused, or ended with all that follows.
  bool done() const { return kept_.stage == Stage::kRefused || (kept_.stage == Stage::kEnded && drained_); }

  Hooks on(Event event);
  // SIGTERM, and SIGKILL after `grace_nanos` more (as it is set for the slice, if absent). A second time only shortens
  // the grace.
  Hooks ask_to_end(EndReason reason, int64_t now, std::optional<int64_t> grace_nanos = std::nullopt);
  Hooks kill(EndReason reason);

  // When on_time() has something to do; nullopt: never, as it stands.
  std::optional<int64_t> next_time() const;
  Hooks on_time(int64_t now);

  // A restarted agent has read the record, and asked the launcher. `end` is the policy for slices that still run.
  Hooks recover(Found found, bool end, int64_t now);

 private:
  Hooks refuse();
  Hooks finish(EndReason reason);
  Hooks after_streams();
  void want_end(EndReason reason) {
    if (kept_.reason == EndReason::kItself) kept_.reason = reason;
  }
  // Leaves out what only detached slices have.
  Hooks keep(Hooks hooks) const;

  Options options_;
  Kept kept_;
  bool drained_;  // nothing more will come out of its streams
};

}  // namespace runink::agent
