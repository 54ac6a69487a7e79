// Who is in the cluster: voters decide, learners only receive. Changes are made one node at a time, so that any majority
// of the old and any of the new membership share a voter (Ongaro, dissertation, chapter 4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/raft/core/types.h"

namespace runink::raft {

struct Membership {
  std::vector<NodeId> voters, learners;  // ascending, disjoint

  bool votes(NodeId id) const;
  bool learns(NodeId id) const;
  bool has(NodeId id) const { return votes(id) || learns(id); }
  size_t quorum() const { return voters.size() / 2 + 1; }
  bool operator==(const Membership&) const = default;
};

enum class ChangeKind : uint8_t { kAddLearner, kPromote, kDemote, kRemove };

struct Change {
  ChangeKind kind;
  NodeId node;
};

// The membership after the change. kInvalidArgument or kFailedPrecondition, with the reason, where it cannot be made.
Result<Membership> changed(const Membership& before, const Change& change);

// Format 1: version, number of voters, voters, number of learners, learners; each number in 8 bytes, little endian, the
// version in one. decode refuses anything else, and more than 1,000 nodes.
std::string encode(const Membership& membership);
Result<Membership> decode_membership(std::string_view bytes);

}  // namespace runink::raft
