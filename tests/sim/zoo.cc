// The bug zoo (level T3): puts one historical bug after the other back into the core and shows which level of tests
// notices, and how soon. `core_zoo` prints the table of docs/internals/testing.md; exit 1 if a bug survives or the
// sound core is accused. `core_zoo N...`: these variants only.
//
// Each run is a process of its own, since what notices may be a check that ends it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "control/raft/core/cluster_in_test.h"
#include "control/raft/core/zoo.h"
#include "tests/sim/explore.h"

#ifndef RUNINK_ZOO
#error "built without RUNINK_ZOO there are no animals"
#endif

namespace runink::raft {
namespace {

struct Row {
  Zoo variant;
  const char* rule;  // of the table in the design of the Barn
  const char* what;  // was put back
};

// Not here because nothing could tell: a candidacy that counts entries not written yet (C5). The disk writes in order,
// so that they are durable before the candidate's term is, and nothing is sent before that.
const Row kRows[] = {
    {Zoo::kOldTermsByCounting, "C1", "a leader commits entries of earlier terms by counting copies"},
    {Zoo::kNoNoop, "C1", "no entry at the beginning of a term"},
    {Zoo::kAcknowledgesOwnLast, "C2", "a follower acknowledges its own last entry, not the request's"},
    {Zoo::kCommitUnverified, "C3", "a follower commits what it has, verified or not"},
    {Zoo::kVerifiedOutlivesTerm, "C3", "what an earlier leader verified counts under a new one"},
    {Zoo::kMatchGoesBack, "C4", "a late acknowledgement takes the match index back"},
    {Zoo::kProbeCounts, "C4", "the place of the next probe counts as acknowledged"},
    {Zoo::kVoteSaidBeforeWritten, "C5", "a vote is sent before it is durable"},
    {Zoo::kVoteNotWritten, "C5", "a vote is not written down"},
    {Zoo::kCandidateDoesNotWait, "C5", "a candidate asks for votes, and counts its own, before its term is durable"},
    {Zoo::kSecondVoteForTransfer, "C6", "who is to take over gets a second vote in a term"},
    {Zoo::kLeaderCountsUnwritten, "C7", "a leader counts its own copy before it is durable"},
    {Zoo::kAcknowledgesBeforeWritten, "C10", "a follower acknowledges before it has written"},
    {Zoo::kRejoinedVotesAtOnce, "C11", "a node whose storage lost entries votes at once"},
    {Zoo::kRejoinsAtAnyCommit, "C11",
     "it regains its vote with what any leader had committed, before it came back too"},
    {Zoo::kForgottenStorageCounts, "C12", "what it acknowledged before the loss still counts"},
    {Zoo::kTwoChangesAtOnce, "C13", "a change of membership while another is under way"},
    {Zoo::kChangeBeforeOwnCommit, "C13", "a change of membership before the term has committed anything (2015)"},
    {Zoo::kTermNotRaised, "C14", "who voted for itself campaigns again without raising the term"},
    {Zoo::kReadBeforeOwnCommit, "C15", "reads before the term has committed anything"},
    {Zoo::kReadWithoutRound, "C15", "reads without asking whether one still leads"},
    {Zoo::kReadJoinsOldRound, "C15", "a read joins a round that began before it"},
    {Zoo::kLearnersConfirmReads, "C15", "learners confirm reads"},
    {Zoo::kTruncatedStaysAcknowledged, "C25", "what was durable before a truncation counts for what replaced it"},
    {Zoo::kReplacedWriteAcknowledges, "C25",
     "a write that was replaced is taken for the same entry written again (found here)"},
    {Zoo::kHintAheadOfLog, "C25", "the commit hint is written before the entries it speaks of (found here)"},
    {Zoo::kTruncatesOnOldAppend, "Raft", "an old request cuts off what came after it"},
    {Zoo::kAcceptsWithoutMatch, "Raft", "entries are accepted without a look at the one before them"},
    {Zoo::kVoteByLengthOnly, "Raft", "votes go by the length of the log, not by its last term"},
    {Zoo::kVotesOutliveCampaign, "Raft", "votes of the campaign before are counted"},
    {Zoo::kOldVoteReplyCounts, "Raft", "votes of an older term are counted"},
    {Zoo::kOldAcknowledgementCounts, "Raft", "acknowledgements of an older term are counted"},
    {Zoo::kLearnersCount, "Raft", "copies on learners count towards the majority"},
    {Zoo::kMembershipNotTakenBack, "Raft", "a membership stays in force when its entry is truncated"},
    {Zoo::kRemovedLeaderCounts, "Raft", "a leader that removes itself still counts its own copy"},
    {Zoo::kNoPreVoteNoStickiness, "Raft", "anybody who hears no leader raises everybody's term"},
    {Zoo::kRemovedDoesNotCampaign, "Raft", "who is being removed never campaigns, needed or not (found here)"},
};

// What a level says of the core as it is in this process.
struct Finding {
  bool caught = false;
  std::string where;  // "2e 1p: 4,711 states"
  std::string what;   // was noticed
};

std::string thousands(uint64_t n) {
  std::string out = std::to_string(n);
  for (int at = static_cast<int>(out.size()) - 3; at > 0; at -= 3) out.insert(static_cast<size_t>(at), ",");
  return out;
}

// Runs `body` with the variant in a process of its own. The body prints lines; the last one that begins with "at " says
// how far it came. It was noticed if the process ends other than with 0.
Finding in_child(Zoo variant, const std::function<int()>& body) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    setvbuf(stdout, nullptr, _IOLBF, 0);
    zoo_variant = variant;
    const int status = body();
    std::fflush(nullptr);
    _exit(status);
  }
  close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  Finding out;
  out.caught = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  for (size_t begin = 0; begin < said.size();) {
    const size_t end = std::min(said.find('\n', begin), said.size());
    const std::string line = said.substr(begin, end - begin);
    begin = end + 1;
    if (line.rfind("at ", 0) == 0) {
      out.where = line.substr(3);
    } else if (line.rfind("after ", 0) == 0) {
      out.what = line.substr(line.find(": ") + 2);
    } else if (line.rfind("noticed ", 0) == 0) {
      out.what = line.substr(8);
    } else if (line.find("CHECK") != std::string::npos || line.find("check") != std::string::npos) {
      out.what = "an assertion of the core";
    }
  }
  return out;
}

std::vector<Scope> zoo_scopes() {
  std::vector<Scope> out;
  const auto add = [&](const char* name, int elections, int proposals, int crashes, int duplicates, int stalls,
                       int heartbeats, int reads, uint64_t most) {
    Scope s;
    s.name = name;
    s.elections = elections;
    s.proposals = proposals;
    s.crashes = crashes;
    s.duplicates = duplicates;
    s.stalls = stalls;
    s.heartbeats = heartbeats;
    s.reads = reads;
    s.forget_stale = false;
    s.max_states = most;
    out.push_back(s);
  };
  add("2 elections, 1 proposal", 2, 1, 0, 0, 0, 0, 0, 100'000);
  add("2 elections, two reads", 2, 0, 0, 0, 0, 0, 2, 200'000);
  out.back().channel = 1;
  add("2 elections, a crash, a stall", 2, 0, 1, 0, 1, 0, 0, 450'000);
  add("2 elections, a heartbeat, two copies", 2, 0, 0, 1, 0, 1, 0, 300'000);
  add("3 elections, 1 proposal, one by one", 3, 1, 0, 0, 0, 0, 0, 400'000);
  out.back().one_by_one = true;
  out.back().channel = 1;
  add("4 elections, one by one", 4, 0, 0, 0, 0, 0, 0, 1'500'000);
  out.back().one_by_one = out.back().forget_stale = true;
  out.back().channel = 1;
  add("4 elections, one by one, nothing forgotten", 4, 0, 0, 0, 0, 0, 0, 700'000);
  out.back().one_by_one = true;
  out.back().channel = 1;
  return out;
}

Finding by_exploration(Zoo variant) {
  return in_child(variant, [] {
    uint64_t states = 0;
    for (const Scope& scope : zoo_scopes()) {
      std::printf("at %s: assertion\n", scope.name.c_str());
      const Exploration seen = explore(scope);
      states += seen.states;
      std::printf("at %s: %s states\n", scope.name.c_str(), thousands(states).c_str());
      if (seen.fault.empty()) continue;
      std::printf("noticed %s\n", seen.fault.c_str());
      return 1;
    }
    return 0;
  });
}

constexpr uint64_t kSeeds = 60;

Finding by_groups(Zoo variant) {
  return in_child(variant, [] {
    struct Kind {
      const char* name;
      size_t voters;
      bool snapshots, transfers, changes;
      double wipe;
    };
    static const Kind kKinds[] = {{"plain", 3, false, false, false, 0},
                                  {"five", 5, false, false, false, 0},
                                  {"snapshots", 3, true, false, false, 0},
                                  {"transfers", 3, false, true, false, 0},
                                  {"changes", 3, false, false, true, 0},
                                  {"from one", 1, false, false, true, 0},
                                  {"lost storage", 3, false, false, false, 0.001},
                                  {"everything", 5, true, true, true, 0.001}};
    uint64_t count = 0;
    for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
      for (const Kind& kind : kKinds) {
        std::printf("at %s: %s seeds\n", kind.name, thousands(++count).c_str());
        Faults faults;
        faults.snapshots = kind.snapshots;
        faults.transfers = kind.transfers;
        faults.change_members = kind.changes;
        faults.wipe = kind.wipe;
        if (seed % 2 == 0) faults.message_bytes = 1;
        SimCluster cluster(seed, kind.voters, faults);
        cluster.run(10000);
        if (cluster.settle()) cluster.prove_liveness();
      }
    }
    return 0;
  });
}

Finding by_cases(Zoo variant) {
  Finding out = in_child(variant, [] { return RUN_ALL_TESTS(); });
  out.where = "raft_cases_test";
  return out;
}

std::string cell(const Finding& finding) { return finding.caught ? finding.where + ": " + finding.what : "."; }

int run(const std::vector<int>& wanted) {
  std::printf(
      "| Rule | What was put back | Exploration (T1) | Groups under faults | Cases (T0) |\n|---|---|---|---|---|\n");
  int survivors = 0;
  const auto show = [&](Zoo variant, const char* rule, const char* what, bool sound) {
    const Finding cases = by_cases(variant), groups = by_groups(variant), explored = by_exploration(variant);
    std::printf("| %s | %s | %s | %s | %s |\n", rule, what, cell(explored).c_str(), cell(groups).c_str(),
                cases.caught ? "yes" : ".");
    std::fflush(stdout);
    const bool caught = explored.caught || groups.caught || cases.caught;
    survivors += sound ? caught : !caught;
    if (!sound && !caught) std::fprintf(stderr, "survives: %s\n", what);
  };
  if (wanted.empty()) show(Zoo::kNone, "", "nothing: the core as it is", true);
  for (const Row& row : kRows) {
    const bool asked =
        wanted.empty() || std::find(wanted.begin(), wanted.end(), static_cast<int>(row.variant)) != wanted.end();
    if (asked) show(row.variant, row.rule, row.what, false);
  }
  return survivors == 0 ? 0 : 1;
}

}  // namespace
}  // namespace runink::raft

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::vector<int> wanted;
  for (int i = 1; i < argc; ++i) wanted.push_back(std::atoi(argv[i]));
  return runink::raft::run(wanted);
}
