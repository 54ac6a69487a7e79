// The words of the Raft core. Everything here is a plain value.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

namespace runink::raft {

using NodeId = uint64_t;  // 0: nobody
using Term = uint64_t;
using Index = uint64_t;  // of an entry; the first one is 1

enum class EntryKind : uint8_t {
  kNoop = 0,        // what a leader begins its term with
  kCommand = 1,     // opaque to the core
  kMembership = 2,  // an encoded Membership (membership.h), in force from the moment it is appended
};

// An entry never changes once made; its data is shared by the log, messages and whoever applies it.
struct Entry {
  Index index = 0;
  Term term = 0;
  EntryKind kind = EntryKind::kCommand;
  std::shared_ptr<const std::string> data;

  size_t bytes() const { return kOverheadBytes + (data ? data->size() : 0); }
  static constexpr size_t kOverheadBytes = 32;  // so that empty entries are not free to a flow control in bytes
};

// Where a log ends. The greater one is the more up to date (Ongaro and Ousterhout 2014, 5.4.1).
struct LogEnd {
  Term term = 0;
  Index index = 0;
  auto operator<=>(const LogEnd&) const = default;
};

// What must be durable before any message of `term` leaves this node. `commit` is a hint that saves work after a restart;
// a change of it alone is no reason to write.
struct HardState {
  Term term = 0;
  NodeId vote = 0;
  Index commit = 0;
  bool operator==(const HardState&) const = default;
};

}  // namespace runink::raft
