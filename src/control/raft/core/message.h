// What nodes say to each other. One flat struct: few kinds share all fields, but the codec, the simulator and the fuzzer
// then have one shape to deal with. Fields not named for a kind are zero.
#pragma once

#include <string>
#include <vector>

#include "control/raft/core/membership.h"
#include "control/raft/core/types.h"

namespace runink::raft {

enum class MessageKind : uint8_t {
  kPreVote = 1,       // index, log_term: the sender's last durable entry; term: the one it would have
  kPreVoteReply = 2,  // reject; term: the one asked for if granted, the own one if not
  kVote = 3,          // index, log_term as above; force: the leader asked for it, so its being alive is no objection
  kVoteReply = 4,     // reject
  kAppend = 5,        // index, log_term: the entry before `entries`; commit, own_term_committed, read_round, echo
  kAppendReply = 6,   // index: last entry of that request, or with reject its `index`; hint_index, hint_term with reject
  kHeartbeat = 7,     // commit, own_term_committed, read_round, echo
  kHeartbeatReply = 8,  // index: the sender's commit
  kSnapshotOffer = 9,  // index, log_term, membership: a snapshot to fetch, on a connection of its own
  kTimeoutNow = 10,    // campaign at once: leadership is handed over
};

struct Message {
  MessageKind kind = MessageKind::kHeartbeat;
  NodeId from = 0, to = 0;
  Term term = 0;
  Index index = 0;
  Term log_term = 0;
  Index commit = 0;
  bool reject = false;
  bool force = false;
  bool own_term_committed = false;  // the leader has committed an entry of its term: `commit` covers all that went before
  bool rejoining = false;           // replies: the sender's storage lost entries that it may have acknowledged
  Index hint_index = 0;
  Term hint_term = 0;
  uint64_t read_round = 0;
  uint64_t incarnation = 0;  // replies: of the sender's storage
  uint64_t echo = 0;         // from leaders: the newest incarnation of the receiver that the sender knows
  std::vector<Entry> entries;
  Membership membership;
};

}  // namespace runink::raft
