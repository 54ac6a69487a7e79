// Whether this member holds what the others hold. It asks every other member about once a second for the digests of
// what was applied and of what its last scrub has found (bulk connection: an answer of some kilobytes never stands
// before a heartbeat), compares them with its own, and draws the conclusion for itself alone:
//
//   outvoted    a majority of the voters says the same, and this member something else: quarantine (quarantine.h)
//   unreadable  what is stored here cannot be read: likewise
//   in doubt    voters differ, and no majority is known (two voters; or one of three is away): nobody can tell who is
//               right, so nobody serves. Replication goes on, but no snapshot is handed out, so that a third
//               member's own state decides when it comes back
//
// A quarantined member stops at once. The mark by which its next start gives up state and log is made only where the
// other voters are at work and enough for a quorum: else the last good copy could be thrown away. Without a mark the
// next start finds the same difference, or damage, again.
//
// The leader proposes scrub marks; every member carries them out. One thread, that of the event loop.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control/raft/driver/member.h"
#include "control/raft/transport/transport.h"
#include "control/replica/replica.h"
#include "control/server/comparison.h"
#include "control/server/integrity_report.h"
#include "control/server/rocks_keeper.h"
#include "control/server/scrub_runner.h"
#include "platform/net/event_loop.h"

namespace runink::server {

struct IntegrityOptions {
  int64_t compare_nanos = 1'000'000'000;       // how often each other member is asked
  int64_t fresh_nanos = 10'000'000'000;        // an answer older than this says nothing about who is at work
  int64_t settle_nanos = 5'000'000'000;        // how long one that cannot read its state asks whether others suffice
  int64_t scrub_nanos = 600'000'000'000;       // from mark to mark; 0: this member proposes none
  int64_t scrub_first_nanos = 60'000'000'000;  // after the start
  ScrubPace pace;
  // For people: something was found. Kinds: barn.quarantined, barn.in_doubt, barn.peer_differs (another member has been
  // outvoted, or cannot agree). OK with the end of a doubt. Once for each change.
  std::function<void(const Status&)> on_alarm;
};

struct IntegrityStatus {
  struct Peer {
    bool fresh = false, serving = false, votes = false;
    barn::Index compared = 0;        // the newest index at which digests of both were compared
    barn::Index differs_from = 0;    // 0: no difference is known
    barn::Index scrub_compared = 0;  // likewise, of scrubs
    barn::Index scrub_differs = 0;
  };
  std::map<raft::NodeId, Peer> peers;
  Status doubt;           // OK: none
  Status quarantined;     // OK: not
  std::string set_aside;  // why a state of this member lies aside; empty: none does
  bool scrub_under_way = false;
  uint64_t scrubs = 0;    // ended since the start, well or not
  uint64_t scrub_id = 0;  // of the last one
  barn::Index scrub_index = 0;
  int64_t scrub_unix_micros = 0;  // when it ended
  Status scrub_result;
  uint64_t scrub_bytes_hashed = 0, scrub_bytes_verified = 0;
  int64_t scrub_busy_nanos = 0;
  uint64_t reports_asked = 0, reports_received = 0, reports_given = 0;
};

class Integrity {
 public:
  // All must outlive it. `folder` is the member's.
  Integrity(net::EventLoop& loop, IntegrityOptions options, std::string folder, RocksKeeper& keeper,
            barn::Replica& replica, raft::Member& member, raft::Transport& transport);
  ~Integrity();

  void tick();  // with every tick of the member, also when it has failed
  // What this member says to one whose newest entry applied is `index`.
  IntegrityReport report(barn::Index index);
  // What is stored here cannot be read; the member has failed. What is to be told of it; none: not yet, ask again.
  std::optional<Status> unreadable(const Status& why);
  bool in_doubt() const { return !replica_.doubt().ok(); }
  IntegrityStatus status() const;

 private:
  struct Heard {
    int64_t nanos = 0;
    bool serving = false, in_doubt = false, votes = false, scrub_under_way = false;
    std::vector<ScrubReport> scrubs;
    bool asking = false;
  };
  void ask_all();
  void heard(raft::NodeId peer, Result<std::string> answer);
  std::optional<barn::Digest> own_digest(barn::Index index) const;
  std::optional<barn::Digest> own_scrub(barn::Index index) const;
  void conclude();
  void set_doubt(Status doubt);
  void quarantine(std::string why);
  Status settle(std::string why, bool others_suffice);
  bool others_suffice(bool undoubted) const;
  bool scrubs_pending() const;
  std::string where(const Judgement& judgement) const;
  void begin_scrub();
  void scrubbed(uint64_t id, const ScrubOutcome& outcome);
  void propose_scrub();

  net::EventLoop& loop_;
  const IntegrityOptions options_;
  const std::string folder_;
  RocksKeeper& keeper_;
  barn::Replica& replica_;
  raft::Member& member_;
  raft::Transport& transport_;

  std::map<raft::NodeId, Heard> heard_;
  Comparison digests_, scrubs_;
  uint64_t generation_ = 0;  // of the replica's state
  int64_t asked_nanos_ = 0, marked_nanos_ = 0, scrubbed_nanos_ = 0, unreadable_nanos_ = 0, doubt_nanos_ = 0;
  bool asked_once_ = false;
  std::optional<int64_t> proposed_nanos_;     // a mark of this member's is under way
  std::deque<barn::ScrubResult> results_;     // the newest, ascending by entry
  std::map<raft::NodeId, barn::Index> told_;  // differences that on_alarm was told of
  IntegrityStatus status_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ScrubRunner runner_;
};

}  // namespace runink::server
