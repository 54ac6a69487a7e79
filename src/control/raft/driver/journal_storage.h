// Storage work carried out on a journal, at once, in the calling thread. Both the real storage (on its thread) and the
// simulated one are this, with a queue before it.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "control/journal/journal.h"
#include "control/raft/core/raft.h"
#include "control/raft/driver/storage.h"

namespace runink::raft {

// A new member's folder: a journal, and a base that names who founds the cluster (nobody, for one that will be added).
// kAlreadyExists: there is a journal.
Status create_member_storage(journal::Disk& disk, const journal::Identity& identity, const journal::Options& options,
                             const Membership& founders);

// For a member of which neither state nor log is to be trusted: it holds nothing from now on, keeps term and vote, and
// takes part without a vote until it holds again what the leader had committed (as one that lost its log). May be
// repeated after a crash. Nobody else may have the journal open.
Status abandon_log(journal::Disk& disk, const journal::Identity& identity, const journal::Options& options,
                   std::string_view why);

// The last entry that the state machine's own storage holds, durably: where the log ends before it, the log is begun
// anew behind it, and an older state would then be of no use.
struct AppliedState {
  Index index = 0;
  Term term = 0;
  Membership membership;  // as of that entry; without voters: as the log's base says
};

class JournalStorage {
 public:
  static constexpr uint64_t kReserveBytes = 64 << 10;  // a batch of one small entry takes a block of 4 KiB
  // Errors as Journal::open; and kDataLoss where log and state do not fit: the state has an entry of another term than
  // the log, or the log begins behind the end of the state. `recovered` is what the core starts with; `opened` what the
  // journal says. The disk must outlive this.
  static Result<std::unique_ptr<JournalStorage>> open(journal::Disk& disk, const journal::Identity& identity,
                                                      const journal::Options& options, const AppliedState& applied,
                                                      Recovered* recovered, journal::Recovered* opened);

  // All of it in order, with as few syncs as that allows: consecutive appends become one. Does not call `done`.
  // After an error, nothing may be asked again.
  Status perform(std::span<StorageWork> works);
  // Tries to have a further segment reserved. False: no space. An error is the end.
  Result<bool> reserve();
  // Some small entries still fit into what is reserved.
  bool has_reserve() const { return journal_->room() >= kReserveBytes; }
  // To be called when nothing is to be done: writes down what is there.
  Status rest() { return journal_->rest(); }

  const journal::Journal& journal() const { return *journal_; }

 private:
  JournalStorage(journal::Disk& disk, std::unique_ptr<journal::Journal> journal)
      : disk_(disk), journal_(std::move(journal)) {}
  Status flush();

  journal::Disk& disk_;
  std::unique_ptr<journal::Journal> journal_;
  // Gathered from consecutive works.
  std::optional<HardState> hard_state_;
  std::vector<Entry> append_;
};

}  // namespace runink::raft
