#include "control/server/alarms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "base/text.h"

namespace runink::server {
namespace {

constexpr int64_t kHourMicros = 3'600LL * 1'000'000;

// More is worse: raised above, kept above a little less.
AlarmLevel above(double value, double warning, double critical) {
  return value > critical ? AlarmLevel::kCritical : value > warning ? AlarmLevel::kWarning : AlarmLevel::kNone;
}
AlarmLevel below(double value, double warning, double critical) { return above(-value, -warning, -critical); }
AlarmLevel warn_if(bool so) { return so ? AlarmLevel::kWarning : AlarmLevel::kNone; }
AlarmLevel critical_if(bool so) { return so ? AlarmLevel::kCritical : AlarmLevel::kNone; }

std::string duration(int64_t micros) { return human_duration(static_cast<double>(micros) / 1e6); }

}  // namespace

std::string_view alarm_name(AlarmKind kind) {
  static constexpr std::string_view kNames[kAlarmKinds] = {
      "disk_space", "journal_full", "certificate", "not_connected", "follower_lag",  "clock_skew",
      "state_size", "log_growth",   "no_leader",   "no_vote",       "state_differs", "chunks_missing"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view alarm_level_name(AlarmLevel level) {
  return level == AlarmLevel::kCritical ? "critical" : level == AlarmLevel::kWarning ? "warning" : "none";
}

void AlarmSet::Latch::step(bool reach, bool keep, int64_t now, int64_t raise_after, int64_t clear_after) {
  if (!reach) reached.reset();
  if (reach && !reached) reached = now;
  if (keep || reach) left.reset();
  if (!keep && !reach && !left) left = now;
  if (!on && reached && now - *reached >= raise_after) on = true;
  if (on && left && now - *left >= clear_after) on = false;
}

void AlarmSet::evaluate(const AlarmInputs& in) {
  ++round_;
  now_ = in.steady_nanos;
  unix_ = in.unix_micros;
  look_at_self(in);
  for (const AlarmInputs::Peer& peer : in.peers) look_at_peer(in, peer);
  // What was not looked at this time: members that are gone, and what only a leader knows.
  for (auto at = states_.begin(); at != states_.end();) {
    State& state = at->second;
    if (state.round != round_) {
      step(state, {}, 0);
      if (state.alarm.level == AlarmLevel::kNone) {
        at = states_.erase(at);
        continue;
      }
    }
    ++at;
  }
}

void AlarmSet::look_at_self(const AlarmInputs& in) {
  if (in.disk_free_bytes) {
    const auto free = static_cast<double>(*in.disk_free_bytes),
               warning = static_cast<double>(options_.disk_warning_bytes),
               critical = static_cast<double>(options_.disk_critical_bytes);
    note(AlarmKind::kDiskSpace, in.self,
         {below(free, warning, critical), below(free, warning * 1.25, critical * 1.25),
          fmt::format("{} are free where this member keeps its files; {} are the reserve",
                      human_bytes(*in.disk_free_bytes), human_bytes(options_.disk_warning_bytes))},
         0);
  }
  const AlarmLevel full = critical_if(!in.journal_has_space);
  note(AlarmKind::kJournalFull, in.self,
       {full, full, "there is no space for journal or state: this member accepts nothing"}, 0);
  look_at_certificate(in, in.self, in.certificate_not_after_micros);

  const auto state = static_cast<double>(in.state_bytes), warn = static_cast<double>(in.state_bytes_warn),
             limit = static_cast<double>(in.state_bytes_limit);
  if (in.state_bytes_limit > 0) {
    note(AlarmKind::kStateSize, in.self,
         {above(state, warn, limit * 0.95), above(state, warn * 0.95, limit * 0.9),
          fmt::format("the state has {}; beyond {} writes are refused", human_bytes(in.state_bytes),
                      human_bytes(in.state_bytes_limit))},
         0);
  }
  if (in.entries_for_snapshot > 0) {
    const raft::Index most = in.entries_for_snapshot * options_.log_growth_times;
    note(AlarmKind::kLogGrowth, in.self,
         {warn_if(in.entries_since_snapshot > most), warn_if(in.entries_since_snapshot > most / 2),
          fmt::format("{} entries since the last snapshot, which is due every {}",
                      human_count(in.entries_since_snapshot), human_count(in.entries_for_snapshot))},
         0);
  }
  const AlarmLevel leaderless = critical_if(in.member && in.leader == 0);
  note(AlarmKind::kNoLeader, in.self, {leaderless, leaderless, "this member knows no leader"},
       options_.no_leader_nanos);
  const AlarmLevel voteless = warn_if(!in.may_vote);
  note(AlarmKind::kNoVote, in.self,
       {voteless, voteless, "this member lost entries and has no vote until it has fetched them again"}, 0);
  const AlarmLevel doubtful = critical_if(!in.doubt.empty());
  note(AlarmKind::kStateDiffers, in.self,
       {doubtful, doubtful, in.doubt.empty() ? "this member is in no doubt" : in.doubt}, 0);
  const AlarmLevel lacking = warn_if(in.chunks_missing > 0);
  note(AlarmKind::kChunksMissing, in.self,
       {lacking, lacking,
        fmt::format("keys refer to {} that this member does not have whole, and has not got from the others",
                    in.chunks_missing == 1 ? "a chunk" : human_count(in.chunks_missing) + " chunks")},
       options_.chunks_missing_nanos);
}

void AlarmSet::look_at_peer(const AlarmInputs& in, const AlarmInputs::Peer& peer) {
  const AlarmLevel apart = warn_if(!peer.connected);
  note(AlarmKind::kNotConnected, peer.id, {apart, apart, fmt::format("member {} is not connected", peer.id)},
       options_.not_connected_nanos);
  look_at_certificate(in, peer.id, peer.certificate_not_after_micros);
  const AlarmLevel differs = critical_if(peer.differs);
  note(AlarmKind::kStateDiffers, peer.id,
       {differs, differs, fmt::format("the state of member {} is not that of this member", peer.id)}, 0);
  if (peer.match) {
    const raft::Index lag = in.last_index - std::min(*peer.match, in.last_index);
    note(AlarmKind::kFollowerLag, peer.id,
         {warn_if(lag > options_.lag_entries), warn_if(lag > options_.lag_entries / 2),
          fmt::format("member {} is {} entries behind", peer.id, human_count(lag))},
         options_.lag_nanos);
  }
  if (peer.clock) {
    // What is certain of it.
    const int64_t skew = std::abs(peer.clock->micros) - peer.clock->uncertainty_micros;
    note(AlarmKind::kClockSkew, peer.id,
         {warn_if(skew > options_.clock_skew_micros), warn_if(skew > options_.clock_skew_micros / 5 * 4),
          fmt::format("the clock of member {} is {} {} this member's", peer.id, duration(std::abs(peer.clock->micros)),
                      peer.clock->micros > 0 ? "ahead of" : "behind")},
         options_.clock_skew_nanos);
  }
}

void AlarmSet::look_at_certificate(const AlarmInputs& in, raft::NodeId member, int64_t not_after_micros) {
  if (not_after_micros == 0) return;
  const auto left = static_cast<double>(not_after_micros - in.unix_micros);
  const auto warning = static_cast<double>(options_.certificate_warning_micros),
             critical = static_cast<double>(options_.certificate_critical_micros);
  const std::string text =
      left > 0 ? fmt::format("the certificate of member {} ends in {:.1f} days", member, left / 24 / kHourMicros)
               : fmt::format("the certificate of member {} has ended", member);
  note(AlarmKind::kCertificate, member,
       {below(left, warning, critical), below(left, warning + kHourMicros, critical + kHourMicros), text}, 0);
}

void AlarmSet::note(AlarmKind kind, raft::NodeId member, const Finding& finding, int64_t raise_after) {
  State& state = states_[{kind, member}];
  state.alarm.kind = kind;
  state.alarm.member = member;
  state.round = round_;
  step(state, finding, raise_after);
}

void AlarmSet::step(State& state, const Finding& finding, int64_t raise_after) {
  const auto latch = [&](Latch& which, AlarmLevel level) {
    which.step(finding.level >= level, finding.keep >= level, now_, raise_after, options_.clear_nanos);
  };
  latch(state.warning, AlarmLevel::kWarning);
  latch(state.critical, AlarmLevel::kCritical);
  const AlarmLevel before = state.alarm.level;
  const AlarmLevel after = state.critical.on  ? AlarmLevel::kCritical
                           : state.warning.on ? AlarmLevel::kWarning
                                              : AlarmLevel::kNone;
  if (!finding.text.empty()) state.alarm.text = finding.text;
  state.alarm.level = after;
  if (before == after) return;
  if (before == AlarmLevel::kNone) state.alarm.since_unix_micros = unix_;
  if (on_change_) on_change_(state.alarm, before);
}

std::vector<Alarm> AlarmSet::watched() const {
  std::vector<Alarm> out;
  for (const auto& [key, state] : states_) out.push_back(state.alarm);
  return out;
}

std::vector<Alarm> AlarmSet::active() const {
  std::vector<Alarm> out = watched();
  std::erase_if(out, [](const Alarm& alarm) { return alarm.level == AlarmLevel::kNone; });
  std::sort(out.begin(), out.end(), [](const Alarm& a, const Alarm& b) {
    return std::tuple(b.level, a.since_unix_micros, a.kind, a.member) <
           std::tuple(a.level, b.since_unix_micros, b.kind, b.member);
  });
  return out;
}

}  // namespace runink::server
