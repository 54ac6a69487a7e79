// What clients saw: the operations of a test, each with the time it began and the time its answer came. A checker
// decides whether the answers could have come from the system that was promised.
//
// Times are of one clock of the test, in any unit; only their order matters. An operation comes before another if its
// end is smaller than the other's start; otherwise the two are concurrent. An operation whose outcome nobody knows (a
// time-out, a broken connection) is open: it may have taken effect at any time after its start, or never. One that is
// known to have been refused without effect does not belong into a history at all.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace runink::testing {

using Time = int64_t;
inline constexpr Time kOpen = std::numeric_limits<Time>::max();

enum class OperationKind : uint8_t {
  // Of a register, one per key.
  kRead,           // result: the value, none if there is none
  kWrite,          // argument
  kCompareAndSet,  // expected (none: there is no value), argument (none: delete); took_place
  kDelete,         // took_place: there was a value
  // Of a lock, one per key.
  kAcquire,  // took_place: granted, with `token`; otherwise somebody else held it
  kRelease,  // token; took_place: it was the one that held the lock
  kExpire,  // open: the lease behind `token` may end from `start` on; 0: that of an acquisition nobody heard the answer
            // of
  kUse,     // a guarded resource is used with `token`; took_place: it accepted
};

struct Operation {
  uint64_t client = 0;
  Time start = 0;
  Time end = kOpen;
  OperationKind kind = OperationKind::kRead;
  std::string key;
  std::optional<std::string> argument;
  std::optional<std::string> expected;
  std::optional<std::string> result;
  bool took_place = true;
  uint64_t token = 0;

  bool open() const { return end == kOpen; }
};

using History = std::vector<Operation>;  // in any order

// One line: `client 3 [10, 25] write "a" = "1"`. Text of users is escaped, and cut if long.
std::string describe(const Operation& operation);

}  // namespace runink::testing
