#include "tests/sim/animals.h"

namespace runink::zoo_tests {
namespace {

constexpr unsigned kCore = Level::kExploration | Level::kGroups;
constexpr unsigned kWhole = static_cast<unsigned>(Level::kClusters);
constexpr unsigned kExplored = static_cast<unsigned>(Level::kExploration);
constexpr unsigned kTested = static_cast<unsigned>(Level::kTests);

}  // namespace

// Not here because nothing could tell: a candidacy that counts entries not written yet (C5). The disk writes in order,
// so that they are durable before the candidate's term is, and nothing is sent before that.
const std::vector<Animal>& animals() {
  static const std::vector<Animal> kAnimals = {
      {"C1", "a leader commits entries of earlier terms by counting copies", {Zoo::kOldTermsByCounting}, kCore},
      {"C1", "no entry at the beginning of a term", {Zoo::kNoNoop}, kCore},
      // The entry that begins a term hides this one: it is what a new leader sends first, and cuts off what was left
      // over. It was found in a library that had none. Without that entry a new leader answers no reads, which groups
      // notice at once and the exploration does not ask for, so that it is the exploration that has to see the lost
      // write.
      {"C2",
       "a follower acknowledges its own last entry, not the request's; and no entry at the beginning of a term",
       {Zoo::kAcknowledgesOwnLast, Zoo::kNoNoop},
       kExplored},
      {"C3", "a follower commits what it has, verified or not", {Zoo::kCommitUnverified}, kCore},
      {"C3", "what an earlier leader verified counts under a new one", {Zoo::kVerifiedOutlivesTerm}, kCore},
      {"C4", "a late acknowledgement takes the match index back", {Zoo::kMatchGoesBack}, kCore},
      {"C4", "the place of the next probe counts as acknowledged", {Zoo::kProbeCounts}, kCore},
      {"C5", "a vote is sent before it is durable", {Zoo::kVoteSaidBeforeWritten}, kCore},
      {"C5", "a vote is not written down", {Zoo::kVoteNotWritten}, kCore},
      {"C5",
       "a candidate asks for votes, and counts its own, before its term is durable",
       {Zoo::kCandidateDoesNotWait},
       kCore},
      {"C6", "who is to take over gets a second vote in a term", {Zoo::kSecondVoteForTransfer}, kCore},
      {"C7", "a leader counts its own copy before it is durable", {Zoo::kLeaderCountsUnwritten}, kCore},
      {"C8", "a write to the journal fails, and the member goes on", {Zoo::kGoesOnAfterFailedWrite}, kWhole},
      {"C9",
       "after a failed sync, what the cache shows is taken to be on the disk",
       {Zoo::kCachedPagesAreTrusted},
       kTested},
      {"C10", "a follower acknowledges before it has written", {Zoo::kAcknowledgesBeforeWritten}, kCore},
      {"C10", "the journal is written and not synced", {Zoo::kNothingIsSynced}, kWhole},
      {"C11", "a node whose storage lost entries votes at once", {Zoo::kRejoinedVotesAtOnce}, kCore},
      {"C11",
       "a node that knows what it lost votes by what is left",
       {Zoo::kVotesByWhatIsLeft},
       kCore},
      {"C11",
       "it regains its vote with what any leader had committed, before it came back too",
       {Zoo::kRejoinsAtAnyCommit},
       kCore},
      {"C11", "what it acknowledged before the loss still counts", {Zoo::kForgottenStorageCounts}, kCore},
      {"C11", "damage in the journal is taken for a write that was cut short", {Zoo::kDamageIsATornTail}, kWhole},
      {"C13", "a change of membership while another is under way", {Zoo::kTwoChangesAtOnce}, kCore},
      {"C13",
       "a change of membership before the term has committed anything (2015)",
       {Zoo::kChangeBeforeOwnCommit},
       kCore},
      {"C14", "who voted for itself campaigns again without raising the term", {Zoo::kTermNotRaised}, kCore},
      {"C15", "reads before the term has committed anything", {Zoo::kReadBeforeOwnCommit}, kCore},
      {"C15", "reads without asking whether one still leads", {Zoo::kReadWithoutRound}, kCore},
      {"C15", "a read joins a round that began before it", {Zoo::kReadJoinsOldRound}, kCore},
      {"C15", "learners confirm reads", {Zoo::kLearnersConfirmReads}, kCore},
      {"C16", "a leader that heard a majority lately, by its clock, answers reads", {Zoo::kReadByClock}, kCore},
      {"C17", "counts in a peer's message are believed", {Zoo::kCountsAreBelieved}, kTested},
      {"C19", "a retry under its session's mark is applied again", {Zoo::kRetriesAreApplied}, kWhole},
      {"C20",
       "a record of one replica's state changes by itself (nothing is put back: it has to be seen)",
       {Zoo::kStateRots},
       kWhole},
      {"C22", "what is uncommitted has no bound", {Zoo::kUnboundedProposals}, kCore},
      {"C23", "requests may have any size", {Zoo::kLimitNotChecked}, kTested},
      {"C24", "applying an entry reads something local", {Zoo::kApplyReadsLocally}, kWhole},
      {"C25",
       "what was durable before a truncation counts for what replaced it",
       {Zoo::kTruncatedStaysAcknowledged},
       kCore},
      {"C25",
       "after a restart, what a truncation had cut off is there again",
       {Zoo::kReplacedEntriesStay},
       kWhole | Level::kTests},
      {"C25",
       "a write that was replaced is taken for the same entry written again (found here)",
       {Zoo::kReplacedWriteAcknowledges},
       kCore | Level::kTests},
      {"C25",
       "the commit hint is written before the entries it speaks of (found here)",
       {Zoo::kHintAheadOfLog},
       kCore | Level::kTests},
      {"Barn", "a transaction's comparison of ModifyIndex always holds", {Zoo::kComparisonsHold}, kWhole},
      {"Barn", "a watch that goes on leaves out the first index", {Zoo::kWatchesBeginLate}, kWhole},
      {"Raft", "an old request cuts off what came after it", {Zoo::kTruncatesOnOldAppend}, kCore},
      {"Raft", "entries are accepted without a look at the one before them", {Zoo::kAcceptsWithoutMatch}, kCore},
      {"Raft", "votes go by the length of the log, not by its last term", {Zoo::kVoteByLengthOnly}, kCore},
      {"Raft", "votes of the campaign before are counted", {Zoo::kVotesOutliveCampaign}, kCore},
      {"Raft", "votes of an older term are counted", {Zoo::kOldVoteReplyCounts}, kCore},
      {"Raft", "acknowledgements of an older term are counted", {Zoo::kOldAcknowledgementCounts}, kCore},
      {"Raft", "copies on learners count towards the majority", {Zoo::kLearnersCount}, kCore},
      {"Raft", "a membership stays in force when its entry is truncated", {Zoo::kMembershipNotTakenBack}, kCore},
      {"Raft", "a leader that removes itself still counts its own copy", {Zoo::kRemovedLeaderCounts}, kCore},
      {"Raft", "anybody who hears no leader raises everybody's term", {Zoo::kNoPreVoteNoStickiness}, kCore},
      {"Raft",
       "who is being removed never campaigns, needed or not (found here)",
       {Zoo::kRemovedDoesNotCampaign},
       kCore},
  };
  return kAnimals;
}

const std::vector<Elsewhere>& elsewhere() {
  static const std::vector<Elsewhere> kElsewhere = {
      {"C12", "a member whose disk was wiped returns under its old id", "`barn.network.membership`, on real processes: it is refused"},
      {"C18", "snapshots share a stream with heartbeats", "`barn.storage.catch_up`, on real processes: no election while a state is sent"},
      {"C21", "checks are compiled out of release builds", "`sim.core_has_checks`, by the symbols of the library"},
  };
  return kElsewhere;
}

}  // namespace runink::zoo_tests
