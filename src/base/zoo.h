// The bug zoo: faults that replicated stores have had, each of which can be put back, so that the tests can show that
// they would have found it (docs/internals/testing.md). With RUNINK_ZOO defined, those that put_back() names; without
// it, as in everything that is installed, zoo() is the constant false and nothing of this is in a program.
//
// A new fault: an enumerator here, `if (zoo(Zoo::kX))` where it belongs, a row in tests/sim/animals.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace runink {

enum class Zoo : int {
  kNone = 0,
  // Elections
  kVoteSaidBeforeWritten,
  kCandidateDoesNotWait,
  kVoteNotWritten,
  kSecondVoteForTransfer,
  kTermNotRaised,
  kVoteByLengthOnly,
  kVotesOutliveCampaign,
  kOldVoteReplyCounts,
  kNoPreVoteNoStickiness,
  // Replication
  kOldTermsByCounting,
  kNoNoop,
  kAcknowledgesOwnLast,
  kCommitUnverified,
  kVerifiedOutlivesTerm,
  kMatchGoesBack,
  kProbeCounts,
  kLeaderCountsUnwritten,
  kAcknowledgesBeforeWritten,
  kTruncatesOnOldAppend,
  kAcceptsWithoutMatch,
  kOldAcknowledgementCounts,
  kUnboundedProposals,
  kHintAheadOfLog,
  kTruncatedStaysAcknowledged,
  kReplacedWriteAcknowledges,
  // Membership and lost storage
  kTwoChangesAtOnce,
  kChangeBeforeOwnCommit,
  kMembershipNotTakenBack,
  kLearnersCount,
  kRemovedLeaderCounts,
  kRemovedDoesNotCampaign,
  kRejoinedVotesAtOnce,
  kVotesByWhatIsLeft,
  kRejoinsAtAnyCommit,
  kForgottenStorageCounts,
  // Reads
  kReadBeforeOwnCommit,
  kReadWithoutRound,
  kReadByClock,
  kReadJoinsOldRound,
  kLearnersConfirmReads,
  // The journal, and who drives it
  kGoesOnAfterFailedWrite,
  kNothingIsSynced,
  kCachedPagesAreTrusted,
  kDamageIsATornTail,
  kReplacedEntriesStay,
  // The state machine
  kRetriesAreApplied,
  kApplyReadsLocally,
  kLimitNotChecked,
  kComparisonsHold,
  kWatchesBeginLate,
  // What comes from peers
  kCountsAreBelieved,
  // Put into a simulated disk, not into code: a replica's stored state changes by itself
  kStateRots,
  kCount,
};

#ifdef RUNINK_ZOO
inline bool zoo_variants[static_cast<size_t>(Zoo::kCount)] = {};
inline bool zoo(Zoo variant) { return zoo_variants[static_cast<size_t>(variant)]; }
inline void put_back(Zoo variant) { zoo_variants[static_cast<size_t>(variant)] = variant != Zoo::kNone; }
// A clock that no two members read alike.
inline int64_t zoo_local_time() {
  static int64_t last = 0;
  return ++last;
}
#else
constexpr bool zoo(Zoo) { return false; }
constexpr int64_t zoo_local_time() { return 0; }
#endif

}  // namespace runink
