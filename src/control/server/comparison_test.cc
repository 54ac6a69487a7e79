#include "control/server/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/server/integrity_report.h"

namespace runink::server {
namespace {

using barn::Digest;
using barn::DigestPoint;

const raft::Membership kThree{{1, 2, 3}, {}};

class Compared : public testing::Test {
 protected:
  void hear(raft::NodeId peer, const std::vector<DigestPoint>& points) {
    comparison_.heard(peer, points, [this](barn::Index index) -> std::optional<Digest> {
      const auto at = own_.find(index);
      if (at == own_.end()) return std::nullopt;
      return at->second;
    });
  }
  Verdict verdict(const raft::Membership& membership = kThree) { return comparison_.judge(membership, 1).verdict; }

  std::map<barn::Index, Digest> own_{{64, {0, 1}}, {128, {0, 2}}, {192, {0, 3}}};
  Comparison comparison_;
};

TEST_F(Compared, WhoSaysTheSameAgreesAndWhatIsUnknownIsNoDifference) {
  EXPECT_EQ(verdict(), Verdict::kAgreed);
  hear(2, {{64, {0, 1}}, {128, {0, 2}}});
  hear(3, {{70, {9, 9}}, {1000, {9, 9}}});
  EXPECT_EQ(verdict(), Verdict::kAgreed);
  EXPECT_EQ(comparison_.peers().at(2).same_at, 128u);
  EXPECT_EQ(comparison_.peers().at(3).compared_at, 0u);
}

TEST_F(Compared, OneThatDiffersIsDoubtUntilTheThirdHasSpoken) {
  hear(2, {{64, {0, 1}}, {128, {9, 9}}});
  EXPECT_EQ(verdict(), Verdict::kDoubt);
  hear(3, {{64, {0, 1}}});  // from before the difference: says nothing
  EXPECT_EQ(verdict(), Verdict::kDoubt);
  hear(3, {{128, {0, 2}}});
  EXPECT_EQ(verdict(), Verdict::kAgreed);
  EXPECT_THAT(comparison_.judge(kThree, 1).differ, testing::ElementsAre(2));
  hear(3, {{192, {9, 9}}});  // another one than member 2's, as far as is known
  EXPECT_EQ(verdict(), Verdict::kDoubt);
  hear(2, {{192, {9, 9}}});
  EXPECT_EQ(verdict(), Verdict::kOutvoted);
  EXPECT_EQ(comparison_.judge(kThree, 1).index, 192u);
}

TEST_F(Compared, TwoThatDifferFromEachOtherOutvoteNobody) {
  hear(2, {{128, {8, 8}}});
  hear(3, {{128, {9, 9}}});
  EXPECT_EQ(verdict(), Verdict::kDoubt);
}

TEST_F(Compared, LearnersAndStrangersHaveNoSay) {
  hear(2, {{128, {9, 9}}});
  hear(3, {{128, {9, 9}}});
  EXPECT_EQ(verdict({{1, 2, 4}, {3}}), Verdict::kDoubt);
  EXPECT_EQ(verdict({{1}, {2, 3}}), Verdict::kAgreed);
  EXPECT_EQ(verdict({{2, 3}, {1}}), Verdict::kOutvoted);  // a learner is outvoted as well
  comparison_.keep_only({{1, 2}, {}});
  EXPECT_EQ(comparison_.peers().size(), 1u);
}

TEST_F(Compared, TwoVotersThatDifferAreBothInDoubt) {
  hear(2, {{128, {9, 9}}});
  EXPECT_EQ(verdict({{1, 2}, {}}), Verdict::kDoubt);
}

TEST_F(Compared, ADifferenceStaysUntilTheSameIsSaidLater) {
  hear(2, {{128, {9, 9}}});
  hear(2, {});
  hear(2, {{64, {0, 1}}});  // older: it says nothing about now
  EXPECT_EQ(verdict(), Verdict::kDoubt);
  hear(2, {{192, {0, 3}}});
  EXPECT_EQ(verdict(), Verdict::kAgreed);
  EXPECT_TRUE(comparison_.judge(kThree, 1).differ.empty());
}

TEST_F(Compared, OnlySoManyDifferencesAreKept) {
  std::vector<DigestPoint> points;
  for (barn::Index index = 1; index <= 2 * Comparison::kKept; ++index) {
    own_[1000 + index] = {0, index};
    points.push_back({1000 + index, {1, index}});
  }
  hear(2, points);
  EXPECT_EQ(comparison_.peers().at(2).differences.size(), Comparison::kKept);
  EXPECT_EQ(comparison_.peers().at(2).differences.rbegin()->first, 1000 + 2 * Comparison::kKept);
}

TEST(IntegrityReportBytes, SurviveTheWayAndAnyCutIsRefused) {
  IntegrityReport report;
  report.serving = report.in_doubt = true;
  report.incarnation = 1'000'000;
  report.digests = {{64, {1, 2}}, {128, {3, 4}}, {131, {UINT64_MAX, 0}}};
  report.scrubs = {{7, {100, {5, 6}}, {}}, {8, {900, {7, 8}}, {{1, 1}, {2, 2}}}};
  const std::string bytes = encode(report);
  const auto decoded = decode_integrity_report(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(*decoded, report);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_integrity_report(std::string_view(bytes).substr(0, size)).ok()) << size;
  EXPECT_FALSE(decode_integrity_report(bytes + "x").ok());
}

TEST(IntegrityReportBytes, WhatIsNotAscendingOrTooMuchIsRefused) {
  IntegrityReport report;
  report.digests = {{128, {}}, {64, {}}};
  EXPECT_FALSE(decode_integrity_report(encode(report)).ok());
  report.digests.assign(kReportedDigests + 2, {});
  for (size_t i = 0; i < report.digests.size(); ++i) report.digests[i].index = i + 1;
  EXPECT_FALSE(decode_integrity_report(encode(report)).ok());
  report.digests.pop_back();
  EXPECT_TRUE(decode_integrity_report(encode(report)).ok());
  for (uint64_t i = 0; i <= kReportedScrubs; ++i) report.scrubs.push_back({i, {i + 1, {}}, {}});
  EXPECT_FALSE(decode_integrity_report(encode(report)).ok());
}

}  // namespace
}  // namespace runink::server
