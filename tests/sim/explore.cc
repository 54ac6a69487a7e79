#include "tests/sim/explore.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <tuple>
#include <unordered_map>

#include "base/check.h"
#include "control/raft/core/raft.h"

namespace runink::raft {
namespace {

constexpr size_t kNodes = 3;
constexpr size_t kMaxMessages = 64, kMaxTerms = 8, kMaxLog = 12;

NodeId same(NodeId id) { return id; }
NodeId swapped(NodeId id) { return id == 2 ? 3 : id == 3 ? 2 : id; }

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
uint64_t hash(const std::vector<uint64_t>& words) {
  uint64_t out = words.size();
  for (uint64_t word : words) out = mix(out ^ word) + out * 0x632be59bd9b4e019u;
  return out;
}
struct Hashes {  // of the thing as it is, and with nodes 2 and 3 exchanged
  uint64_t plain = 0, exchanged = 0;
};

struct Disk {
  HardState hard_state;
  std::vector<Entry> entries;
};
struct Write {  // either of them
  std::optional<HardState> hard_state;
  uint64_t version = 0;
  std::vector<Entry> entries;
};

// One node with its disk. Never changed once it is in the table.
struct Local {
  Raft raft;
  Disk disk;
  std::vector<Write> queue;
  bool stalled = false;
  bool whole = true;  // the disk holds all that was acknowledged
  std::optional<LogEnd> lost_end;
  uint64_t incarnation = 1;
  // Of the above, for the checks:
  Hashes hashes;
  std::vector<uint16_t> log, durable;  // numbers of entries
};

struct Claim {
  NodeId voter;
  Term term;
  NodeId candidate;
};
// What becomes of a node by one step, which is the same wherever the rest of the group stands.
struct LocalStep {
  uint32_t next = 0;
  std::vector<uint16_t> sent;
  std::vector<Claim> votes;
  std::vector<std::pair<ReadId, Index>> reads;
  std::string fault;
};

enum class What : uint8_t {
  kDeliver,
  kDeliverAndKeep,
  kElect,
  kPropose,
  kHeartbeat,
  kStall,
  kFinish,
  kCrash,
  kRead,
  kLose
};
struct Action {
  What what;
  uint8_t node;
  uint16_t argument = 0;  // message, number of the proposal, writes or entries that survive
};

struct State {
  std::array<uint32_t, kNodes> nodes{};
  std::array<uint8_t, 8> left{};  // what the scope still allows, see Left
  uint8_t committed_count = 0, message_count = 0;
  std::array<uint8_t, 8> read_floors{};  // by read: how much was committed when it was asked for
  std::array<uint8_t, kMaxTerms> leaders{};
  std::array<std::array<uint8_t, kMaxTerms>, kNodes> votes{};
  std::array<uint16_t, kMaxLog> committed{};
  std::array<uint8_t, kMaxLog> committed_in{};    // the term of who called it so first
  std::array<uint16_t, kMaxMessages> messages{};  // ascending
};
enum Left { kElections, kProposals, kCrashes, kDuplicates, kStalls, kHeartbeats, kReads, kLosses };

class SeenSet {
 public:
  SeenSet() : slots_(1 << 20) {}
  bool insert(uint64_t key) {
    if (key == 0) key = 1;
    if (count_ * 10 > slots_.size() * 7) grow();
    return put(key);
  }
  uint64_t size() const { return count_; }

 private:
  bool put(uint64_t key) {
    for (size_t at = key & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == key) return false;
      if (slots_[at] != 0) continue;
      slots_[at] = key;
      ++count_;
      return true;
    }
  }
  void grow() {
    std::vector<uint64_t> old(slots_.size() * 2);
    old.swap(slots_);
    count_ = 0;
    for (uint64_t key : old) {
      if (key != 0) put(key);
    }
  }
  std::vector<uint64_t> slots_;
  uint64_t count_ = 0;
};

class Explorer {
 public:
  explicit Explorer(const Scope& scope) : scope_(scope) {}

  Exploration run() {
    push(first_state(), Action{What::kStall, 0, 0xffff});
    while (!frames_.empty() && result_.fault.empty() && seen_.size() < scope_.max_states) {
      Frame& top = frames_.back();
      if (top.next == top.actions.size()) {
        frames_.pop_back();
        continue;
      }
      take(top.actions[top.next++]);
    }
    result_.closed = frames_.empty();
    result_.states = seen_.size();
    result_.local_states = locals_.size();
    result_.messages = messages_.size();
    return result_;
  }

 private:
  struct Frame {
    State state;
    std::vector<Action> actions;
    size_t next = 0;
    Action taken;  // the one that led here
  };
  struct Known {
    Message message;
    Hashes hashes;
  };

  // ---- tables of what there is

  Options options_of(NodeId id, uint64_t incarnation, bool whole, std::optional<LogEnd> lost_end) {
    Options options;
    options.id = id;
    options.election_ticks = 1 << 20;  // no clock: time-outs are steps
    options.random = [] { return uint64_t{0}; };
    options.incarnation = incarnation;
    options.may_vote = whole;
    options.lost_end = lost_end;
    if (scope_.one_by_one) options.max_message_bytes = 1;
    return options;
  }
  Raft start(NodeId id, const Disk& disk, uint64_t incarnation, bool whole, std::optional<LogEnd> lost_end = {}) {
    Recovered recovered;
    recovered.hard_state = disk.hard_state;
    recovered.membership = {{1, 2, 3}, {}};
    recovered.entries = disk.entries;
    return Raft(options_of(id, incarnation, whole, lost_end), std::move(recovered));
  }

  State first_state() {
    State state;
    for (NodeId id = 1; id <= kNodes; ++id) state.nodes[id - 1] = keep(Local{start(id, {}, 1, true), {}, {}});
    state.left = {static_cast<uint8_t>(scope_.elections), static_cast<uint8_t>(scope_.proposals),
                  static_cast<uint8_t>(scope_.crashes),   static_cast<uint8_t>(scope_.duplicates),
                  static_cast<uint8_t>(scope_.stalls),    static_cast<uint8_t>(scope_.heartbeats),
                  static_cast<uint8_t>(scope_.reads),     static_cast<uint8_t>(scope_.losses)};
    return state;
  }

  uint16_t number_of(const Entry& entry) {
    const std::string key = std::to_string(entry.term) + "/" + std::to_string(static_cast<int>(entry.kind)) + "/" +
                            (entry.data ? *entry.data : "");
    const auto [found, fresh] = entry_numbers_.emplace(key, static_cast<uint16_t>(entry_terms_.size()));
    if (fresh) entry_terms_.push_back(entry.term);
    return found->second;
  }

  uint32_t keep(Local local) {
    Hashes hashes;
    for (const bool exchanged : {false, true}) {
      NodeId (*rename)(NodeId) = exchanged ? swapped : same;
      std::vector<uint64_t> words;
      local.raft.fingerprint(rename, &words);
      words.push_back(static_cast<uint64_t>(local.stalled) | static_cast<uint64_t>(local.whole) << 1);
      words.push_back(local.incarnation);
      words.push_back(local.disk.hard_state.term << 40 | rename(local.disk.hard_state.vote) << 20 |
                      local.disk.hard_state.commit);
      for (const Entry& entry : local.disk.entries) words.push_back(number_of(entry));
      for (const Write& write : local.queue) {
        words.push_back(~uint64_t{0});
        if (write.hard_state)
          words.push_back(write.hard_state->term << 40 | rename(write.hard_state->vote) << 20 |
                          write.hard_state->commit);
        for (const Entry& entry : write.entries) words.push_back(entry.index << 32 | number_of(entry));
      }
      (exchanged ? hashes.exchanged : hashes.plain) = hash(words);
    }
    const auto [found, fresh] = local_numbers_.emplace(hashes.plain, static_cast<uint32_t>(locals_.size()));
    if (!fresh) return found->second;
    local.hashes = hashes;
    for (Index i = 1; i <= local.raft.log().last(); ++i) local.log.push_back(number_of(local.raft.log().at(i)));
    for (const Entry& entry : local.disk.entries) local.durable.push_back(number_of(entry));
    RUNINK_CHECK(local.log.size() < kMaxLog && local.raft.term() < kMaxTerms);
    locals_.push_back(std::make_unique<const Local>(std::move(local)));
    return found->second;
  }

  uint16_t keep(const Message& message) {
    Hashes hashes;
    std::vector<uint64_t> words;
    fingerprint(message, same, &words);
    hashes.plain = hash(words);
    words.clear();
    fingerprint(message, swapped, &words);
    hashes.exchanged = hash(words);
    const auto [found, fresh] = message_numbers_.emplace(hashes.plain, static_cast<uint16_t>(messages_.size()));
    if (fresh) messages_.push_back({message, hashes});
    RUNINK_CHECK(messages_.size() < 0xffff);
    return found->second;
  }

  const Local& local(const State& state, size_t node) const { return *locals_[state.nodes[node]]; }

  // ---- one node's step

  const LocalStep& local_step(uint32_t from, const Action& action) {
    const uint64_t key = static_cast<uint64_t>(from) << 24 |
                         static_cast<uint64_t>(action.what == What::kDeliverAndKeep ? What::kDeliver : action.what)
                             << 16 |
                         action.argument;
    const auto known = steps_.find(key);
    if (known != steps_.end()) return *known->second;
    auto step = std::make_unique<LocalStep>();
    Local node = *locals_[from];
    node.log.clear();
    node.durable.clear();
    act(action, node, *step);
    if (action.what != What::kCrash && action.what != What::kLose) check_progress(*locals_[from], node, *step);
    step->next = keep(std::move(node));
    return *steps_.emplace(key, std::move(step)).first->second;
  }

  void act(const Action& action, Local& node, LocalStep& step) {
    switch (action.what) {
      case What::kDeliver:
      case What::kDeliverAndKeep:
        node.raft.step(messages_[action.argument].message);
        break;
      case What::kElect:
        elect(node);
        break;
      case What::kPropose:
        (void)node.raft.propose(std::make_shared<const std::string>(1, static_cast<char>('a' + action.argument)));
        break;
      case What::kHeartbeat:
        node.raft.tick();
        break;
      case What::kRead:
        node.raft.read_index(action.argument);
        break;
      case What::kStall:
        node.stalled = true;
        return;
      case What::kFinish:
        write_one(node);
        break;
      case What::kCrash:
        for (size_t i = 0; i < action.argument; ++i) to_disk(node.disk, node.queue[i]);
        node.queue.clear();
        node.stalled = false;
        ++node.incarnation;
        node.raft = start(node.raft.id(), node.disk, node.incarnation, node.whole, node.lost_end);
        break;
      case What::kLose:
        if (scope_.known_ends) {
          const Entry& last = node.disk.entries.back();
          node.lost_end = std::max(node.lost_end.value_or(LogEnd{}), LogEnd{last.term, last.index});
        }
        node.disk.entries.resize(action.argument);
        node.disk.hard_state.commit = 0;  // as the journal does
        node.queue.clear();
        node.stalled = node.whole = false;
        ++node.incarnation;
        node.raft = start(node.raft.id(), node.disk, node.incarnation, false, node.lost_end);
        break;
    }
    settle(node, step);
  }

  // The time-out fires, and a majority has said that it would vote.
  static void elect(Local& node) {
    node.raft.campaign();
    if (node.raft.role() != Role::kPreCandidate) return;
    Message yes;
    yes.kind = MessageKind::kPreVoteReply;
    yes.from = node.raft.id() % kNodes + 1;
    yes.to = node.raft.id();
    yes.term = node.raft.term() + 1;
    node.raft.step(yes);
  }

  void settle(Local& node, LocalStep& step) {
    while (node.raft.has_ready()) {
      Ready ready = node.raft.take_ready();
      if (ready.hard_state) node.queue.push_back({ready.hard_state, ready.hard_state_version, {}});
      if (!ready.append.empty()) node.queue.push_back({std::nullopt, 0, std::move(ready.append)});
      for (Message& m : ready.messages) {
        check_sent(node, m, step);
        if (m.kind == MessageKind::kVote) m.force = true;
        step.sent.push_back(keep(m));
      }
      for (const Entry& entry : ready.committed) {
        if (on_disk(node, entry.index) != entry.term) step.fault = "an entry was applied that is not on disk";
        node.raft.applied(entry.index);
      }
      if (ready.vote_regained) {
        node.whole = true;
        node.lost_end.reset();
      }
      for (const auto& read : ready.reads) step.reads.emplace_back(read.id, read.index);
      while (!node.stalled && !node.queue.empty()) write_one(node);
    }
    if (node.queue.empty()) node.stalled = false;
  }

  static void to_disk(Disk& disk, const Write& write) {
    if (write.hard_state) disk.hard_state = *write.hard_state;
    for (const Entry& entry : write.entries) {
      disk.entries.resize(std::min<size_t>(disk.entries.size(), entry.index - 1));
      disk.entries.push_back(entry);
    }
  }
  static void write_one(Local& node) {
    const Write write = std::move(node.queue.front());
    node.queue.erase(node.queue.begin());
    to_disk(node.disk, write);
    if (write.hard_state) {
      node.raft.hard_state_persisted(write.version);
    } else {
      node.raft.log_persisted(write.entries.back().index, write.entries.back().term);
    }
  }

  static Term on_disk(const Local& node, Index index) {
    return index == 0 ? 0 : index > node.disk.entries.size() ? ~Term{0} : node.disk.entries[index - 1].term;
  }

  // Nothing is said that rests on what is not on disk.
  static void check_sent(const Local& node, const Message& m, LocalStep& step) {
    if (m.kind == MessageKind::kPreVote || m.kind == MessageKind::kPreVoteReply) return;
    if (node.disk.hard_state.term < m.term) step.fault = "a message of a term that is not on disk";
    if (m.kind == MessageKind::kVote) {
      step.votes.push_back({node.raft.id(), m.term, node.raft.id()});
      if (on_disk(node, m.index) != m.log_term) step.fault = "a candidacy with entries that are not on disk";
    }
    if (m.kind == MessageKind::kVoteReply && !m.reject) {
      step.votes.push_back({node.raft.id(), m.term, m.to});
      if (node.disk.hard_state.term == m.term && node.disk.hard_state.vote != m.to)
        step.fault = "a vote that is not on disk";
    }
    if (m.kind == MessageKind::kAppendReply && !m.reject && on_disk(node, m.index) != node.raft.log().term(m.index)) {
      step.fault = "an acknowledgement of what is not on disk";
    }
  }

  static void check_progress(const Local& before, const Local& after, LocalStep& step) {
    if (after.raft.commit() < before.raft.commit()) step.fault = "a commit index went back";
    if (after.raft.term() < before.raft.term()) step.fault = "a term went back";
    if (before.raft.role() != Role::kLeader || after.raft.role() != Role::kLeader ||
        before.raft.term() != after.raft.term())
      return;
    for (const auto& [id, peer] : after.raft.peers()) {
      const auto& was = before.raft.peers().at(id);
      if (was.incarnation == peer.incarnation && peer.match < was.match)
        step.fault = "what a peer is known to hold went back";
    }
  }

  // ---- the group's step

  void take(const Action& action) {
    ++result_.steps;
    State state = frames_.back().state;
    const uint32_t before = state.nodes[action.node];
    const LocalStep& step = local_step(before, action);
    // What changes nothing and stays possible leads nowhere new.
    if (action.what == What::kDeliver && step.next == before && step.sent.empty() && step.fault.empty()) return;
    pay(state, action);
    state.nodes[action.node] = step.next;
    if (action.what == What::kDeliver) remove(state, action.argument);
    for (uint16_t m : step.sent) add(state, m);
    std::string fault = step.fault;
    for (const Claim& vote : step.votes) {
      uint8_t& whom = state.votes[vote.voter - 1][vote.term];
      if (whom != 0 && whom != vote.candidate) fault = "two votes in a term";
      whom = static_cast<uint8_t>(vote.candidate);
    }
    for (const auto& [read, index] : step.reads) {
      if (index < state.read_floors[read]) fault = "a read does not see what was committed before it began";
    }
    if (fault.empty()) fault = check(state, action.node, *locals_[before]);
    if (!fault.empty()) {
      result_.fault = fault;
      for (size_t i = 1; i < frames_.size(); ++i) result_.path.push_back(describe(frames_[i].taken));
      result_.path.push_back(describe(action));
      return;
    }
    if (scope_.forget_stale) forget_stale(state);
    push(state, action);
  }

  void pay(State& state, const Action& action) {
    switch (action.what) {
      case What::kDeliver:
      case What::kFinish:
        break;
      case What::kDeliverAndKeep:
        --state.left[kDuplicates];
        break;
      case What::kElect:
        --state.left[kElections];
        break;
      case What::kPropose:
        --state.left[kProposals];
        break;
      case What::kHeartbeat:
        --state.left[kHeartbeats];
        break;
      case What::kStall:
        --state.left[kStalls];
        break;
      case What::kCrash:
        --state.left[kCrashes];
        break;
      case What::kLose:
        --state.left[kLosses];
        break;
      case What::kRead:
        --state.left[kReads];
        state.read_floors[action.argument] = state.committed_count;
        break;
    }
  }

  static void remove(State& state, uint16_t message) {
    const auto end = state.messages.begin() + state.message_count;
    const auto at = std::find(state.messages.begin(), end, message);
    std::copy(at + 1, end, at);
    --state.message_count;
  }
  void add(State& state, uint16_t message) const {
    const auto end = state.messages.begin() + state.message_count;
    const auto at = std::lower_bound(state.messages.begin(), end, message);
    if (at != end && *at == message) return;
    if (scope_.channel > 0) {
      const Message& m = messages_[message].message;
      int count = 0;
      uint16_t oldest = 0;
      for (size_t i = 0; i < state.message_count; ++i) {
        const Message& other = messages_[state.messages[i]].message;
        if (other.from != m.from || other.to != m.to) continue;
        if (count++ == 0 || older(other, messages_[oldest].message)) oldest = state.messages[i];
      }
      if (count >= scope_.channel) {
        remove(state, oldest);
        return add(state, message);
      }
    }
    RUNINK_CHECK(state.message_count < kMaxMessages);
    std::copy_backward(at, end, end + 1);
    *at = message;
    ++state.message_count;
  }

  // Which of two messages of a channel goes first when there is no room, the same way whatever the order of discovery.
  static bool older(const Message& a, const Message& b) {
    return std::tuple(a.term, a.entries.empty() ? 0 : 1, a.index, a.commit, static_cast<int>(a.kind)) <
           std::tuple(b.term, b.entries.empty() ? 0 : 1, b.index, b.commit, static_cast<int>(b.kind));
  }

  // Messages that nobody will heed, whatever comes: of a term that their receiver's disk is past, votes for who is no
  // candidate of that term any more, acknowledgements to who does not lead it or knows already.
  void forget_stale(State& state) const {
    const auto stale = [&](uint16_t number) {
      const Message& m = messages_[number].message;
      const Local& to = local(state, m.to - 1);
      if (m.term < to.disk.hard_state.term) return true;
      if (m.term > to.raft.term()) return false;
      if (m.kind == MessageKind::kVoteReply) return to.raft.role() != Role::kCandidate || to.raft.term() != m.term;
      if (m.kind != MessageKind::kAppendReply && m.kind != MessageKind::kHeartbeatReply) return false;
      if (to.raft.role() != Role::kLeader) return true;
      const Progress& peer = to.raft.peers().at(m.from);
      return m.kind == MessageKind::kAppendReply && !m.reject && m.index <= peer.match &&
             m.incarnation <= peer.incarnation && peer.state == Progress::State::kReplicate &&
             m.read_round <= peer.read_round;
    };
    const auto end = state.messages.begin() + state.message_count;
    state.message_count =
        static_cast<uint8_t>(std::remove_if(state.messages.begin(), end, stale) - state.messages.begin());
  }

  std::string check(State& state, size_t node, const Local& before) {
    const Local& now = local(state, node);
    const Raft& raft = now.raft;
    if (raft.role() == Role::kLeader) {
      uint8_t& leader = state.leaders[raft.term()];
      if (leader != 0 && leader != node + 1) return "two leaders in a term";
      leader = static_cast<uint8_t>(node + 1);
      if (before.raft.role() != Role::kLeader || before.raft.term() != raft.term()) {
        size_t votes = 0;
        for (const auto& of_node : state.votes) votes += of_node[raft.term()] == node + 1;
        if (votes < 2) return "a leader that no majority voted for";
        for (size_t i = 0; i < state.committed_count; ++i) {
          // One of an older term, elected by votes that took their time, owes nothing to what was committed later.
          if (state.committed_in[i] >= raft.term()) continue;
          if (i >= now.log.size() || now.log[i] != state.committed[i]) return "a leader lacks a committed entry";
        }
      }
    }
    for (size_t i = 0; i < raft.commit(); ++i) {
      if (i < state.committed_count) {
        if (now.log[i] != state.committed[i]) return "two entries were committed at one index";
        continue;
      }
      size_t holders = 0;
      for (size_t n = 0; n < kNodes; ++n)
        // Who lost entries had it perhaps, and has no vote to elect anybody without it.
        holders +=
            !local(state, n).whole || (local(state, n).durable.size() > i && local(state, n).durable[i] == now.log[i]);
      if (holders < 2) return "an entry was called committed that is not on two disks";
      state.committed_in[state.committed_count] = static_cast<uint8_t>(raft.term());
      state.committed[state.committed_count++] = now.log[i];
    }
    for (size_t other = 0; other < kNodes; ++other) {
      if (other != node && !match(now.log, local(state, other).log)) return "logs do not match";
    }
    return {};
  }

  // Log matching: the same term at an index means the same entries up to there.
  bool match(const std::vector<uint16_t>& a, const std::vector<uint16_t>& b) const {
    bool same_behind = false;
    for (size_t i = std::min(a.size(), b.size()); i > 0; --i) {
      if (entry_terms_[a[i - 1]] == entry_terms_[b[i - 1]]) {
        if (a[i - 1] != b[i - 1]) return false;
        same_behind = true;
      } else if (same_behind) {
        return false;
      }
    }
    return true;
  }

  // ---- the search

  void push(State state, const Action& taken) {
    if (!seen_.insert(key_of(state))) return;
    Frame frame{state, actions_of(state), 0, taken};
    frames_.push_back(std::move(frame));
    result_.depth = std::max(result_.depth, frames_.size());
  }

  uint64_t key_of(const State& state) const {
    uint64_t plain = 0, exchanged = 0;
    for (size_t i = 0; i < state.message_count; ++i) {
      plain += messages_[state.messages[i]].hashes.plain;
      exchanged += messages_[state.messages[i]].hashes.exchanged;
    }
    std::vector<uint64_t>& words = scratch_;
    words.clear();
    uint64_t packed = 0;
    for (uint8_t left : state.left) packed = packed * 16 + left;
    words.push_back(packed);
    packed = 0;
    for (uint8_t floor : state.read_floors) packed = packed << 8 | floor;
    words.push_back(packed);
    for (size_t i = 0; i < state.committed_count; ++i)
      words.push_back(static_cast<uint64_t>(state.committed_in[i]) << 16 | state.committed[i]);
    const uint64_t shared = hash(words);
    for (const bool other : {false, true}) {
      NodeId (*rename)(NodeId) = other ? swapped : same;
      uint64_t out = mix(shared ^ (other ? exchanged : plain));
      for (NodeId id = 1; id <= kNodes; ++id) {
        const Local& node = local(state, rename(id) - 1);
        out = mix(out ^ (other ? node.hashes.exchanged : node.hashes.plain));
        uint64_t votes = 0;
        for (uint8_t vote : state.votes[rename(id) - 1]) votes = votes * 4 + rename(vote);
        out = mix(out ^ votes);
      }
      uint64_t leaders = 0;
      for (uint8_t leader : state.leaders) leaders = leaders * 4 + rename(leader);
      (other ? exchanged : plain) = mix(out ^ leaders);
    }
    return std::min(plain, exchanged);
  }

  std::vector<Action> actions_of(const State& state) const {
    std::vector<Action> out;
    for (size_t i = 0; i < state.message_count; ++i) {
      const uint16_t m = state.messages[i];
      const auto to = static_cast<uint8_t>(messages_[m].message.to - 1);
      out.push_back({What::kDeliver, to, m});
      if (state.left[kDuplicates] > 0) out.push_back({What::kDeliverAndKeep, to, m});
    }
    for (uint8_t n = 0; n < kNodes; ++n) {
      const Local& node = local(state, n);
      const bool leads = node.raft.role() == Role::kLeader;
      const bool begun = state.left[kElections] < scope_.elections;
      if (state.left[kElections] > 0 && !leads && (begun || n == 0)) out.push_back({What::kElect, n});
      if (state.left[kProposals] > 0 && leads)
        out.push_back({What::kPropose, n, static_cast<uint16_t>(scope_.proposals - state.left[kProposals])});
      if (state.left[kHeartbeats] > 0 && leads) out.push_back({What::kHeartbeat, n});
      if (state.left[kReads] > 0 && leads)
        out.push_back({What::kRead, n, static_cast<uint16_t>(scope_.reads - state.left[kReads])});
      if (state.left[kStalls] > 0 && !node.stalled) out.push_back({What::kStall, n});
      if (!node.queue.empty()) out.push_back({What::kFinish, n});
      if (state.left[kCrashes] > 0 && begun) {
        for (uint16_t survive = 0; survive <= node.queue.size(); ++survive) out.push_back({What::kCrash, n, survive});
      }
      bool all_whole = true;  // one at a time, where their ends are not known
      for (size_t other = 0; other < kNodes; ++other)
        all_whole = all_whole && (local(state, other).whole || scope_.known_ends);
      if (state.left[kLosses] > 0 && all_whole) {
        for (uint16_t keep = 0; keep < node.disk.entries.size(); ++keep) out.push_back({What::kLose, n, keep});
      }
    }
    return out;
  }

  std::string describe(const Action& action) const {
    const std::string node = "node " + std::to_string(action.node + 1);
    switch (action.what) {
      case What::kDeliver:
        return node + " gets " + describe(messages_[action.argument].message);
      case What::kDeliverAndKeep:
        return node + " gets, not for the last time, " + describe(messages_[action.argument].message);
      case What::kElect:
        return node + " campaigns";
      case What::kPropose:
        return node + " gets the proposal " + std::string(1, static_cast<char>('a' + action.argument));
      case What::kHeartbeat:
        return node + " sends heartbeats";
      case What::kStall:
        return node + "'s disk stalls";
      case What::kFinish:
        return node + "'s disk gets one write done";
      case What::kCrash:
        return node + " stops, " + std::to_string(action.argument) +
               " of its unfinished writes survive, and starts again";
      case What::kRead:
        return node + " is asked for a read";
      case What::kLose:
        return node + " stops, its disk keeps " + std::to_string(action.argument) +
               " entries, and it starts without a vote";
    }
    return node;
  }
  static std::string describe(const Message& m) {
    static constexpr const char* kNames[] = {
        "?",           "PreVote",   "PreVoteReply",   "Vote",          "VoteReply", "Append",
        "AppendReply", "Heartbeat", "HeartbeatReply", "SnapshotOffer", "TimeoutNow"};
    std::string out = std::string(kNames[static_cast<size_t>(m.kind)]) + " from " + std::to_string(m.from) +
                      " of term " + std::to_string(m.term);
    if (m.kind == MessageKind::kVote || m.kind == MessageKind::kAppend || m.kind == MessageKind::kAppendReply) {
      out += ", index " + std::to_string(m.index) + " of term " + std::to_string(m.log_term);
    }
    if (m.kind == MessageKind::kAppend || m.kind == MessageKind::kHeartbeat)
      out += ", commit " + std::to_string(m.commit);
    for (const Entry& entry : m.entries)
      out += ", entry " + std::to_string(entry.index) + " of term " + std::to_string(entry.term);
    return out + (m.reject ? ", refused" : "");
  }

  Scope scope_;
  Exploration result_;
  std::vector<std::unique_ptr<const Local>> locals_;
  std::unordered_map<uint64_t, uint32_t> local_numbers_;
  std::vector<Known> messages_;
  std::unordered_map<uint64_t, uint16_t> message_numbers_;
  std::unordered_map<std::string, uint16_t> entry_numbers_;
  std::vector<Term> entry_terms_;
  std::unordered_map<uint64_t, std::unique_ptr<LocalStep>> steps_;
  SeenSet seen_;
  std::vector<Frame> frames_;
  mutable std::vector<uint64_t> scratch_;
};

}  // namespace

Exploration explore(const Scope& scope) { return Explorer(scope).run(); }

}  // namespace runink::raft
