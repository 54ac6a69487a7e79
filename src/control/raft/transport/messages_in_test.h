// Messages for tests of the transport.
#pragma once

#include <memory>
#include <random>
#include <string>

#include "control/raft/core/message.h"

namespace runink::raft {

inline bool same(const Entry& a, const Entry& b) {
  if (a.index != b.index || a.term != b.term || a.kind != b.kind || (a.data == nullptr) != (b.data == nullptr))
    return false;
  return a.data == nullptr || *a.data == *b.data;
}

inline bool same(const Message& a, const Message& b) {
  const bool heads = a.kind == b.kind && a.from == b.from && a.to == b.to && a.term == b.term && a.index == b.index &&
                     a.log_term == b.log_term && a.commit == b.commit && a.reject == b.reject && a.force == b.force &&
                     a.own_term_committed == b.own_term_committed && a.rejoining == b.rejoining &&
                     a.hint_index == b.hint_index && a.hint_term == b.hint_term && a.read_round == b.read_round &&
                     a.incarnation == b.incarnation && a.echo == b.echo && a.membership == b.membership;
  if (!heads || a.entries.size() != b.entries.size()) return false;
  for (size_t i = 0; i < a.entries.size(); ++i) {
    if (!same(a.entries[i], b.entries[i])) return false;
  }
  return true;
}

// Of entries of `bytes` each, behind `index`.
inline Message append_message(NodeId from, NodeId to, Index index, size_t count, size_t bytes) {
  Message m{.kind = MessageKind::kAppend, .from = from, .to = to, .term = 7, .index = index, .log_term = 5};
  for (size_t i = 0; i < count; ++i) {
    m.entries.push_back({index + 1 + i, 6, EntryKind::kCommand, std::make_shared<const std::string>(bytes, 'e')});
  }
  return m;
}

inline Message heartbeat(NodeId from, NodeId to, Index commit) {
  return {.kind = MessageKind::kHeartbeat, .from = from, .to = to, .term = 7, .commit = commit};
}

inline Message random_message(std::mt19937_64& random) {
  const auto number = [&] { return random() >> (random() % 64); };
  Message m{.kind = static_cast<MessageKind>(1 + random() % 10), .from = number() | 1, .to = number() | 1};
  m.log_term = number() >> 3;
  m.term = m.log_term + (number() >> 3);
  for (uint64_t* field : {&m.index, &m.commit, &m.hint_index, &m.hint_term}) *field = number() >> 2;
  for (uint64_t* field : {&m.read_round, &m.incarnation, &m.echo}) *field = number();
  m.reject = random() % 2 != 0;
  m.force = random() % 2 != 0;
  m.own_term_committed = random() % 2 != 0;
  m.rejoining = random() % 2 != 0;
  if (m.kind == MessageKind::kAppend) {
    Term term = m.log_term;
    for (size_t i = 0, count = random() % 20; i < count; ++i) {
      if (random() % 4 == 0) term += random() % (m.term - term + 1);
      Entry entry{m.index + 1 + i, term, static_cast<EntryKind>(random() % 3), nullptr};
      if (random() % 4 != 0)
        entry.data = std::make_shared<const std::string>(random() % 300, static_cast<char>(random()));
      m.entries.push_back(std::move(entry));
    }
  }
  if (m.kind == MessageKind::kSnapshotOffer) m.membership = {{1, 2, 3 + random() % 100}, {1000}};
  return m;
}

}  // namespace runink::raft
