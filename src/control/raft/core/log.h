// The log as the core sees it: a base (the entry that a snapshot covers last) and the entries behind it, in memory. What is
// durable is known from acknowledgements, which carry index and term: the same pair always means the same entry and the
// same entries before it, so an acknowledgement of entries that have been replaced since cannot be taken for one of the
// entries that stand there now.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "control/raft/core/types.h"

namespace runink::raft {

class Log {
 public:
  // What recovery found, all of it durable. Entries follow the base without a gap.
  Log(Index base_index, Term base_term, std::vector<Entry> entries);

  Index base() const { return base_index_; }
  Index first() const { return base_index_ + 1; }
  Index last() const { return base_index_ + entries_.size(); }
  Term last_term() const { return *term(last()); }
  std::optional<Term> term(Index index) const;  // none before the base and behind the end
  const Entry& at(Index index) const;           // first() … last()

  void append(Entry entry);
  void truncate_from(Index index);  // this one and all behind it
  // At least one entry if there is one; then as many as fit.
  std::vector<Entry> slice(Index from, Index to, size_t max_bytes) const;
  // The largest index at or before `index` whose term is at most `term`; the base's at least.
  Index last_with_term_at_most(Index index, Term term) const;

  // Entries that were not handed out for writing yet.
  bool has_unwritten() const { return next_to_write_ <= last(); }
  std::vector<Entry> take_unwritten();
  Index persisted() const { return persisted_; }
  Term persisted_term() const { return *term(persisted_); }
  void acknowledge(Index index, Term term);

  void compact(Index through);          // must be durable, and covered by a snapshot
  void reset(Index index, Term term);   // to an installed snapshot: no entries

 private:
  Index base_index_;
  Term base_term_;
  std::deque<Entry> entries_;
  Index persisted_;
  Index next_to_write_;
};

}  // namespace runink::raft
