#include "testing/sim/oracle.h"

#include <fmt/format.h>

namespace runink::testing {

void Oracle::leads(raft::NodeId node, raft::Term term, const raft::Log& log) {
  const auto [leader, first] = leaders_.emplace(term, node);
  if (leader->second != node) fail(fmt::format("nodes {} and {} both lead term {}", leader->second, node, term));
  if (!first || entries_.empty()) return;
  for (auto at = entries_.upper_bound(log.base()); at != entries_.end(); ++at) {
    // Of a later term: somebody has led meanwhile, and committed what this one need not hold.
    if (at->second.term > term) break;
    const auto there = log.term(at->first);
    if (there != at->second.term) {
      return fail(
          fmt::format("node {} leads term {}, but lacks entry {} of term {}, which is committed (it ends at {})", node,
                      term, at->first, at->second.term, log.last()));
    }
  }
}

void Oracle::committed(raft::NodeId node, const raft::Entry& entry) {
  const auto [known, first] = entries_.emplace(entry.index, Known{entry.term, entry.kind, entry.data});
  if (first) return;
  const Known& k = known->second;
  const bool same_data = k.data == entry.data || (k.data && entry.data && *k.data == *entry.data) ||
                         ((!k.data || k.data->empty()) && (!entry.data || entry.data->empty()));
  if (k.term != entry.term || k.kind != entry.kind || !same_data) {
    fail(fmt::format("entry {} is of term {} on node {}, but was committed with term {}{}", entry.index, entry.term,
                     node, k.term, k.term == entry.term ? " and other content" : ""));
  }
}

std::vector<raft::Entry> Oracle::committed_entries() const {
  std::vector<raft::Entry> out;
  for (const auto& [index, known] : entries_) {
    if (index != out.size() + 1) break;
    out.push_back({index, known.term, known.kind, known.data});
  }
  return out;
}

void Oracle::applied(raft::NodeId node, const barn::Position& position) {
  if (position.index == 0) return;
  const auto [known, first] = positions_.emplace(position.index, position);
  if (!first && !(known->second == position)) {
    fail(fmt::format("node {} has another state at entry {}: digest {} of term {}, not {} of term {}", node,
                     position.index, barn::to_string(position.digest), position.term,
                     barn::to_string(known->second.digest), known->second.term));
  }
}

void Oracle::voted(raft::NodeId node, raft::Term term, raft::NodeId vote) {
  if (vote == 0) return;
  const auto [known, first] = votes_.emplace(std::pair(node, term), vote);
  if (!first && known->second != vote)
    fail(fmt::format("node {} votes for {} and for {} in term {}", node, known->second, vote, term));
}

void Oracle::says(const raft::Message& m, raft::Term durable) {
  // A pre-vote speaks of a term that nobody is in yet.
  const bool prospective =
      m.kind == raft::MessageKind::kPreVote || (m.kind == raft::MessageKind::kPreVoteReply && !m.reject);
  if (!prospective && m.term > durable) {
    fail(fmt::format("node {} sends a message of kind {} of term {}, but only term {} is durable", m.from,
                     static_cast<int>(m.kind), m.term, durable));
  }
}

}  // namespace runink::testing
