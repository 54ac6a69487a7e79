// The Barn's state machine: applies log entries, in order, to a StateStore. The same entries give the same bytes in the
// store, the same answers and the same digests on every replica, however they are cut into batches.
//
// One thread owns it. Every store write is one atomic batch: the changes of some entries together with index, term and
// digest of the last of them.
//
// apply() fails only where this replica must not go on: a command that this program does not know or that is damaged
// (command.h), a store that cannot be read or written, entries that do not follow. From then on it refuses everything
// with that same error, nothing of the call's last batch is in the store, and the node is to be stopped. What a client
// did wrong is an Answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "control/barn/answer.h"
#include "control/barn/command.h"
#include "control/barn/digest.h"
#include "control/barn/event.h"
#include "control/barn/read.h"
#include "control/barn/scrub.h"
#include "control/barn/store.h"
#include "control/raft/core/types.h"

namespace runink::barn {

struct AppliedEntry {
  Index index = 0;
  Term term = 0;
  Answer answer;          // of commands; empty for a leader's no-op and for changes of membership
  bool repeated = false;  // a retry: the answer is that of the first time
};

// What changed, for the watch hub: the event records of consecutive indexes. Indexes without events have none.
struct EventBlock {
  struct Record {
    Index index;
    size_t begin, size;  // in `bytes`
  };
  std::string bytes;
  std::vector<Record> records;  // ascending
  std::string_view record(const Record& r) const { return std::string_view(bytes).substr(r.begin, r.size); }
};

struct Applied {
  std::vector<AppliedEntry> entries;
  std::shared_ptr<const EventBlock> events;  // never null
  std::vector<LeaseId> leases;  // granted, renewed, ended, or with other keys; ascending, for lease_timers.h
  // Values of chunk references that were put, whose content is to be here; also of puts that were taken back.
  std::vector<std::string> chunks;
  Position position;            // of the last entry
};

struct Lease {
  int64_t ttl_micros = 0;
  Index renewed = 0;           // the last keep-alive in the log, or the grant
  int64_t granted_micros = 0;  // time of the command, for people
  uint64_t keys = 0;
};

struct Session {
  Index used = 0;                           // by its last command
  uint64_t floor = 0;                       // sequences below it are forgotten
  std::map<uint64_t, std::string> answers;  // encoded, by sequence
  uint64_t answer_bytes = 0;
};

struct Alarm {
  AlarmKind kind;
  raft::NodeId node;
  auto operator<=>(const Alarm&) const = default;
};

// Since when an incarnation of the cluster exists: indexes beyond `after` that an earlier incarnation spoke of are not
// this one's.
struct Beginning {
  uint64_t incarnation = 0;
  Index after = 0;
  bool operator==(const Beginning&) const = default;
};

struct MachineOptions {
  size_t batch_bytes = 4 << 20;  // a store write is closed when it has become this large
  Index digest_every = 64;       // distance of the points of the digest trail; the same on all replicas
  uint64_t scrub_range_bytes = 16 << 20;
  size_t cache_bytes = 64 << 20;   // of rows lately used (row_cache.h); 0: none
};

class StateMachine {
 public:
  // Takes up what the store holds; an empty store is the beginning (incarnation 1). The store must outlive it.
  // kDataLoss where what is stored cannot be understood, kUnimplemented where a newer program wrote it.
  static Result<std::unique_ptr<StateMachine>> open(StateStore* store, MachineOptions options = {});
  ~StateMachine();
  StateMachine(const StateMachine&) = delete;
  StateMachine& operator=(const StateMachine&) = delete;

  // The entries behind position(), without a gap.
  Result<Applied> apply(std::span<const raft::Entry> entries);

  const Position& position() const;
  const DigestTrail& trail() const;
  int64_t unix_micros() const;  // the largest time of a command so far
  uint64_t incarnation() const;
  const std::vector<Beginning>& beginnings() const;  // ascending; the first is {1, 0} or what was kept of it
  const Limits& limits() const;
  const std::set<Alarm>& alarms() const;
  Index compacted() const;       // events up to this index are gone
  uint64_t state_bytes() const;  // keys, values, events: the same on all replicas
  uint64_t event_bytes() const;  // of it, events
  bool state_large() const { return state_bytes() > limits().state_bytes_warn; }
  const std::map<LeaseId, Lease>& leases() const;
  const std::map<SessionId, Session>& sessions() const;
  const std::string& membership() const;  // encoded, as of the last entry that changed it; empty: none did

  // Linearizable once what ReadIndex gave is applied.
  Result<std::optional<KeyValue>> get(std::string_view key) const;
  Result<RangeAnswer> range(const KeyRange& range, const RangeOptions& options = {}) const;
  const StateStore& store() const;

  // The scrub that the newest mark in the log began; null where there was none since the start. To be stepped by the
  // driver until it is done.
  Scrub* scrub();
  // Hands it over, to be stepped on another thread; it must be gone before the store is. Null from then on, until the
  // next mark.
  std::unique_ptr<Scrub> take_scrub();

  struct Impl;

 private:
  explicit StateMachine(StateStore* store, MachineOptions options);
  std::unique_ptr<Impl> impl_;
};

// How many events to keep, for the leader that proposes compactions: events of the last `indexes` entries, and at most
// `bytes` of them. None where nothing is to be done yet (it waits until an eighth more than that has gathered).
struct EventRetention {
  Index indexes = 1'000'000;
  uint64_t bytes = 1ULL << 30;
};
std::optional<Index> compaction_wanted(const StateMachine& machine, const EventRetention& retention);

}  // namespace runink::barn
