#include "worker/agent/lifecycle.h"

#include <algorithm>
#include <array>
#include <utility>

namespace runink::agent {
namespace {

constexpr std::array<std::string_view, 7> kStages = {"requested", "preparing", "starting", "running",
                                                     "ending",    "ended",     "refused"};
constexpr std::array<std::string_view, 12> kHooks = {"write_record", "open_streams", "launch",  "tell_started",
                                                     "tell_refused", "ask_to_end",   "kill",    "drain",
                                                     "write_end",    "tell_ended",   "release", "forget"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kReasons = {{
    {"itself", "its program ended"},
    {"time-limit", "its time limit ended it"},
    {"asked", "it was asked to end"},
    {"caller-gone", "the command that waited for it has gone"},
    {"agent-stopped", "its agent stopped"},
    {"agent-found", "its agent was restarted, and ends the slices that it finds"},
    {"not-answered", "its agent ended before whoever asked for it knew that it runs"},
    {"launcher-lost", "its launcher ended, and every slice with it"},
    {"host-restarted", "the host was restarted"},
}};

}  // namespace

std::string_view stage_name(Stage stage) { return kStages[static_cast<size_t>(stage)]; }
std::string_view hook_name(Hook hook) { return kHooks[static_cast<size_t>(hook)]; }
std::string_view reason_name(EndReason reason) { return kReasons[static_cast<size_t>(reason)].first; }
std::string_view reason_sentence(EndReason reason) { return kReasons[static_cast<size_t>(reason)].second; }

std::optional<Stage> stage_of(std::string_view name) {
  const auto at = std::find(kStages.begin(), kStages.end(), name);
  if (at == kStages.end()) return std::nullopt;
  return static_cast<Stage>(at - kStages.begin());
}

std::optional<EndReason> reason_of(std::string_view name) {
  const auto at = std::find_if(kReasons.begin(), kReasons.end(), [&](const auto& pair) { return pair.first == name; });
  if (at == kReasons.end()) return std::nullopt;
  return static_cast<EndReason>(at - kReasons.begin());
}

Hooks Life::keep(Hooks hooks) const {
  if (options_.detached) return hooks;
  std::erase_if(hooks, [](Hook hook) {
    return hook == Hook::kWriteRecord || hook == Hook::kOpenStreams || hook == Hook::kDrain ||
           hook == Hook::kWriteEnd || hook == Hook::kForget;
  });
  return hooks;
}

Hooks Life::refuse() {
  kept_.stage = Stage::kRefused;
  kept_.kill_nanos = 0;
  return keep({Hook::kTellRefused, Hook::kRelease, Hook::kForget});
}

Hooks Life::after_streams() { return keep({Hook::kWriteEnd, Hook::kTellEnded, Hook::kRelease}); }

Hooks Life::finish(EndReason reason) {
  want_end(reason);
  kept_.stage = Stage::kEnded;
  kept_.kill_nanos = 0;
  return drained_ ? after_streams() : keep({Hook::kDrain});
}

Hooks Life::on(Event event) {
  const Stage stage = kept_.stage;
  const bool alive = stage == Stage::kStarting || stage == Stage::kRunning || stage == Stage::kEnding;
  switch (event) {
    case Event::kAccepted:
      if (stage != Stage::kRequested) return {};
      kept_.stage = Stage::kPreparing;
      return keep({Hook::kWriteRecord, Hook::kOpenStreams});
    case Event::kPrepared:
      if (stage != Stage::kPreparing) return {};
      kept_.stage = Stage::kStarting;
      return {Hook::kLaunch};
    case Event::kFailed:
      // A record that cannot be changed any more is no reason to end what runs.
      if (stage != Stage::kRequested && stage != Stage::kPreparing) return {};
      return refuse();
    case Event::kStarted:
      if (stage == Stage::kEnding) return {Hook::kKill};  // it was to end before it had begun
      if (stage != Stage::kStarting) return {};
      kept_.stage = Stage::kRunning;
      return keep({Hook::kWriteRecord, Hook::kTellStarted});
    case Event::kRefused:
      if (stage != Stage::kStarting && stage != Stage::kEnding) return {};
      return refuse();
    case Event::kEnded:
      if (!alive) return {};
      return finish(EndReason::kItself);
    case Event::kTimedOut:
      if (!alive) return {};
      return finish(EndReason::kTimeLimit);
    case Event::kStreamsEnded:
      if (drained_) return {};
      drained_ = true;
      return stage == Stage::kEnded ? after_streams() : Hooks();
    case Event::kLauncherLost:
      if (stage == Stage::kRunning || stage == Stage::kEnding) return finish(EndReason::kLauncherLost);
      if (stage == Stage::kEnded || stage == Stage::kRefused) return {};
      return refuse();
  }
  return {};
}

Hooks Life::ask_to_end(EndReason reason, int64_t now, std::optional<int64_t> grace_nanos) {
  const int64_t kill_at = now + std::max<int64_t>(grace_nanos.value_or(options_.grace_nanos), 0);
  switch (kept_.stage) {
    case Stage::kRunning:
      want_end(reason);
      kept_.stage = Stage::kEnding;
      kept_.kill_nanos = kill_at;
      return keep({Hook::kWriteRecord, Hook::kAskToEnd});
    case Stage::kEnding:
      if (kept_.kill_nanos != 0) kept_.kill_nanos = std::min(kept_.kill_nanos, kill_at);
      return {};
    default:
      // There is no program yet that could be asked.
      return kill(reason);
  }
}

Hooks Life::kill(EndReason reason) {
  switch (kept_.stage) {
    case Stage::kRequested:
    case Stage::kPreparing:
      want_end(reason);
      return refuse();
    case Stage::kStarting:
    case Stage::kRunning:
      want_end(reason);
      kept_.stage = Stage::kEnding;
      kept_.kill_nanos = 0;
      return keep({Hook::kWriteRecord, Hook::kKill});
    case Stage::kEnding:
      kept_.kill_nanos = 0;
      return {Hook::kKill};
    case Stage::kEnded:
    case Stage::kRefused:
      return {};
  }
  return {};
}

std::optional<int64_t> Life::next_time() const {
  if (kept_.stage == Stage::kEnding && kept_.kill_nanos != 0) return kept_.kill_nanos;
  return std::nullopt;
}

Hooks Life::on_time(int64_t now) {
  const std::optional<int64_t> due = next_time();
  if (!due || now < *due) return {};
  return kill(kept_.reason);
}

Hooks Life::recover(Found found, bool end, int64_t now) {
  switch (kept_.stage) {
    case Stage::kRequested:
    case Stage::kPreparing:
    case Stage::kStarting: {
      // Nobody was told that it runs: it must not.
      if (found == Found::kUnknown || found == Found::kEnded) {
        want_end(EndReason::kNotAnswered);
        return refuse();
      }
      kept_.stage = Stage::kStarting;
      drained_ = true;  // what it wrote is nobody's
      return kill(EndReason::kNotAnswered);
    }
    case Stage::kRunning:
    case Stage::kEnding: {
      if (found == Found::kUnknown) {
        drained_ = true;  // the pipes were the launcher's
        return finish(EndReason::kLauncherLost);
      }
      Hooks hooks = keep({Hook::kOpenStreams});
      Hooks then;
      if (found == Found::kEnded) {
        then = finish(EndReason::kItself);
      } else if (kept_.stage == Stage::kEnding) {
        then = {kept_.kill_nanos == 0 ? Hook::kKill : Hook::kAskToEnd};
      } else if (end) {
        then = ask_to_end(EndReason::kAgentFound, now);
      }
      hooks.insert(hooks.end(), then.begin(), then.end());
      return hooks;
    }
    case Stage::kEnded:
      drained_ = true;
      return {Hook::kRelease};
    case Stage::kRefused:
      return keep({Hook::kRelease, Hook::kForget});
  }
  return {};
}

}  // namespace runink::agent
