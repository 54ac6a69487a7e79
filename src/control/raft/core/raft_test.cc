// Whole groups under faults (cluster_in_test.h checks Raft's promises after every event), and that each kind of fault has
// happened at all.
#include <gtest/gtest.h>

#include "control/raft/core/cluster_in_test.h"

namespace runink::raft {
namespace {

struct Kind {
  const char* name;
  bool snapshots, transfers, changes;
  double wipe;
  size_t voters = 0;  // 0: three or five
};

class RaftUnderFaults : public ::testing::TestWithParam<Kind> {};

TEST_P(RaftUnderFaults, KeepsItsPromisesAndGoesOnAfterwards) {
  SimCluster::Totals all;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Faults faults;
    faults.snapshots = GetParam().snapshots;
    faults.transfers = GetParam().transfers;
    faults.change_members = GetParam().changes;
    faults.wipe = GetParam().wipe;
    if (seed % 3 == 0) faults.message_bytes = 1;
    SimCluster cluster(seed, GetParam().voters != 0 ? GetParam().voters : 3 + 2 * (seed % 2), faults);
    cluster.run(10000);
    if (cluster.settle()) cluster.prove_liveness();
    const auto& t = cluster.totals();
    all.committed += t.committed;
    all.elections += t.elections;
    all.crashes += t.crashes;
    all.truncations += t.truncations;
    all.reads += t.reads;
    all.snapshots += t.snapshots;
    all.changes += t.changes;
    all.wipes += t.wipes;
  }
  EXPECT_GT(all.committed, 0u);
  EXPECT_GT(all.elections, 12u);
  EXPECT_GT(all.crashes, 0u);
  if (GetParam().voters != 1) {
    EXPECT_GT(all.truncations, 0u);  // one voter seldom has anybody to disagree with
  }
  EXPECT_GT(all.reads, 0u);
  EXPECT_EQ(all.snapshots > 0, GetParam().snapshots);
  EXPECT_EQ(all.changes > 0, GetParam().changes);
  EXPECT_EQ(all.wipes > 0, GetParam().wipe > 0);
}

INSTANTIATE_TEST_SUITE_P(All, RaftUnderFaults,
                         ::testing::Values(Kind{"plain", false, false, false, 0}, Kind{"snapshots", true, false, false, 0},
                                           Kind{"transfers", false, true, false, 0}, Kind{"changes", false, false, true, 0},
                                           Kind{"lost_storage", false, false, false, 0.001}, Kind{"everything", true, true, true, 0.001},
                                           Kind{"from_one", false, false, true, 0, 1}),
                         [](const auto& info) { return info.param.name; });

// The kinds that come to what the others seldom do: half of the nodes against the other half, messages of long ago, learners
// beside a leader that nobody else hears.
TEST(RaftGroups, OfTheOddKindsKeepTheirPromisesToo) {
  size_t odd = 0;
  for (const GroupKind& kind : group_kinds()) {
    if (kind.faults.split == 0) continue;
    ++odd;
    SimCluster::Totals all;
    for (uint64_t seed = 1; seed <= 10; ++seed) {
      SimCluster cluster(seed, kind.voters, kind.faults);
      cluster.run(10000);
      if (cluster.settle()) cluster.prove_liveness();
      all.elections += cluster.totals().elections;
      all.committed += cluster.totals().committed;
      all.truncations += cluster.totals().truncations;
      all.changes += cluster.totals().changes;
      all.wipes += cluster.totals().wipes;
    }
    EXPECT_GT(all.elections, 20u) << kind.name;
    EXPECT_GT(all.committed, 100u) << kind.name;
    EXPECT_GT(all.truncations, 0u) << kind.name;
    EXPECT_EQ(all.changes > 0, kind.faults.change_members) << kind.name;
    EXPECT_EQ(all.wipes > 0, kind.faults.wipe > 0) << kind.name;
  }
  EXPECT_GE(odd, 4u);
}

// Cores whose disks and links do all at once, until nothing is left to do.
void exchange(const std::vector<Raft*>& cores) {
  for (bool any = true; any;) {
    any = false;
    for (Raft* const core : cores) {
      if (!core->has_ready()) continue;
      any = true;
      const Ready ready = core->take_ready();
      if (ready.hard_state) core->hard_state_persisted(ready.hard_state_version);
      if (!ready.append.empty()) core->log_persisted(ready.append.back().index, ready.append.back().term);
      if (!ready.committed.empty()) core->applied(ready.committed.back().index);
      for (const Message& message : ready.messages) {
        for (Raft* const to : cores) {
          if (to->id() == message.to) to->step(message);
        }
      }
    }
  }
}

TEST(Raft, AMemberStartedAnewLearnsWhatIsCommittedThoughNothingNewIs) {
  const Membership three{{1, 2, 3}, {}};
  const auto make = [&](NodeId id, uint64_t incarnation, const Recovered& recovered) {
    Options options;
    options.id = id;
    options.random = [] { return uint64_t{0}; };
    options.incarnation = incarnation;
    return std::make_unique<Raft>(options, recovered);
  };
  Recovered fresh;
  fresh.membership = three;
  const auto a = make(1, 1, fresh), b = make(2, 1, fresh);
  auto c = make(3, 1, fresh);
  a->campaign();
  exchange({a.get(), b.get(), c.get()});
  ASSERT_EQ(a->role(), Role::kLeader);
  ASSERT_EQ(a->propose(std::make_shared<const std::string>("x")).outcome, Proposal::Outcome::kAccepted);
  exchange({a.get(), b.get(), c.get()});
  ASSERT_EQ(a->commit(), 2u);

  // What it had written is all there; what was committed it has to hear again.
  Recovered again = fresh;
  again.hard_state = {c->term(), c->vote(), 0};
  for (Index i = 1; i <= c->log().last(); ++i) again.entries.push_back(c->log().at(i));
  c = make(3, 2, again);
  EXPECT_EQ(c->commit(), 0u);
  for (int i = 0; i < 3; ++i) {
    a->tick();
    exchange({a.get(), b.get(), c.get()});
  }
  EXPECT_EQ(c->commit(), 2u);
  EXPECT_EQ(c->applied(), 2u);
}

TEST(Membership, OneNodeAtATimeAndNeverTheLastVoter) {
  const Membership three{{1, 2, 3}, {4}};
  EXPECT_EQ(changed(three, {ChangeKind::kPromote, 4})->voters, (std::vector<NodeId>{1, 2, 3, 4}));
  EXPECT_EQ(changed(three, {ChangeKind::kRemove, 2})->voters, (std::vector<NodeId>{1, 3}));
  EXPECT_EQ(changed(three, {ChangeKind::kAddLearner, 2}).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(changed(three, {ChangeKind::kPromote, 1}).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(changed({{1}, {}}, {ChangeKind::kRemove, 1}).status().code(), Code::kFailedPrecondition);
}

TEST(Membership, IsReadBackAndNothingElseIs) {
  const Membership some{{1, 2, 9}, {3}};
  const std::string bytes = encode(some);
  EXPECT_EQ(*decode_membership(bytes), some);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode_membership(bytes.substr(0, cut)).ok()) << cut;
  EXPECT_FALSE(decode_membership(bytes + "x").ok());
  EXPECT_FALSE(decode_membership(encode({{2, 1}, {}})).ok());
  EXPECT_FALSE(decode_membership(encode({{1}, {1}})).ok());
}

}  // namespace
}  // namespace runink::raft
