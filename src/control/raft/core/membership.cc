#include "control/raft/core/membership.h"

#include <algorithm>

#include "base/little_endian.h"

namespace runink::raft {
namespace {

constexpr char kFormat = 1;
constexpr size_t kMaxNodes = 1000;

bool contains(const std::vector<NodeId>& sorted, NodeId id) { return std::binary_search(sorted.begin(), sorted.end(), id); }

void insert(std::vector<NodeId>& sorted, NodeId id) { sorted.insert(std::lower_bound(sorted.begin(), sorted.end(), id), id); }

bool take(std::string_view& in, uint64_t* value) {
  if (in.size() < 8) return false;
  *value = load_little_endian<uint64_t>(in.data());
  in.remove_prefix(8);
  return true;
}

bool take_nodes(std::string_view& in, std::vector<NodeId>* nodes) {
  uint64_t count = 0;
  if (!take(in, &count) || count > kMaxNodes || count * 8 > in.size()) return false;
  for (uint64_t i = 0, id = 0; i < count; ++i) {
    const NodeId before = id;
    if (!take(in, &id) || id <= before) return false;  // ascending, and none is 0
    nodes->push_back(id);
  }
  return true;
}

}  // namespace

bool Membership::votes(NodeId id) const { return contains(voters, id); }
bool Membership::learns(NodeId id) const { return contains(learners, id); }

Result<Membership> changed(const Membership& before, const Change& change) {
  if (change.node == 0) return invalid_argument("0 is not the id of a node");
  Membership after = before;
  switch (change.kind) {
    case ChangeKind::kAddLearner:
      if (before.has(change.node)) return already_exists("node {} is a member already", change.node);
      if (before.voters.size() + before.learners.size() >= kMaxNodes) return resource_exhausted("{} members are the most there can be", kMaxNodes);
      insert(after.learners, change.node);
      break;
    case ChangeKind::kPromote:
      if (!before.learns(change.node)) return failed_precondition("node {} is not a learner", change.node);
      std::erase(after.learners, change.node);
      insert(after.voters, change.node);
      break;
    case ChangeKind::kDemote:
      if (!before.votes(change.node)) return failed_precondition("node {} is not a voter", change.node);
      if (before.voters.size() == 1) return failed_precondition("node {} is the only voter", change.node);
      std::erase(after.voters, change.node);
      insert(after.learners, change.node);
      break;
    case ChangeKind::kRemove:
      if (!before.has(change.node)) return not_found("node {} is not a member", change.node);
      if (before.votes(change.node) && before.voters.size() == 1) return failed_precondition("node {} is the only voter", change.node);
      std::erase(after.voters, change.node);
      std::erase(after.learners, change.node);
      break;
  }
  return after;
}

std::string encode(const Membership& membership) {
  std::string out(1, kFormat);
  for (const auto* nodes : {&membership.voters, &membership.learners}) {
    append_little_endian<uint64_t>(out, nodes->size());
    for (NodeId id : *nodes) append_little_endian<uint64_t>(out, id);
  }
  return out;
}

Result<Membership> decode_membership(std::string_view bytes) {
  if (bytes.empty() || bytes[0] != kFormat) return data_loss("a membership entry has an unknown format");
  bytes.remove_prefix(1);
  Membership out;
  if (!take_nodes(bytes, &out.voters) || !take_nodes(bytes, &out.learners) || !bytes.empty() || out.voters.empty()) {
    return data_loss("a membership entry is damaged");
  }
  for (NodeId id : out.learners) {
    if (out.votes(id)) return data_loss("a membership entry names node {} twice", id);
  }
  return out;
}

}  // namespace runink::raft
