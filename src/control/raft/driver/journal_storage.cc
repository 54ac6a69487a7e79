#include "control/raft/driver/journal_storage.h"

#include <algorithm>

#include "base/zoo.h"

namespace runink::raft {

Status create_member_storage(journal::Disk& disk, const journal::Identity& identity, const journal::Options& options,
                             const Membership& founders) {
  if (RUNINK_TRY(journal::Journal::exists(disk))) {
    return already_exists("there is a member's journal already").with_hint("a new member needs an empty folder");
  }
  // First the base: a journal without one is refused, a base without a journal is made anew.
  RUNINK_RETURN_IF_ERROR(write_log_base(disk, LogBase{0, 0, founders}));
  return journal::Journal::create(disk, identity, options);
}

Status abandon_log(journal::Disk& disk, const journal::Identity& identity, const journal::Options& options,
                   std::string_view why) {
  LogBase base = RUNINK_TRY(read_log_base(disk));
  // First of all: whatever a crash leaves of the rest, it is a member without a vote.
  RUNINK_RETURN_IF_ERROR(journal::Journal::mark_lost(disk, why));
  journal::Recovered opened;
  std::unique_ptr<journal::Journal> journal = RUNINK_TRY(journal::Journal::open(disk, identity, options, &opened));
  // Who was in the cluster last, as far as this member knows: entries from the first one on may not say.
  for (const Entry& entry : opened.entries) {
    if (entry.kind != EntryKind::kMembership || entry.index <= base.index || !entry.data) continue;
    if (auto membership = decode_membership(*entry.data); membership.ok()) base.membership = std::move(*membership);
  }
  opened.hard_state.commit = 0;
  RUNINK_RETURN_IF_ERROR(journal->save_hard_state(opened.hard_state));
  RUNINK_RETURN_IF_ERROR(write_log_base(disk, LogBase{0, 0, std::move(base.membership)}));
  return journal->reset(1);
}

namespace {

// The entries behind the base, or nothing where they do not continue it.
std::vector<Entry> entries_behind(std::vector<Entry> entries, Index base) {
  if (entries.empty() || entries.front().index > base + 1 || entries.back().index <= base) return {};
  entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(base + 1 - entries.front().index));
  return entries;
}

}  // namespace

Result<std::unique_ptr<JournalStorage>> JournalStorage::open(journal::Disk& disk, const journal::Identity& identity,
                                                             const journal::Options& options,
                                                             const AppliedState& applied, Recovered* recovered,
                                                             journal::Recovered* opened) {
  LogBase base = RUNINK_TRY(read_log_base(disk));
  std::unique_ptr<journal::Journal> journal = RUNINK_TRY(journal::Journal::open(disk, identity, options, opened));
  const bool continues = opened->first_index <= base.index + 1;
  std::vector<Entry> entries = entries_behind(std::move(opened->entries), base.index);
  opened->entries = {};
  const Index last = base.index + entries.size();

  if (applied.index < base.index) {
    return data_loss("the state ends at entry {}, but the log begins behind entry {}", applied.index, base.index)
        .with_hint(
            "the state was lost or replaced: remove this member from the cluster and add it again with an empty "
            "folder");
  }
  const auto term_at = [&](Index index) {
    return index == base.index ? base.term : entries[index - base.index - 1].term;
  };
  if (applied.index > last || (!opened->whole && term_at(applied.index) != applied.term)) {
    // A crash between taking over a snapshot and cutting the log, or a log that lost its end: the state counts.
    base =
        LogBase{applied.index, applied.term, applied.membership.voters.empty() ? base.membership : applied.membership};
    entries.clear();
    RUNINK_RETURN_IF_ERROR(write_log_base(disk, base));
    RUNINK_RETURN_IF_ERROR(journal->reset(base.index + 1));
  } else if (!continues || journal->last_index() < base.index) {
    // Once more: what was read may be in the kernel's cache only, after a sync of its folder that failed. A power cut
    // would put the base before it back, which the log does not reach any more then.
    RUNINK_RETURN_IF_ERROR(write_log_base(disk, base));
    RUNINK_RETURN_IF_ERROR(journal->reset(base.index + 1));
  }
  const Term term = term_at(applied.index);
  if (term != applied.term) {
    return data_loss("entry {} is of term {} in the log, but of term {} in the state", applied.index, term,
                     applied.term)
        .with_hint(
            "log and state are not of one member: remove it from the cluster and add it again with an empty folder");
  }
  recovered->hard_state = opened->hard_state;
  // A state that came from elsewhere (a restored backup) may be of a later term than any in which this member took
  // part: it has voted for nobody there.
  const Term newest = entries.empty() ? base.term : entries.back().term;
  if (recovered->hard_state.term < newest) recovered->hard_state = {newest, 0, recovered->hard_state.commit};
  recovered->snapshot_index = base.index;
  recovered->snapshot_term = base.term;
  recovered->membership = std::move(base.membership);
  recovered->entries = std::move(entries);
  recovered->applied = applied.index;
  return std::unique_ptr<JournalStorage>(new JournalStorage(disk, std::move(journal)));
}

Status JournalStorage::flush() {
  if (hard_state_) RUNINK_RETURN_IF_ERROR(journal_->save_hard_state(*hard_state_));
  hard_state_.reset();
  Status status;
  if (!append_.empty()) status = journal_->append(append_);
  append_.clear();
  return zoo(Zoo::kGoesOnAfterFailedWrite) ? Status() : status;
}

Status JournalStorage::perform(std::span<StorageWork> works) {
  for (StorageWork& work : works) {
    // A vote must not become durable after entries that depend on its term, nor the other way round.
    if (work.hard_state) {
      if (!append_.empty()) RUNINK_RETURN_IF_ERROR(flush());
      hard_state_ = work.hard_state;
    }
    if (!work.append.empty()) {
      // What is replaced before it was ever written need not be written.
      if (!append_.empty() && work.append.front().index <= append_.back().index) {
        const Index first = append_.front().index, from = std::max(first, work.append.front().index);
        append_.resize(from - first);
      }
      if (append_.empty()) {
        append_ = std::move(work.append);
      } else {
        append_.insert(append_.end(), std::make_move_iterator(work.append.begin()),
                       std::make_move_iterator(work.append.end()));
      }
    }
    if (work.compact || work.reset || work.whole) RUNINK_RETURN_IF_ERROR(flush());
    if (work.compact) {
      const Status written = write_log_base(disk_, *work.compact);
      // On a full disk the entries stay: nothing depends on their going.
      if (!written.ok() && written.code() != Code::kResourceExhausted) return written;
      if (written.ok()) RUNINK_RETURN_IF_ERROR(journal_->compact(work.compact->index));
    }
    if (work.reset) {
      RUNINK_RETURN_IF_ERROR(write_log_base(disk_, *work.reset));
      RUNINK_RETURN_IF_ERROR(journal_->reset(work.reset->index + 1));
    }
    if (work.whole) RUNINK_RETURN_IF_ERROR(journal_->whole());
  }
  return flush();
}

Result<bool> JournalStorage::reserve() {
  const Status status = journal_->reserve();
  if (status.ok()) return true;
  if (status.kind() == journal::kFullKind) return false;
  return status;
}

}  // namespace runink::raft
