// What a leader knows of one peer. `match` is what the peer has said to hold durably and only moves forward in a term;
// `next` is a guess that probing moves both ways. The two are never mixed up: a guess must not count towards a quorum.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "control/raft/core/membership.h"
#include "control/raft/core/types.h"

namespace runink::raft {

struct SnapshotMeta {
  Index index = 0;
  Term term = 0;
  Membership membership;  // as of `index`
  bool operator==(const SnapshotMeta&) const = default;
};

struct Progress {
  enum class State : uint8_t {
    kProbe,      // one message at a time, to find where the logs agree
    kReplicate,  // a pipeline, bounded by entries in flight and their bytes
    kSnapshot,   // it needs entries that are gone
  };

  State state = State::kProbe;
  Index match = 0;
  Index next = 1;
  bool probe_sent = false;      // and not answered: wait for an answer, or for the next heartbeat's
  uint64_t heard_tick = 0;      // when the peer spoke last
  uint64_t read_round = 0;      // the newest round of reads that it has confirmed
  uint64_t incarnation = 0;     // of the peer's storage; answers of an older one are void
  bool rejoining = false;       // it has no vote for now: its storage lost entries
  Index match_at_heartbeat = 0;
  Index commit_sent = 0;        // the newest commit index it has been told
  std::optional<SnapshotMeta> offer;  // in kSnapshot, once the driver has said which

  struct InFlight {
    Index last;
    size_t bytes;
  };
  std::deque<InFlight> in_flight;
  size_t in_flight_bytes = 0;

  void sent(Index last, size_t bytes) {
    in_flight.push_back({last, bytes});
    in_flight_bytes += bytes;
    next = last + 1;
  }
  void freed_to(Index index) {
    while (!in_flight.empty() && in_flight.front().last <= index) {
      in_flight_bytes -= in_flight.front().bytes;
      in_flight.pop_front();
    }
  }
  void enter(State s) {
    state = s;
    probe_sent = false;
    offer.reset();
    in_flight.clear();
    in_flight_bytes = 0;
    if (s != State::kSnapshot) next = std::max(next, match + 1);
    if (s == State::kReplicate) next = match + 1;
  }
};

}  // namespace runink::raft
