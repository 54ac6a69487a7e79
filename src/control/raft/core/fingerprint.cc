// What a state is known again by (raft.h, fingerprint). Kept next to the core because it must name every member that
// matters: whoever adds one adds it here.
#include <algorithm>

#include "control/raft/core/raft.h"

namespace runink::raft {
namespace {

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t hash_words(const std::vector<uint64_t>& words) {
  uint64_t hash = words.size();
  for (uint64_t word : words) hash = mix(hash ^ word) + 0x632be59bd9b4e019u * hash;
  return hash;
}

void put(const Entry& entry, std::vector<uint64_t>* out) {
  out->push_back(entry.term << 8 | static_cast<uint64_t>(entry.kind));
  uint64_t data = entry.data ? 1 : 0;
  if (entry.data) {
    for (char c : *entry.data) data = mix(data ^ static_cast<unsigned char>(c));
  }
  out->push_back(data);
}

void put(const Membership& membership, NodeId (*rename)(NodeId), std::vector<uint64_t>* out) {
  for (const auto* nodes : {&membership.voters, &membership.learners}) {
    std::vector<NodeId> renamed;
    for (NodeId id : *nodes) renamed.push_back(rename(id));
    std::sort(renamed.begin(), renamed.end());
    out->push_back(renamed.size());
    out->insert(out->end(), renamed.begin(), renamed.end());
  }
}

}  // namespace

void fingerprint(const Message& m, NodeId (*rename)(NodeId), std::vector<uint64_t>* out) {
  const uint64_t flags = static_cast<uint64_t>(m.reject) | static_cast<uint64_t>(m.force) << 1 | static_cast<uint64_t>(m.own_term_committed) << 2 |
                         static_cast<uint64_t>(m.rejoining) << 3;
  for (uint64_t word : {static_cast<uint64_t>(m.kind), rename(m.from), rename(m.to), m.term, m.index, m.log_term, m.commit, flags, m.hint_index,
                        m.hint_term, m.read_round, m.incarnation, m.echo, static_cast<uint64_t>(m.entries.size())}) {
    out->push_back(word);
  }
  for (const Entry& entry : m.entries) put(entry, out);
  if (!m.membership.voters.empty()) put(m.membership, rename, out);
}

void Raft::fingerprint(NodeId (*rename)(NodeId), std::vector<uint64_t>* out) const {
  const uint64_t flags = static_cast<uint64_t>(may_vote_) | static_cast<uint64_t>(vote_regained_) << 1 | static_cast<uint64_t>(forced_) << 2 |
                         static_cast<uint64_t>(install_taken_) << 3;
  for (uint64_t word : {rename(options_.id), static_cast<uint64_t>(role_), term_, rename(vote_), rename(leader_), commit_, applied_, next_to_apply_,
                        verified_, rejoin_target_, flags, rename(transferee_), hard_state_version_ - hard_state_taken_,
                        hard_state_version_ - hard_state_persisted_,
                        replaced_version_ > hard_state_persisted_ ? hard_state_version_ - replaced_version_ + 1 : 0, log_.base(), log_.last(),
                        !may_vote_ && options_.lost_end ? options_.lost_end->term << 32 | options_.lost_end->index : 0,
                        log_.persisted(), static_cast<uint64_t>(log_.has_unwritten()), *log_.term(log_.base()), read_round_}) {
    out->push_back(word);
  }
  for (Index i = log_.first(); i <= log_.last(); ++i) put(log_.at(i), out);
  for (const auto& [index, membership] : memberships_) {
    out->push_back(index);
    put(membership, rename, out);
  }
  // What is by node, in the order of the new names.
  std::vector<std::pair<NodeId, const Progress*>> peers;
  for (const auto& [id, peer] : peers_) peers.emplace_back(rename(id), &peer);
  std::sort(peers.begin(), peers.end());
  for (const auto& [id, p] : peers) {
    for (uint64_t word : {id, static_cast<uint64_t>(p->state), p->match, p->next, static_cast<uint64_t>(p->probe_sent), p->read_round, p->incarnation,
                          static_cast<uint64_t>(p->rejoining), p->match_at_heartbeat, p->commit_sent, p->offer ? p->offer->index : 0,
                          static_cast<uint64_t>(p->in_flight.size())}) {
      out->push_back(word);
    }
    for (const auto& sent : p->in_flight) out->push_back(sent.last);
  }
  std::vector<std::pair<NodeId, bool>> votes;
  for (const auto& [id, vote] : votes_) votes.emplace_back(rename(id), vote);
  std::sort(votes.begin(), votes.end());
  for (const auto& [id, vote] : votes) out->push_back(id << 1 | static_cast<uint64_t>(vote));
  // Messages that wait for the disk: a set.
  uint64_t held_sum = held_.size();
  for (const Held& held : held_) {
    std::vector<uint64_t> words = {hard_state_version_ - std::min(hard_state_version_, std::max(held.version, hard_state_persisted_)), held.index, held.log_term};
    raft::fingerprint(held.message, rename, &words);
    held_sum += hash_words(words);
  }
  out->push_back(held_sum);
  uint64_t outbox_sum = outbox_.size();
  for (const Message& message : outbox_) {
    std::vector<uint64_t> words;
    raft::fingerprint(message, rename, &words);
    outbox_sum += hash_words(words);
  }
  out->push_back(outbox_sum);
  out->push_back(reads_waiting_.size());
  for (const ReadRound& round : read_rounds_) {
    out->push_back(round.round);
    out->push_back(round.index);
    out->push_back(round.ids.size());
  }
  out->push_back(installing_ ? installing_->index << 20 | installing_->term : 0);
  out->push_back(rename(install_from_));
}

}  // namespace runink::raft
