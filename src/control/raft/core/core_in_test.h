// One core in a test: its disk does everything at once, what it says is kept until it is looked at.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/raft/core/raft.h"

namespace runink::raft::test {

inline Entry entry(Index index, Term term) {
  return {index, term, EntryKind::kCommand, std::make_shared<const std::string>("x")};
}
inline Entry membership_entry(Index index, Term term, const Membership& membership) {
  return {index, term, EntryKind::kMembership, std::make_shared<const std::string>(encode(membership))};
}

inline const Membership kThree{{1, 2, 3}, {}};

class Core {
 public:
  struct Disk {
    HardState hard_state;
    std::vector<Entry> entries;
    bool whole = true;
    uint64_t incarnation = 1;
    std::optional<LogEnd> lost_end;
  };
  Core(NodeId id, const Membership& membership, const Disk& disk, Options options = {}) {
    options.id = id;
    options.random = [] { return uint64_t{0}; };
    options.may_vote = disk.whole;
    options.lost_end = disk.lost_end;
    options.incarnation = disk.incarnation;
    Recovered recovered;
    recovered.hard_state = disk.hard_state;
    recovered.membership = membership;
    recovered.entries = disk.entries;
    raft = std::make_unique<Raft>(std::move(options), std::move(recovered));
  }

  void settle() {
    while (raft->has_ready()) {
      Ready ready = raft->take_ready();
      if (ready.hard_state) raft->hard_state_persisted(ready.hard_state_version);
      if (!ready.append.empty()) raft->log_persisted(ready.append.back().index, ready.append.back().term);
      if (!ready.committed.empty()) raft->applied(ready.committed.back().index);
      for (Message& message : ready.messages) said.push_back(std::move(message));
      for (const auto& read : ready.reads) reads.push_back(read.id);
      regained = regained || ready.vote_regained;
    }
  }
  void hear(Message message) {
    message.to = raft->id();
    raft->step(message);
    settle();
  }
  void hear(MessageKind kind, NodeId from, Term term, Index index = 0) {
    Message m;
    m.kind = kind;
    m.from = from;
    m.term = term;
    m.index = index;
    m.incarnation = 1;
    hear(m);
  }
  void hear_append(NodeId from, Term term, Index before, Term before_term, std::vector<Entry> entries, Index commit = 0,
                   uint64_t echo = 0, bool own_term_committed = false) {
    Message m;
    m.kind = MessageKind::kAppend;
    m.from = from;
    m.term = term;
    m.index = before;
    m.log_term = before_term;
    m.entries = std::move(entries);
    m.commit = commit;
    m.echo = echo;
    m.own_term_committed = own_term_committed;
    hear(m);
  }
  // Elected by the voters from `from` on, as many as it takes.
  void lead(NodeId from = 2) {
    raft->campaign();
    settle();
    for (const MessageKind kind : {MessageKind::kPreVoteReply, MessageKind::kVoteReply}) {
      const Term term = raft->term() + (kind == MessageKind::kPreVoteReply ? 1 : 0);
      for (NodeId id = from;
           raft->role() == (kind == MessageKind::kPreVoteReply ? Role::kPreCandidate : Role::kCandidate); ++id) {
        ASSERT_LT(id, 10u);
        hear(kind, id, term);
      }
    }
    ASSERT_EQ(raft->role(), Role::kLeader);
  }
  std::vector<Message> take(MessageKind kind) {
    std::vector<Message> out;
    for (const Message& m : said) {
      if (m.kind == kind) out.push_back(m);
    }
    said.clear();
    return out;
  }

  std::unique_ptr<Raft> raft;
  std::vector<Message> said;
  std::vector<ReadId> reads;
  bool regained = false;
};

}  // namespace runink::raft::test
