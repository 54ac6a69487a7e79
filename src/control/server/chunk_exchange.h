// Chunks among the members: a put is answered when a majority of the voters has it durably, and what a member's own
// store lacks or holds damaged comes from the others. The log holds references (control/barn/chunk_reference.h), never
// content.
//
// On the wire (bulk connection): kPut takes a chunk in pieces of 1 MiB, one chunk at a time to each peer; the receiving
// side gathers them in memory (8 MiB for each peer at most), compares the hash, and answers the last piece when the
// chunk is synced. kGet gives pieces; the receiver compares the hash of the whole.
//
// Who keeps what, and how long: a chunk that was put is pinned for `pin_nanos` on every member that took it. A leader
// proposes a reference only if the chunk was put in the first half of that time, or else puts it once more itself
// (Replica::set_chunk_check), so that no reference is proposed to what is not on a majority; it then has to be applied
// within the other half. A sweep (chunk_sweep.h) from time to time fetches
// what the state refers to and is not here or is damaged, and removes what nothing refers to. Nothing is removed by a
// member that is younger than `pin_nanos` (pins end with the process), has no vote, or is behind in applying.
//
// One thread, that of the event loop; files are read and written on a thread of its own.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "control/api/chunks.h"
#include "control/barn/chunk_reference.h"
#include "control/barn/rocks/chunk_store.h"
#include "control/raft/driver/member.h"
#include "control/raft/transport/transport.h"
#include "control/replica/replica.h"
#include "control/server/chunk_sweep.h"
#include "control/server/rocks_keeper.h"
#include "control/server/worker.h"
#include "platform/net/event_loop.h"

namespace runink::server {

struct ChunkOptions {
  int64_t put_nanos = 30'000'000'000;   // within which a majority must have it
  int64_t retry_nanos = 200'000'000;    // between attempts at a peer that does not answer
  int64_t get_nanos = 25'000'000'000;   // for which peers that cannot be asked are waited for; a call has 30 s
  int64_t place_nanos = 3'000'000'000;  // the same of a leader before it proposes: the client is to hear of it in time
  int64_t pin_nanos = 3'600'000'000'000;  // see above
  int64_t sweep_nanos = 600'000'000'000;
  int64_t sweep_first_nanos = 30'000'000'000;  // after the start
  uint64_t sweep_bytes_per_second = 4 << 20;   // of rows and chunks read
  uint64_t bytes_under_way = 64 << 20;         // of puts; more are refused
  // False: the disk is all but full, and what is left of it is for the log and the state. Nothing is stored then.
  std::function<bool()> has_room;
};

struct ChunkStatus {
  uint64_t stored = 0, stored_bytes = 0;  // here, now; bytes of files
  uint64_t puts = 0, puts_failed = 0;
  uint64_t taken = 0;  // from peers' puts
  uint64_t fetched = 0, fetches_failed = 0;
  uint64_t repaired = 0;  // of those fetched: the ones that were here, damaged
  uint64_t missing = 0;   // referred to, and not here (or damaged), now
  uint64_t removed = 0, removed_bytes = 0;
  uint64_t sweeps = 0;
  int64_t swept_unix_micros = 0;  // the end of the last one
  Status sweep_result;
};

class ChunkExchange final : public api::Chunks {
 public:
  // All must outlive it. Errors as ChunkStore::open.
  static Result<std::unique_ptr<ChunkExchange>> open(net::EventLoop& loop, ChunkOptions options,
                                                     const std::string& folder, std::optional<crypto::SealingKey> key,
                                                     RocksKeeper& keeper, barn::Replica& replica, raft::Member& member,
                                                     raft::Transport& transport);
  ~ChunkExchange();

  // At most kChunkBytes (kInvalidArgument). kResourceExhausted, kind "barn.busy": too much is under way; kind
  // "barn.no_space": the disk is full here. kUnavailable, kind "barn.chunk.no_majority": not on a majority in time; it
  // may be put again.
  void put(std::string bytes, std::function<void(Result<barn::ChunkReference>)> done) override;
  // From here or, where it is not here or damaged, from another member; then it is here again. kNotFound: all other
  // members have answered, and none has it whole. kUnavailable, kind "barn.chunk.unreachable": none that has answered
  // has it, and some could not be asked in `get_nanos`. kResourceExhausted, kind "barn.busy".
  void get(const barn::ChunkReference& reference, std::function<void(Result<std::string>)> done) override;

  void answer(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer);  // kPut and kGet
  void tick();
  // A sweep begins with the next tick. For who has just replaced a disk.
  void sweep_soon() { swept_nanos_.reset(); }
  ChunkStatus status() const;
  const barn::ChunkStore& store() const { return *store_; }

 private:
  struct Put;
  struct Sender;
  struct Gathering;
  struct Fetch;
  ChunkExchange(net::EventLoop& loop, ChunkOptions options, RocksKeeper& keeper, barn::Replica& replica,
                raft::Member& member, raft::Transport& transport);
  void stored_here(const std::shared_ptr<Put>& put, const Result<barn::ChunkHash>& stored);
  void send_next(raft::NodeId peer);
  void sent(raft::NodeId peer, const std::shared_ptr<Put>& put, uint64_t offset, const Result<std::string>& answer);
  void confirm(const std::shared_ptr<Put>& put, raft::NodeId peer);
  void finish(const std::shared_ptr<Put>& put, Status status);
  void place(std::vector<barn::ChunkReference> references, std::function<void(Status)> ready);
  void pin(const barn::ChunkHash& hash);
  void unpin_old();

  void take_piece(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer);
  void keep(std::shared_ptr<const std::string> bytes, const barn::ChunkHash& hash, raft::BulkAnswer answer);
  void give_piece(raft::BulkRequest request, raft::BulkAnswer answer);

  // `patience_nanos`: how long peers that cannot be asked are asked again; 0: each is asked once.
  void get_within(int64_t patience_nanos, const barn::ChunkReference& reference,
                  std::function<void(Result<std::string>)> done);
  void fetch(const barn::ChunkReference& reference, bool damaged, int64_t patience_nanos,
             std::function<void(Result<std::string>)> done);
  void begin_round(const std::shared_ptr<Fetch>& fetch);
  void end_round(const std::shared_ptr<Fetch>& fetch);
  void not_from(const std::shared_ptr<Fetch>& fetch, raft::NodeId peer, Status why);
  void fetch_piece(const std::shared_ptr<Fetch>& fetch);
  void arrived(const std::shared_ptr<Fetch>& fetch, raft::NodeId peer);
  void fetched(const std::shared_ptr<Fetch>& fetch, const Result<std::string>& outcome);
  void give_up_waiting(const std::shared_ptr<Fetch>& fetch);
  void watch_fetches();

  void applied(const std::vector<std::string>& references);
  void repair_some();
  void begin_sweep();
  void swept(ChunkSweep::Outcome outcome);
  bool may_collect() const;
  bool has_room() const { return !options_.has_room || options_.has_room(); }
  template <typename Work, typename Then>
  void on_worker(Work work, Then then);

  net::EventLoop& loop_;
  const ChunkOptions options_;
  RocksKeeper& keeper_;
  barn::Replica& replica_;
  raft::Member& member_;
  raft::Transport& transport_;
  std::unique_ptr<barn::ChunkStore> store_;
  const int64_t started_nanos_;

  std::set<std::shared_ptr<Put>> puts_;
  std::shared_ptr<uint64_t> bytes_under_way_ = std::make_shared<uint64_t>(0);  // of Puts, queued ones included
  std::map<raft::NodeId, Sender> senders_;
  std::map<raft::NodeId, Gathering> gathering_;
  std::map<barn::ChunkReference, int64_t> placed_;        // when this member's put of it was on a majority
  std::deque<std::pair<int64_t, barn::ChunkHash>> pins_;  // of the store, the oldest first
  std::map<barn::ChunkReference, std::shared_ptr<Fetch>> fetches_;
  std::set<barn::ChunkReference> wanted_;        // to be fetched
  std::set<barn::ChunkReference> applied_late_;  // while a sweep is under way: what it cannot know of
  std::optional<barn::ChunkReference> repair_after_;
  size_t repairs_ = 0;  // under way
  int64_t repair_not_before_ = 0;
  std::optional<int64_t> swept_nanos_;  // when the last sweep ended; none: one is due
  uint64_t generation_ = 0;             // of the replica's state
  ChunkStatus status_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  // The worker's: the chunk that was given last.
  barn::ChunkHash given_hash_{};
  std::shared_ptr<const std::string> given_;
  std::unique_ptr<ChunkSweep> sweep_;
  bool collects_ = false;  // the sweep that is under way began when this member might remove chunks
  Worker worker_;          // the first to go: it uses the rest
};

}  // namespace runink::server
