// What watchers were told, against what has happened. The promises are those of etcd's API guarantees:
//
//   ordered       changes come by revision, and never go back
//   unique        none comes twice
//   reliable      none is left out between two that came
//   atomic        all changes of one revision come in one message
//   resumable     a watch that begins behind the last revision of a broken one goes on without a gap, unless that part
//   of the
//                 past was compacted, which is then said
//   bookmarkable  a message that says "up to revision r" comes after all changes up to r
//   filtered      only what was asked for comes, and as it was
//
// The true log of changes comes from the store (or from its replicas' agreed log), the rest from clients.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace runink::testing {

struct Change {
  uint64_t revision = 0;  // several changes may have one: a transaction
  std::string key;
  std::optional<std::string> value;  // none: deleted
  bool operator==(const Change&) const = default;
};

struct WatchRequest {
  std::string first, behind;   // keys from `first` up to, not including, `behind`; behind empty: all from `first` on
  uint64_t from_revision = 1;  // the first one wanted
  bool puts = true, deletes = true;
};

struct WatchMessage {
  std::vector<Change> changes;
  std::optional<uint64_t> bookmark;   // everything up to this revision has been told
  std::optional<uint64_t> compacted;  // the watch ends: revisions up to this one are gone
};

// One watch from its beginning to its end. `resumes`: the number, in the same history, of the watch that this one goes
// on with; it must have been asked for with the revision behind the last one that its predecessor was told of.
struct Watch {
  WatchRequest request;
  std::vector<WatchMessage> messages;
  std::optional<size_t> resumes;
  std::optional<uint64_t>
      complete_through;  // it was open and undisturbed so long that all up to this one must have come
};

struct WatchFault {
  enum class Promise : uint8_t { kOrdered, kUnique, kReliable, kAtomic, kResumable, kBookmarkable, kFiltered };
  Promise promise;
  size_t watch;  // its number
  std::string text;
};

const char* name(WatchFault::Promise promise);

// `log` ascending by revision. At most 16 faults of a watch.
std::vector<WatchFault> check_watches(const std::vector<Change>& log, const std::vector<Watch>& watches);

}  // namespace runink::testing
