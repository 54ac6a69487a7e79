#include "platform/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace runink::telemetry {
namespace {

TEST(Exposition, FamiliesWithHelpTypeAndEscapedLabels) {
  Exposition out;
  out.counter("runink_things_total", "Things, \\ and\nmore.").sample(3u, {{"kind", "a\"b\\c\nd"}, {"member", "\xff"}});
  out.sample(0u, {{"kind", "none"}});
  out.gauge("runink_offset_seconds", "Offset.").sample(-0.25);
  EXPECT_EQ(out.text(),
            "# HELP runink_things_total Things, \\\\ and\\nmore.\n"
            "# TYPE runink_things_total counter\n"
            "runink_things_total{kind=\"a\\\"b\\\\c\\nd\",member=\"\xEF\xBF\xBD\"} 3\n"
            "runink_things_total{kind=\"none\"} 0\n"
            "# HELP runink_offset_seconds Offset.\n"
            "# TYPE runink_offset_seconds gauge\n"
            "runink_offset_seconds -0.25\n");
}

TEST(Exposition, Numbers) {
  Exposition out;
  out.gauge("a", "A.").sample(std::numeric_limits<double>::infinity());
  out.sample(-std::numeric_limits<double>::infinity());
  out.sample(std::numeric_limits<double>::quiet_NaN());
  out.sample(std::numeric_limits<uint64_t>::max());
  out.sample(1e300);
  EXPECT_THAT(out.take(), testing::HasSubstr("a +Inf\na -Inf\na NaN\na 18446744073709551615\na 1e+300\n"));
}

TEST(Exposition, AHistogramIsCumulativeInItsUnit) {
  static constexpr std::array<uint64_t, 3> kBounds = {1'000'000, 10'000'000, 2'500'000'000};
  Histogram<kBounds> histogram;
  for (const uint64_t nanos : {0ull, 1'000'000ull, 1'000'001ull, 9'000'000'000ull}) histogram.record(nanos);
  Exposition out;
  out.histogram("wait_seconds", "Wait.", histogram, 1e9);
  EXPECT_EQ(out.text(),
            "# HELP wait_seconds Wait.\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{le=\"0.001\"} 2\n"
            "wait_seconds_bucket{le=\"0.01\"} 3\n"
            "wait_seconds_bucket{le=\"2.5\"} 3\n"
            "wait_seconds_bucket{le=\"+Inf\"} 4\n"
            "wait_seconds_sum 9.002000001\n"
            "wait_seconds_count 4\n");
}

TEST(ExpositionDeathTest, NamesThatBreakTheRulesAreBugs) {
  EXPECT_DEATH(Exposition().counter("things", "Things."), "_total");
  EXPECT_DEATH(Exposition().gauge("things_total", "Things."), "_total");
  EXPECT_DEATH(Exposition().gauge("1things", "Things."), "name");
  EXPECT_DEATH(Exposition().gauge("things", ""), "help");
  EXPECT_DEATH(
      {
        Exposition out;
        out.gauge("a", "A.");
        out.gauge("a", "A.");
      },
      "families");
}

}  // namespace
}  // namespace runink::telemetry
