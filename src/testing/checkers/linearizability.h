// Linearizability (Herlihy and Wing 1990): is there one order of all operations that keeps the order of those that were
// not concurrent, and in which each gives the answer that it gave? The search is that of Wing and Gong (1993) with
// Lowe's cache of configurations already tried (2017), and it takes each key for itself, which is the same question
// (Herlihy and Wing's locality; Horn and Kroening 2015).
//
// Configurations are remembered by a hash of 128 bits, not whole: a collision, which could hide a violation and never
// make one up, is as likely as not at 2^64 of them. Memory: about 50 bytes for each, at most `max_configurations`.
#pragma once

#include <cstdint>
#include <string>

#include "testing/checkers/history.h"

namespace runink::testing {

struct SearchLimits {
  uint64_t max_configurations = 20'000'000;  // of one key
};

struct Verdict {
  enum class Outcome : uint8_t {
    kGood,
    kBad,
    kGaveUp,  // the limits were reached: nothing is known
  };
  Outcome outcome = Outcome::kGood;
  std::string key;          // where it is bad, or where the search gave up
  std::string explanation;  // lines: the longest order that can be explained, and what cannot follow it
  uint64_t configurations = 0;

  bool good() const { return outcome == Outcome::kGood; }
};

// kRead, kWrite, kCompareAndSet, kDelete. A key has no value at first.
Verdict check_registers(const History& history, const SearchLimits& limits = {});

// kAcquire, kRelease, kExpire, kUse. At most one holder at a time; each grant's token is larger than all before; a use
// is accepted just if its token is not smaller than any accepted before.
Verdict check_locks(const History& history, const SearchLimits& limits = {});

}  // namespace runink::testing
