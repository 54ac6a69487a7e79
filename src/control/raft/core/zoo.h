// The bug zoo: faults that Raft implementations have had, each of which can be put back, so that the tests can show that they
// would have found it (docs/internals/testing.md). With RUNINK_ZOO defined, one of them at a time, by `zoo_variant`; without
// it, as in everything that is installed, zoo() is the constant false and nothing of this is in the program.
//
// A new fault: an enumerator here, `if (zoo(Zoo::kX))` where it belongs, a row in tests/sim/zoo.cc.
#pragma once

namespace runink::raft {

enum class Zoo : int {
  kNone = 0,
  kOldTermsByCounting,
  kNoNoop,
  kAcknowledgesOwnLast,
  kCommitUnverified,
  kVerifiedOutlivesTerm,
  kMatchGoesBack,
  kProbeCounts,
  kVoteSaidBeforeWritten,
  kCandidateDoesNotWait,
  kVoteNotWritten,
  kSecondVoteForTransfer,
  kLeaderCountsUnwritten,
  kRejoinedVotesAtOnce,
  kRejoinsAtAnyCommit,
  kForgottenStorageCounts,
  kTwoChangesAtOnce,
  kChangeBeforeOwnCommit,
  kTermNotRaised,
  kReadBeforeOwnCommit,
  kReadWithoutRound,
  kReadJoinsOldRound,
  kLearnersConfirmReads,
  kTruncatedStaysAcknowledged,
  kReplacedWriteAcknowledges,
  kHintAheadOfLog,
  kTruncatesOnOldAppend,
  kLearnersCount,
  kNoPreVoteNoStickiness,
  kAcceptsWithoutMatch,
  kVoteByLengthOnly,
  kVotesOutliveCampaign,
  kOldVoteReplyCounts,
  kOldAcknowledgementCounts,
  kMembershipNotTakenBack,
  kRemovedLeaderCounts,
  kAcknowledgesBeforeWritten,
  kRemovedDoesNotCampaign,
  kCount,
};

#ifdef RUNINK_ZOO
inline Zoo zoo_variant = Zoo::kNone;
inline bool zoo(Zoo variant) { return zoo_variant == variant; }
#else
constexpr bool zoo(Zoo) { return false; }
#endif

}  // namespace runink::raft
