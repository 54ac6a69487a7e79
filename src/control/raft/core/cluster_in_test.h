// A whole Raft group in one thread: real cores, and between them a network and disks that lose, delay, double and reorder as
// a seed says. After every event the promises of Raft are checked. It is the small sister of src/testing's simulator: no
// journal, no state machine, only the core.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "control/raft/core/faults_in_test.h"
#include "control/raft/core/raft.h"

namespace runink::raft {

class SimCluster {
 public:
  SimCluster(uint64_t seed, size_t voters, Faults faults) : random_(seed), faults_(faults), message_bytes_(faults.message_bytes) {
    Membership first;
    for (NodeId id = 1; id <= voters; ++id) first.voters.push_back(id);
    for (NodeId id = 1; id <= std::min<size_t>(faults.learners, 2); ++id) first.learners.push_back(voters + id);
    for (NodeId id = 1; id <= voters + 2; ++id) {
      Node& node = nodes_[id];
      node.id = id;
      node.disk.base_membership = first;
      start(node);
    }
  }

  struct Totals {
    uint64_t events = 0, proposals = 0, committed = 0, elections = 0, crashes = 0, cuts = 0, truncations = 0, snapshots = 0, changes = 0,
             reads = 0, wipes = 0, transfers = 0;
  };
  const Totals& totals() const { return totals_; }

  void run(uint64_t events) {
    for (uint64_t i = 0; i < events; ++i) {
      event();
      check();
    }
  }
  // Without faults, something new is committed on all voters in the end. False if storage was lost on so many of those who are left
  // that nobody may be elected: that is not to be expected to heal.
  bool settle() {
    faults_ = {.loss = 0, .duplicate = 0, .crash = 0, .cut = 0};
    cut_.clear();
    for (auto& [id, node] : nodes_) {
      if (!node.raft) start(node);
    }
    const Index before = highest_committed();
    for (int i = 0; i < 200000; ++i) {
      event();
      check();
      const Node* leader = leading();
      if (leader == nullptr || i % 50 != 0) continue;
      bool all = leader->raft->commit() > before;
      for (NodeId id : leader->raft->membership().voters) all = all && nodes_[id].raft->commit() > before && nodes_[id].raft->may_vote();
      if (all) return true;
    }
    if (quorum_lost()) return false;
    fail("no progress without faults");
  }

  // What a user may count on once faults have ended, in rounds: in one, each node's clock ticks once, then all that is under
  // way arrives. After settle().
  void prove_liveness() {
    rounds(60);
    Node* leader = elected();
    if (leader == nullptr) fail("no leader after a calm time");
    const NodeId first = leader->id;
    const Term term = highest_term();
    rounds(60);
    if (highest_term() != term) fail("a leader was replaced in calm times");
    // A voter that is heard by all and hears nobody.
    for (NodeId deaf : leader->raft->membership().voters) {
      if (deaf == first) continue;
      for (const auto& [id, n] : nodes_) cut_.emplace(id, deaf);
      rounds(100);
      cut_.clear();
      if (highest_term() > term + 1) fail("a voter that hears nobody has raised the term again and again");
      break;
    }
    rounds(60);
    leader = elected();
    if (leader == nullptr) fail("no leader after a voter heard nobody for a while");
    // Its successor answers reads although nobody writes.
    if (leader->raft->membership().voters.size() < 3) return;
    crash(*leader, false);
    const NodeId gone = leader->id;
    rounds(100);
    leader = elected();
    if (leader == nullptr || leader->id == gone) fail("nobody took over from a leader that was gone");
    const uint64_t answered = totals_.reads;
    read(*leader);
    rounds(10);
    if (totals_.reads == answered) fail("a new leader answers no reads");
  }

 private:
  struct Write {
    std::optional<HardState> hard_state;
    uint64_t version = 0;
    std::vector<Entry> entries;
  };
  struct Disk {
    HardState hard_state;
    Index base = 0;
    Term base_term = 0;
    Membership base_membership;
    std::vector<Entry> entries;
    uint64_t incarnation = 0;
    bool whole = true;
    std::optional<LogEnd> lost_end;  // of what it lost, where that is known
  };
  struct Node {
    NodeId id = 0;
    Disk disk;
    std::deque<Write> writes;
    std::unique_ptr<Raft> raft;
    Index commit_seen = 0;
    std::optional<SnapshotMeta> installing;
  };

  uint64_t pick(uint64_t n) { return random_() % n; }
  bool chance(double p) { return static_cast<double>(random_() % 1000000) < p * 1e6; }

  [[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "after %llu events: %s\n", static_cast<unsigned long long>(totals_.events), what.c_str());
    for (const auto& [id, node] : nodes_) {
      if (!node.raft) continue;
      const Raft& r = *node.raft;
      std::string voters;
      for (NodeId v : r.membership().voters) voters += " " + std::to_string(v);
      std::fprintf(stderr, "  node %d role %d term %d vote %d leader %d commit %d last %d persisted %d may_vote %d writes %zu voters%s\n", static_cast<int>(id),
                   static_cast<int>(r.role()), static_cast<int>(r.term()), static_cast<int>(r.vote()), static_cast<int>(r.leader()), static_cast<int>(r.commit()),
                   static_cast<int>(r.log().last()), static_cast<int>(r.log().persisted()), r.may_vote(), node.writes.size(), voters.c_str());
    }
    std::abort();
  }

  void start(Node& node) {
    Options options;
    options.id = node.id;
    options.random = [this] { return random_(); };
    options.incarnation = ++node.disk.incarnation;
    options.may_vote = node.disk.whole;
    options.lost_end = node.disk.lost_end;
    options.max_message_bytes = message_bytes_;
    options.max_in_flight_messages = 4;
    options.max_uncommitted_bytes = kMaxUncommitted;
    Recovered recovered;
    recovered.hard_state = node.disk.hard_state;
    recovered.snapshot_index = node.disk.base;
    recovered.snapshot_term = node.disk.base_term;
    recovered.membership = node.disk.base_membership;
    recovered.entries = node.disk.entries;
    recovered.applied = node.disk.base;
    node.raft = std::make_unique<Raft>(std::move(options), std::move(recovered));
    node.commit_seen = 0;
  }

  Node* leading() {
    Node* out = nullptr;
    for (auto& [id, node] : nodes_) {
      if (node.raft && node.raft->role() == Role::kLeader && (out == nullptr || node.raft->term() > out->raft->term())) out = &node;
    }
    return out;
  }
  Index highest_committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }

  void event() {
    ++totals_.events;
    const uint64_t what = pick(100);
    Node& node = std::next(nodes_.begin(), static_cast<std::ptrdiff_t>(pick(nodes_.size())))->second;
    if (what < 45) {
      // The more is under way the more arrives, or else a group that was kept from talking is deaf with congestion for ever.
      for (size_t n = 1 + network_.size() / 50; n > 0; --n) deliver();
    } else if (what < 60) {
      if (node.raft) node.raft->tick();
    } else if (what < 80) {
      if (node.raft && !(faults_.slow_disk > 0 && chance(faults_.slow_disk))) finish_write(node);
    } else if (what < 88) {
      if (node.raft) propose(node);
    } else if (what < 92) {
      if (node.raft) read(node);
    } else if (node.raft) {
      odd(node);
    }
    if (chance(faults_.crash)) crash(node, false);
    if (chance(faults_.wipe)) crash(node, true);
    if (!node.raft && chance(0.02)) start(node);
    if (chance(faults_.cut)) cut();
    for (auto& [id, n] : nodes_) {
      if (n.raft) turn(n);
    }
  }

  void odd(Node& node) {
    if (faults_.snapshots && chance(0.05) && node.raft->applied() > node.raft->log().base()) {
      const Index through = node.raft->log().base() + 1 + pick(node.raft->applied() - node.raft->log().base());
      const Membership membership = node.raft->membership_at(through);
      const Term term = *node.raft->log().term(through);
      node.raft->compact(through);
      std::erase_if(node.disk.entries, [&](const Entry& e) { return e.index <= through; });
      node.disk.base = through;
      node.disk.base_term = term;
      node.disk.base_membership = membership;
    }
    if (node.installing && chance(0.3)) install(node, chance(0.2));
    if (faults_.transfers && chance(0.1)) {
      ++totals_.transfers;
      (void)node.raft->transfer(1 + pick(nodes_.size()));
    }
    if (faults_.change_members && chance(faults_.change_rate)) change(node);
  }
  void change(Node& node) {
    auto kind = static_cast<ChangeKind>(pick(4));
    NodeId who = 1 + pick(nodes_.size());
    if (faults_.eager) {  // four voters, now and then one more or one less
      const Membership& now = node.raft->membership();
      const bool grow = now.voters.size() < 4 || (now.voters.size() == 4 && chance(0.5));
      kind = !grow ? (chance(0.7) ? ChangeKind::kDemote : ChangeKind::kRemove) : now.learners.empty() ? ChangeKind::kAddLearner : ChangeKind::kPromote;
      if (!grow) who = now.voters[pick(now.voters.size())];
      if (grow && !now.learners.empty()) who = now.learners[pick(now.learners.size())];
    }
    if (!node.raft->propose_change({kind, who}).ok()) return;
    ++totals_.changes;
    // The worst moment to be heard by one other node only.
    if (faults_.eager && chance(0.6)) part(uint64_t{1} << (node.id - 1) | uint64_t{1} << pick(nodes_.size()));
  }

  void install(Node& node, bool fails) {
    const SnapshotMeta snapshot = *node.installing;
    node.installing.reset();
    if (fails) {
      node.raft->snapshot_failed(snapshot);
      return;
    }
    ++totals_.snapshots;
    node.disk.entries.clear();
    node.disk.base = snapshot.index;
    node.disk.base_term = snapshot.term;
    node.disk.base_membership = snapshot.membership;
    // Writes of entries that the snapshot replaces are not done any more; a hard state among them is.
    for (const Write& write : node.writes) {
      if (!write.hard_state) continue;
      node.disk.hard_state = *write.hard_state;
      node.raft->hard_state_persisted(write.version);
    }
    node.writes.clear();
    node.raft->snapshot_installed(snapshot);
  }

  void propose(Node& node) {
    auto data = std::make_shared<const std::string>("p" + std::to_string(++totals_.proposals));
    const Raft& raft = *node.raft;
    size_t open = data->size() + Entry::kOverheadBytes;
    const bool alone = raft.commit() == raft.log().last();
    for (Index i = std::max(raft.commit() + 1, raft.log().first()); i <= raft.log().last(); ++i) open += raft.log().at(i).bytes();
    const bool accepted = node.raft->propose(std::move(data)).outcome == Proposal::Outcome::kAccepted;
    if (accepted && !alone && open > kMaxUncommitted) fail("a proposal was taken beyond what may be uncommitted");
  }
  void read(Node& node) {
    const ReadId id = ++last_read_;
    reads_[id] = highest_committed_applied_;
    node.raft->read_index(id);
  }

  void cut() {
    ++totals_.cuts;
    if (faults_.split > 0 && chance(faults_.split)) {
      part(pick(uint64_t{1} << nodes_.size()));
      return;
    }
    if (cut_.empty() || chance(0.6)) {
      cut_.emplace(1 + pick(nodes_.size()), 1 + pick(nodes_.size()));  // one way
      if (chance(0.5)) {
        const NodeId alone = 1 + pick(nodes_.size());
        for (const auto& [id, n] : nodes_) cut_.emplace(id, alone), cut_.emplace(alone, id);
      }
    } else {
      cut_.clear();
    }
  }

  // The nodes whose bits are set, and the others, do not hear each other any more.
  void part(uint64_t half) {
    cut_.clear();
    for (const auto& [a, n] : nodes_) {
      for (const auto& [b, m] : nodes_) {
        if ((half >> (a - 1) & 1) != (half >> (b - 1) & 1)) cut_.emplace(a, b);
      }
    }
  }

  void crash(Node& node, bool wipe) {
    if (!node.raft) return;
    ++totals_.crashes;
    // Any prefix of the writes under way may have reached the disk, the last one in part.
    for (size_t n = pick(node.writes.size() + 1); n > 0; --n) write_to_disk(node);
    if (!node.writes.empty() && chance(0.7)) {
      node.writes.front().entries.resize(pick(node.writes.front().entries.size() + 1));
      write_to_disk(node);
    }
    node.writes.clear();
    node.installing.reset();
    const bool enough = node.raft->membership().voters.size() >= 3;
    node.raft.reset();
    // Several at a time where they know what they lost; else nobody might be left to elect a leader.
    const bool known = faults_.known_ends && (node.disk.whole || node.disk.lost_end) && !node.disk.entries.empty();
    if (wipe && enough && (node.disk.whole || known)) {
      for (const auto& [id, n] : nodes_) {
        if (!n.disk.whole && !(known && n.disk.lost_end)) return;
        if (n.raft && n.raft->membership().voters.size() < 3) return;
      }
      ++totals_.wipes;
      if (known) {
        const LogEnd end{node.disk.entries.back().term, node.disk.entries.back().index};
        node.disk.lost_end = std::max(node.disk.lost_end.value_or(end), end);
      }
      node.disk.whole = false;
      const size_t keep = node.disk.entries.empty() ? 0 : pick(node.disk.entries.size());
      node.disk.entries.resize(keep);
    }
  }

  void write_to_disk(Node& node) {
    Write write = std::move(node.writes.front());
    node.writes.pop_front();
    if (write.hard_state) node.disk.hard_state = *write.hard_state;
    for (const Entry& entry : write.entries) {
      while (!node.disk.entries.empty() && node.disk.entries.back().index >= entry.index) {
        ++totals_.truncations;
        node.disk.entries.pop_back();
      }
      if (entry.index <= node.disk.base) continue;
      if (entry.index != node.disk.base + node.disk.entries.size() + 1) fail("a gap in the journal");
      node.disk.entries.push_back(entry);
    }
  }
  void finish_write(Node& node) {
    if (node.writes.empty()) return;
    const Write write = node.writes.front();
    write_to_disk(node);
    if (write.hard_state) node.raft->hard_state_persisted(write.version);
    if (!write.entries.empty()) node.raft->log_persisted(write.entries.back().index, write.entries.back().term);
  }

  void deliver() {
    if (!attic_.empty() && chance(0.03)) {
      const size_t at = pick(attic_.size());
      const Message m = std::move(attic_[at]);
      attic_.erase(attic_.begin() + static_cast<std::ptrdiff_t>(at));
      if (auto& to = nodes_[m.to]; to.raft && !cut_.contains({m.from, m.to})) to.raft->step(m);
    }
    if (network_.empty()) return;
    const size_t at = pick(std::min<size_t>(network_.size(), 1 + (chance(0.2) ? network_.size() : 3)));
    const Message m = network_[at];
    if (!chance(faults_.duplicate)) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
    if (network_.size() > 400) network_.pop_front();
    if (faults_.late > 0 && chance(faults_.late)) {
      if (attic_.size() >= 60) attic_.erase(attic_.begin() + static_cast<std::ptrdiff_t>(pick(attic_.size())));
      attic_.push_back(m);
    }
    if (chance(faults_.loss) || cut_.contains({m.from, m.to})) return;
    auto& to = nodes_[m.to];
    if (to.raft) to.raft->step(m);
  }

  void turn(Node& node) {
    while (node.raft->has_ready()) {
      Ready ready = node.raft->take_ready();
      for (const Entry& entry : ready.append) check_made(*node.raft, entry);
      if (ready.hard_state || !ready.append.empty()) {
        node.writes.push_back({ready.hard_state, ready.hard_state_version, std::move(ready.append)});
      }
      for (Message& m : ready.messages) {
        check_sent(node, m);
        network_.push_back(std::move(m));
      }
      for (const Entry& entry : ready.committed) apply(node, entry);
      for (const auto& read : ready.reads) {
        ++totals_.reads;
        if (read.index < reads_.at(read.id)) fail("a read at " + std::to_string(read.index) + " began when " + std::to_string(reads_.at(read.id)) + " was applied");
      }
      for (NodeId to : ready.snapshots_wanted) {
        const Index index = node.raft->log().base();
        node.raft->offer_snapshot(to, {index, *node.raft->log().term(index), node.raft->membership_at(index)});
      }
      if (ready.install) node.installing = ready.install;
      if (ready.vote_regained) {
        node.disk.whole = true;
        node.disk.lost_end.reset();
      }
    }
  }

  void apply(Node& node, const Entry& entry) {
    if (on_disk(node, entry.index) != entry.term) fail("an entry was applied that is not on disk");
    const auto [at, fresh] = committed_.emplace(entry.index, entry);
    if (!fresh && (at->second.term != entry.term || at->second.data != entry.data)) fail("two entries were committed at index " + std::to_string(entry.index));
    totals_.committed += fresh;
    node.raft->applied(entry.index);
    highest_committed_applied_ = std::max(highest_committed_applied_, entry.index);
  }

  // Of the membership in the newest log, too few have a vote; nor would they, knowing what they lost, vote for one that has.
  bool quorum_lost() const {
    const auto end_of = [](const Raft& raft) { return LogEnd{raft.log().last_term(), raft.log().last()}; };
    const Raft *newest = nullptr, *newest_voter = nullptr;
    for (const auto& [id, node] : nodes_) {
      const Raft* const raft = node.raft.get();
      if (newest == nullptr || end_of(*raft) > end_of(*newest)) newest = raft;
      if (raft->may_vote() && (newest_voter == nullptr || end_of(*raft) > end_of(*newest_voter))) newest_voter = raft;
    }
    if (newest_voter == nullptr) return true;
    size_t may = 0, would = 0;
    for (NodeId id : newest->membership().voters) {
      const Node& node = nodes_.at(id);
      may += node.raft->may_vote();
      would += node.raft->may_vote() || (node.disk.lost_end && std::max(*node.disk.lost_end, end_of(*node.raft)) <= end_of(*newest_voter));
    }
    return may < newest->membership().quorum() && would < newest->membership().quorum();
  }

  // Elections may be tied, but not for ever.
  Node* elected() {
    for (int i = 0; i < 10 && leading() == nullptr; ++i) rounds(30);
    return leading();
  }

  void rounds(int count) {
    for (int round = 0; round < count; ++round) {
      for (auto& [id, node] : nodes_) {
        if (!node.raft) continue;
        node.raft->tick();
        turn(node);
      }
      for (int i = 0; i < 100000 && arrive(); ++i) check();
    }
  }
  // Everything that is under way now; false if nothing is.
  bool arrive() {
    bool any = !network_.empty();
    std::deque<Message> all;
    all.swap(network_);
    for (const Message& m : all) {
      Node& to = nodes_[m.to];
      if (!to.raft || cut_.contains({m.from, m.to})) continue;
      to.raft->step(m);
      turn(to);
    }
    for (auto& [id, node] : nodes_) {
      while (node.raft && !node.writes.empty()) {
        finish_write(node);
        turn(node);
        any = true;
      }
      if (!node.raft || !node.installing) continue;
      install(node, false);
      turn(node);
      any = true;
    }
    return any;
  }
  Term highest_term() const {
    Term out = 0;
    for (const auto& [id, node] : nodes_) out = std::max(out, node.raft ? node.raft->term() : 0);
    return out;
  }

  static std::optional<Term> on_disk(const Node& node, Index index) {
    if (index == node.disk.base) return node.disk.base_term;
    if (index < node.disk.base || index > node.disk.base + node.disk.entries.size()) return std::nullopt;
    return node.disk.entries[index - node.disk.base - 1].term;
  }

  // Log matching: the same index and term are the same entry, behind the same entries.
  void check_made(const Raft& raft, const Entry& entry) {
    const Term before = raft.log().term(entry.index - 1).value_or(0);
    const auto [made, fresh] = made_.emplace(std::make_pair(entry.index, entry.term), std::make_pair(entry.data, before));
    if (fresh) return;
    const auto& [data, behind] = made->second;
    const bool same = data == entry.data || (data && entry.data && *data == *entry.data);
    if (!same || (raft.log().term(entry.index - 1) && behind != before)) {
      fail("two entries were made at index " + std::to_string(entry.index) + " in term " + std::to_string(entry.term));
    }
  }

  // The first to call an entry committed must be right: it is on the disks of a majority. A node that lost its storage had it
  // perhaps, and has no vote to elect anybody without it.
  void check_commit(const Node& node) {
    const Raft& raft = *node.raft;
    if (raft.commit() <= committed_somewhere_) return;
    while (committed_somewhere_ < raft.commit()) committed_in_[++committed_somewhere_] = raft.term();
    if (raft.commit() <= raft.log().base()) return;
    const Membership& membership = raft.membership();  // in force from the moment it is appended, for all before it too
    size_t holders = 0;
    for (NodeId id : membership.voters) {
      const Node& voter = nodes_[id];
      holders += !voter.disk.whole || voter.disk.base >= raft.commit() || on_disk(voter, raft.commit()) == raft.log().term(raft.commit());
    }
    if (holders < membership.quorum()) fail("index " + std::to_string(raft.commit()) + " was called committed and is on " + std::to_string(holders) + " disks");
  }

  // What a leader knows of a peer's log only grows, until the peer's storage is another one or it was no member for a while.
  void check_matches(const Node& node) {
    std::map<NodeId, std::pair<uint64_t, Index>>& before = matches_[{node.id, node.raft->term()}];
    for (const auto& [id, peer] : node.raft->peers()) {
      const auto known = before.find(id);
      if (known != before.end() && known->second.first == peer.incarnation && peer.match < known->second.second) {
        fail("what node " + std::to_string(id) + " holds went back to " + std::to_string(peer.match));
      }
      before[id] = {peer.incarnation, peer.match};
      check_held(*node.raft, id, peer);
    }
    std::erase_if(before, [&](const auto& known) { return !node.raft->peers().contains(known.first); });
  }

  // What a leader takes a peer to hold is on its disk, as long as nobody else has led since.
  void check_held(const Raft& leader, NodeId id, const Progress& peer) {
    const Node& at = nodes_[id];
    if (!at.raft || !at.disk.whole || peer.rejoining || at.disk.incarnation != peer.incarnation || at.raft->term() != leader.term()) return;
    if (peer.match <= at.disk.base || peer.match <= leader.log().base()) return;
    if (on_disk(at, peer.match) != leader.log().term(peer.match)) {
      fail("a leader takes node " + std::to_string(id) + " to hold entry " + std::to_string(peer.match) + ", and it does not");
    }
  }

  // The membership that a node goes by is the last one in its log.
  void check_membership(const Node& node) {
    const Log& log = node.raft->log();
    if (log.base() != node.disk.base) return;
    for (Index i = log.last(); i > log.base(); --i) {
      if (log.at(i).kind != EntryKind::kMembership) continue;
      if (node.raft->membership() != *decode_membership(*log.at(i).data)) fail("a membership is in force that is not in the log");
      return;
    }
    if (node.raft->membership() != node.disk.base_membership) fail("a membership is in force that is not in the log");
  }

  // A leader has the votes of a majority, given to it in its term.
  void check_elected(const Node& node) {
    const Membership& membership = node.raft->membership();
    size_t votes = 0;
    for (NodeId id : membership.voters) {
      const auto vote = votes_.find({id, node.raft->term()});
      votes += id == node.id || (vote != votes_.end() && vote->second == node.id);
    }
    if (votes < membership.quorum()) fail("node " + std::to_string(node.id) + " leads with " + std::to_string(votes) + " votes");
  }

  // What is on disk is never older than what was said.
  void check_sent(const Node& node, const Message& m) {
    if (m.kind != MessageKind::kPreVote && m.kind != MessageKind::kPreVoteReply && node.disk.hard_state.term < m.term) fail("a message of a term that is not on disk");
    if (m.kind == MessageKind::kVoteReply && !m.reject) {
      if (node.disk.hard_state.term == m.term && node.disk.hard_state.vote != m.to) fail("a vote that is not on disk");
      const auto [vote, fresh] = votes_.emplace(std::make_pair(node.id, m.term), m.to);
      if (!fresh && vote->second != m.to) fail("two votes in a term");
    }
    if (m.kind == MessageKind::kVote && on_disk(node, m.index) != m.log_term && m.index > node.disk.base) fail("a candidacy with entries that are not on disk");
    if (m.kind == MessageKind::kVote) {
      check_membership(node);
      const auto [vote, fresh] = votes_.emplace(std::make_pair(node.id, m.term), node.id);
      if (!fresh && vote->second != node.id) fail("a vote and a candidacy in one term");
    }
    if (m.kind == MessageKind::kAppendReply && !m.reject && m.index > node.disk.base && on_disk(node, m.index) != node.raft->log().term(m.index)) {
      fail("an acknowledgement of what is not on disk");
    }
  }

  void check() {
    for (auto& [id, node] : nodes_) {
      if (!node.raft) continue;
      const Raft& raft = *node.raft;
      if (raft.commit() < node.commit_seen) fail("a commit index went back");
      node.commit_seen = raft.commit();
      check_commit(node);
      if (raft.role() != Role::kLeader) continue;
      check_matches(node);
      const auto [leader, fresh] = leaders_.emplace(raft.term(), id);
      if (leader->second != id) fail("two leaders in term " + std::to_string(raft.term()));
      if (!fresh) continue;
      ++totals_.elections;
      check_membership(node);
      check_elected(node);
      for (int i = 0; faults_.eager && i < 6; ++i) change(node);
      for (const auto& [index, entry] : committed_) {  // leader completeness
        // One of an older term, elected by votes that took their time, owes nothing to what was committed later.
        if (index <= raft.log().base() || committed_in_[index] >= raft.term()) continue;
        if (index > raft.log().last() || raft.log().at(index).term != entry.term) fail("a leader lacks committed entry " + std::to_string(index));
      }
    }
  }

  static constexpr size_t kMaxUncommitted = 2000;

  std::mt19937_64 random_;
  Faults faults_;
  size_t message_bytes_;
  Totals totals_;
  std::map<NodeId, Node> nodes_;
  std::deque<Message> network_;
  std::vector<Message> attic_;  // messages that come long after
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::map<Index, Entry> committed_;
  std::map<std::pair<Index, Term>, std::pair<std::shared_ptr<const std::string>, Term>> made_;  // the data, the term before it
  std::map<std::pair<NodeId, Term>, std::map<NodeId, std::pair<uint64_t, Index>>> matches_;  // incarnation and match, by peer
  Index committed_somewhere_ = 0;
  std::map<Index, Term> committed_in_;  // the term of who called it committed first
  std::map<Term, NodeId> leaders_;
  std::map<std::pair<NodeId, Term>, NodeId> votes_;
  std::map<ReadId, Index> reads_;
  ReadId last_read_ = 0;
  Index highest_committed_applied_ = 0;
};

}  // namespace runink::raft
