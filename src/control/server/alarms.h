// What somebody should look at: alarms of one member, about itself and about the others as it sees them.
//
// Pure: numbers go in, once a second, and a set of active alarms comes out. An alarm is raised when its condition has
// held for some time, and cleared when a weaker condition has not held for some time, so that a number that wavers
// about its threshold is one alarm and not a hundred. Each change is told once.
//
// Nothing rests on alarms: no member behaves differently because of one. Some look at the wall clock, which correctness
// must not; it is wrong here only in that an alarm is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/raft/core/types.h"
#include "control/raft/transport/transport.h"

namespace runink::server {

enum class AlarmKind : uint8_t {
  kDiskSpace,     // less free than the reserve
  kJournalFull,   // the journal refuses: nothing is accepted
  kCertificate,   // ends soon
  kNotConnected,  // to another member
  kFollowerLag,   // another member is far behind; told by the leader
  kClockSkew,     // another member's wall clock differs
  kStateSize,     // near the limit, beyond which writes are refused
  kLogGrowth,     // the log grows and no snapshot is made
  kNoLeader,
  kNoVote,         // the own storage lost entries: without a vote until they have been fetched again
  kStateDiffers,   // of another member, from the own; of this one, and nobody knows who is right (integrity.h)
  kChunksMissing,  // keys refer to chunks that are not here, or damaged, and no other member has given them
};
inline constexpr size_t kAlarmKinds = 12;
std::string_view alarm_name(AlarmKind kind);  // "disk_space" …

enum class AlarmLevel : uint8_t { kNone = 0, kWarning = 1, kCritical = 2 };
std::string_view alarm_level_name(AlarmLevel level);

struct AlarmInputs {
  int64_t steady_nanos = 0, unix_micros = 0;
  raft::NodeId self = 0;
  std::optional<uint64_t> disk_free_bytes;  // none: not known
  bool journal_has_space = true;
  int64_t certificate_not_after_micros = 0;  // 0: not known
  bool member = true;                        // of the cluster: its membership names this node
  raft::NodeId leader = 0;
  bool may_vote = true;
  std::string doubt;  // why this member does not serve, though nobody knows that it is wrong; empty: it does
  raft::Index last_index = 0;
  uint64_t state_bytes = 0, state_bytes_warn = 0, state_bytes_limit = 0;
  raft::Index entries_since_snapshot = 0, entries_for_snapshot = 0;  // so many make one due
  uint64_t chunks_missing = 0;
  struct Peer {
    raft::NodeId id = 0;
    bool connected = false, differs = false;
    std::optional<raft::Index> match;  // known to a leader
    std::optional<raft::PeerStatus::ClockOffset> clock;
    int64_t certificate_not_after_micros = 0;  // 0: not known
  };
  std::vector<Peer> peers;
};

struct AlarmOptions {
  uint64_t disk_warning_bytes = 2ULL << 30, disk_critical_bytes = 512ULL << 20;
  int64_t certificate_warning_micros = 14LL * 86'400 * 1'000'000,
          certificate_critical_micros = 2LL * 86'400 * 1'000'000;
  int64_t not_connected_nanos = 10'000'000'000;
  raft::Index lag_entries = 10'000;
  int64_t lag_nanos = 10'000'000'000;
  int64_t clock_skew_micros = 500'000;
  int64_t clock_skew_nanos = 5'000'000'000;
  raft::Index log_growth_times = 4;  // as many entries as make a snapshot due, and no snapshot
  int64_t no_leader_nanos = 5'000'000'000;
  int64_t chunks_missing_nanos = 60'000'000'000;  // a member that was away has some to fetch
  int64_t clear_nanos = 5'000'000'000;            // how long the condition must be gone
};

struct Alarm {
  AlarmKind kind = AlarmKind::kDiskSpace;
  raft::NodeId member = 0;  // whom it is about
  AlarmLevel level = AlarmLevel::kNone;
  int64_t since_unix_micros = 0;
  std::string text;  // as of now, or as it was last
};

class AlarmSet {
 public:
  // `before` and `alarm.level` differ; kNone: it is over.
  using OnChange = std::function<void(const Alarm& alarm, AlarmLevel before)>;

  AlarmSet(const AlarmOptions& options, OnChange on_change) : options_(options), on_change_(std::move(on_change)) {}

  void evaluate(const AlarmInputs& in);
  std::vector<Alarm> active() const;   // the most urgent first
  std::vector<Alarm> watched() const;  // all that is looked at, active or not

 private:
  // One threshold: on when it has been reached for long enough, off when less than the threshold to keep it has been.
  struct Latch {
    bool on = false;
    std::optional<int64_t> reached, left;  // since when
    void step(bool reach, bool keep, int64_t now, int64_t raise_after, int64_t clear_after);
  };
  struct State {
    Latch warning, critical;
    Alarm alarm;
    uint64_t round = 0;
  };
  struct Finding {
    AlarmLevel level = AlarmLevel::kNone;  // as the thresholds to raise have it
    AlarmLevel keep = AlarmLevel::kNone;   // as those to keep have it; not below `level`
    std::string text;
  };
  void look_at_self(const AlarmInputs& in);
  void look_at_peer(const AlarmInputs& in, const AlarmInputs::Peer& peer);
  void look_at_certificate(const AlarmInputs& in, raft::NodeId member, int64_t not_after_micros);
  void note(AlarmKind kind, raft::NodeId member, const Finding& finding, int64_t raise_after);
  void step(State& state, const Finding& finding, int64_t raise_after);

  const AlarmOptions options_;
  const OnChange on_change_;
  std::map<std::pair<AlarmKind, raft::NodeId>, State> states_;
  uint64_t round_ = 0;
  int64_t now_ = 0, unix_ = 0;
};

}  // namespace runink::server
