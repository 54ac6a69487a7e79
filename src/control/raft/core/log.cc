#include "control/raft/core/log.h"

#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"

namespace runink::raft {

Log::Log(Index base_index, Term base_term, std::vector<Entry> entries)
    : base_index_(base_index), base_term_(base_term), entries_(entries.begin(), entries.end()) {
  for (size_t i = 0; i < entries_.size(); ++i) RUNINK_CHECK(entries_[i].index == base_index_ + 1 + i);
  persisted_ = last();
  next_to_write_ = last() + 1;
}

std::optional<Term> Log::term(Index index) const {
  if (index == base_index_) return base_term_;
  if (index < base_index_ || index > last()) return std::nullopt;
  return entries_[index - base_index_ - 1].term;
}

const Entry& Log::at(Index index) const {
  RUNINK_CHECK(index > base_index_ && index <= last());
  return entries_[index - base_index_ - 1];
}

void Log::append(Entry entry) {
  RUNINK_CHECK(entry.index == last() + 1 && entry.term >= last_term());
  entries_.push_back(std::move(entry));
}

void Log::truncate_from(Index index) {
  RUNINK_CHECK(index > base_index_);
  while (last() >= index) entries_.pop_back();
  if (!zoo(Zoo::kTruncatedStaysAcknowledged)) persisted_ = std::min(persisted_, last());
  next_to_write_ = std::min(next_to_write_, last() + 1);
}

std::vector<Entry> Log::slice(Index from, Index to, size_t max_bytes) const {
  std::vector<Entry> out;
  size_t bytes = 0;
  for (Index i = std::max(from, first()); i <= std::min(to, last()); ++i) {
    bytes += at(i).bytes();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(at(i));
  }
  return out;
}

Index Log::last_with_term_at_most(Index index, Term term) const {
  index = std::min(index, last());
  while (index > base_index_ && at(index).term > term) --index;
  return std::max(index, base_index_);
}

std::vector<Entry> Log::take_unwritten() {
  std::vector<Entry> out;
  for (; next_to_write_ <= last(); ++next_to_write_) out.push_back(at(next_to_write_));
  return out;
}

void Log::acknowledge(Index index, Term term) {
  if (index > persisted_ && this->term(index) == term) persisted_ = index;
}

void Log::compact(Index through) {
  RUNINK_CHECK(through <= persisted_);
  if (through <= base_index_) return;
  base_term_ = *term(through);
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(through - base_index_));
  base_index_ = through;
}

void Log::reset(Index index, Term term) {
  entries_.clear();
  base_index_ = persisted_ = index;
  base_term_ = term;
  next_to_write_ = index + 1;
}

}  // namespace runink::raft
