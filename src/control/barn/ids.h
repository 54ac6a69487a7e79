// The small values that everything in the Barn speaks of.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "control/raft/core/types.h"

namespace runink::barn {

using raft::Index;
using raft::Term;

// A name that is never given twice: the cluster's incarnation, which every restore from a backup raises, then the Raft
// index of the command that made it. Later ones compare greater, so that it serves as a fencing token: whoever guards a
// resource refuses a token smaller than the largest it has seen.
struct Token {
  uint64_t incarnation = 0;
  Index index = 0;
  bool none() const { return index == 0; }
  auto operator<=>(const Token&) const = default;
};
using LeaseId = Token;
using SessionId = Token;

// A retry of a command carries the same pair (session, sequence) and is applied once.
struct SessionMark {
  SessionId session;
  uint64_t sequence = 0;           // from 1; each command of a session has its own, in any order
  uint64_t lowest_unanswered = 0;  // the client has the answers of all smaller ones: they may be forgotten
};

// A rolling digest of everything that was applied, see digest.h.
struct Digest {
  uint64_t high = 0, low = 0;
  bool operator==(const Digest&) const = default;
};
std::string to_string(const Digest& digest);  // 32 hexadecimal digits

struct Position {
  Index index = 0;
  Term term = 0;
  Digest digest;
  bool operator==(const Position&) const = default;
};

// Keys k with from <= k < to; an empty `to` is no end.
struct KeyRange {
  std::string from, to;
  bool contains(std::string_view key) const { return key >= from && (to.empty() || key < to); }
  bool operator==(const KeyRange&) const = default;
};
KeyRange whole_range();
KeyRange prefix_range(std::string_view prefix);  // of an empty prefix: everything
KeyRange single_key(std::string_view key);

}  // namespace runink::barn
