// Watches: who wants to know of changes of a key, a prefix or a range.
//
// What a watcher gets, from the index it asked for (the guarantees are those that etcd gives,
// https://etcd.io/docs/v3.5/learning/api_guarantees/):
//   ordered       by index, and within one index as the command made them
//   unique        no event twice
//   reliable      none left out between two that it got
//   atomic        all events of one index in one piece
//   resumable     from any index whose events are not compacted, on any member
//   bookmarkable  `through` of an answer: everything up to that index was delivered
//   filtered      by range and by kind, without harm to the others
//
// There is no queue for a watcher. The hub keeps one ring of the newest events for all of them, bounded in bytes; a
// watcher that has fallen behind it reads from the event table in the store, a bounded piece at a time. So a watcher
// that sleeps costs what it costs to remember its place.
//
// One thread, the one that applies. Kinds of errors:
//   barn.watch.compacted    the events it wants next are gone (kOutOfRange); the message and oldest() say where one can
//   begin barn.watch.lost_future  it asks for what this cluster never had, for example since it was restored from a
//   backup (kOutOfRange) barn.watch.unknown      no such watch, or it ended (kNotFound)
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "control/barn/state_machine.h"

namespace runink::barn {

using WatchId = uint64_t;

struct WatchRequest {
  KeyRange range;
  // The first index wanted. 0: from now, that is, behind what is applied here.
  Index from = 0;
  // The incarnation that the client heard `from` from; 0: it does not say, and a restore in between may go unnoticed.
  uint64_t incarnation = 0;
  bool puts = true, deletes = true;
  bool values = true;  // false: events without values
};

struct WatchEvent {
  EventKind kind = EventKind::kPut;
  KeyValue item;  // of a deletion only key and modify_index
  bool operator==(const WatchEvent&) const = default;
};

struct WatchAnswer {
  struct AtIndex {
    Index index = 0;
    std::vector<WatchEvent> events;
  };
  std::vector<AtIndex> changes;  // ascending; each whole
  Index through = 0;             // a bookmark: all that was asked for up to this index has been delivered
  bool more = false;             // poll again: there is, or may be, more already
};

struct HubOptions {
  size_t ring_bytes = 8 << 20;  // newest events, for all watchers
  size_t watches_max = 10'000;  // beyond: kResourceExhausted
  size_t scan_bytes = 4 << 20;  // what one poll may look through
};

class WatchHub {
 public:
  // The machine must outlive the hub.
  explicit WatchHub(const StateMachine* machine, HubOptions options = {});

  // `known`: the newest index that is known to be committed (from a leader, or as answered by ReadIndex); a member that
  // lags may be asked for what it will have soon, but nobody for what is beyond `known` + 1.
  Result<WatchId> watch(const WatchRequest& request, Index known);
  void cancel(WatchId id);

  // What apply() gave, in the order of its calls.
  void publish(const Applied& applied);
  // After a snapshot took the place of the state: everybody goes on from the event table.
  void restart();

  // Watches that have something to fetch, each once until it is polled. The order is that of their becoming ready.
  std::vector<WatchId> take_ready();
  // At least one index, if there is one; then as many as fit. After an error the watch has ended.
  Result<WatchAnswer> poll(WatchId id, size_t max_bytes = 1 << 20);
  // The bookmark of a watcher that has nothing to fetch: it has everything up to here. None: it has something to fetch.
  Result<std::optional<Index>> bookmark(WatchId id) const;

  Index oldest() const { return machine_->compacted() + 1; }  // the first index that can be asked for
  size_t watches() const { return watches_.size(); }
  size_t ring_bytes() const { return ring_bytes_; }      // never more than the option, but for one block
  uint64_t table_reads() const { return table_reads_; }  // records read from the store for those that lag

 private:
  struct Watch {
    WatchRequest request;
    Index next = 0;          // the first index not yet looked at for it
    bool pending = false;    // something may be at or behind `next`; if not, it has everything that was published
    bool announced = false;  // in ready_
  };
  struct Piece;
  using Ids = std::set<WatchId>;

  void file(WatchId id, const KeyRange& range);
  void unfile(WatchId id, const KeyRange& range);
  void wake(const Ids& ids, EventKind kind, Index index);
  void wake_for(std::string_view key, EventKind kind, Index index);
  void announce(WatchId id, Watch& watch);
  Status check_start(const WatchRequest& request, Index known) const;
  Status compacted_error(Index wanted) const;
  Status take_record(const WatchRequest& request, Index index, std::string_view record, Piece& piece) const;
  Status read_table(Watch& watch, Piece& piece);
  Status read_ring(Watch& watch, Piece& piece) const;

  const StateMachine* machine_;
  HubOptions options_;
  WatchId last_id_ = 0;
  std::map<WatchId, Watch> watches_;
  // Who wants a key: by the key itself; by prefix, with the lengths of the prefixes that are watched; and other ranges
  // by where they begin.
  std::map<std::string, Ids, std::less<>> by_key_, by_prefix_;
  std::map<size_t, size_t> prefix_lengths_;
  std::map<std::string, Ids, std::less<>> by_begin_;
  std::deque<WatchId> ready_;
  std::deque<std::shared_ptr<const EventBlock>> ring_;
  size_t ring_bytes_ = 0;
  Index ring_after_ = 0;  // the ring holds every event behind this index, up to published_
  Index published_ = 0;
  uint64_t table_reads_ = 0;
};

}  // namespace runink::barn
