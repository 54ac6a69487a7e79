// Metrics of slices: what is taken, what is refused, and how those of several are put together.
#include "worker/agent/metrics_text.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::agent {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

constexpr char kPage[] =
    "# HELP rows_total Rows read.\n"
    "# TYPE rows_total counter\n"
    "rows_total{step=\"clean\",reason=\"a \\\"b\\\" \\\\ \\n\"} 10\n"
    "rows_total{step=\"join\",} 11 1700000000000\n"
    "\n"
    "# a remark\n"
    "# TYPE wait_seconds histogram\n"
    "wait_seconds_bucket{le=\"0.1\"} 1\n"
    "wait_seconds_bucket{le=\"+Inf\"} 2\n"
    "wait_seconds_sum 0.5\n"
    "wait_seconds_count 2\n"
    "loose  NaN\n";

TEST(Metrics, AreParsed) {
  const auto families = parse_metrics(kPage);
  ASSERT_TRUE(families.ok()) << families.status().to_string();
  ASSERT_THAT(*families, SizeIs(3));
  EXPECT_EQ((*families)[0].name, "rows_total");
  EXPECT_EQ((*families)[0].type, "counter");
  EXPECT_EQ((*families)[0].help, "Rows read.");
  ASSERT_THAT((*families)[0].samples, SizeIs(2));
  EXPECT_EQ((*families)[0].samples[0].labels[1].second, "a \"b\" \\ \n");
  EXPECT_EQ((*families)[0].samples[1].value, "11");
  EXPECT_EQ((*families)[1].type, "histogram");
  EXPECT_THAT((*families)[1].samples, SizeIs(4));
  EXPECT_EQ((*families)[2].type, "untyped");
  EXPECT_TRUE(parse_metrics("")->empty());
}

TEST(Metrics, OneFaultRefusesThePage) {
  for (const char* bad : {
           "a 1",      // ends within a line
           "1a 1\n",   // no name
           "a\n",      // no value
           "a one\n",  // no number
           "a +-1\n",
           "a 1e999\n",
           "a nan(1)\n",
           "a -\n",
           "a 1 yesterday\n",  // no time
           "a 1 2 3\n",        // too much
           "a{ 1\n",
           "a{b} 1\n",
           "a{b=} 1\n",
           "a{b=\"} 1\n",
           "a{b=\"c\" 1\n",
           "a{b=\"\\x\"} 1\n",
           "a{1=\"c\"} 1\n",
           "a{b=\"c\",b=\"d\"} 1\n",  // a label twice
           "a 1\na 2\n",              // a series twice
           "a{b=\"1\",c=\"2\"} 1\na{c=\"2\",b=\"1\"} 1\n",
           "a{b=\"\"} 1\na 1\n",
           "# TYPE a table\na 1\n",
           "# TYPE a gauge\n# TYPE a gauge\na 1\n",
           "a 1\n# TYPE a gauge\n",
           "# TYPE a histogram\na 1\n",
           "# TYPE a histogram\na_bucket 1\n",
           "# HELP 1a help\n",
           "a{b=\"\xff\"} 1\n",
           "a\x01 1\n",
       }) {
    const auto families = parse_metrics(bad);
    EXPECT_EQ(families.status().code(), Code::kInvalidArgument) << escape_control(bad);
  }
  EXPECT_THAT(parse_metrics("a 1\nb x\n").status().to_string(), HasSubstr("line 2: b has the value \"x\""));
}

TEST(Metrics, TooMuchIsRefused) {
  MetricLimits limits;
  limits.samples = 3;
  EXPECT_TRUE(parse_metrics("a 1\nb 1\nc 1\n", limits).ok());
  EXPECT_EQ(parse_metrics("a 1\nb 1\nc 1\nd 1\n", limits).status().code(), Code::kResourceExhausted);
  limits = {};
  limits.families = 2;
  EXPECT_EQ(parse_metrics("a 1\nb 1\nc 1\n", limits).status().code(), Code::kResourceExhausted);
  limits = {};
  limits.labels = 1;
  EXPECT_EQ(parse_metrics("a{b=\"1\",c=\"2\"} 1\n", limits).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(parse_metrics(std::string(300, 'a') + " 1\n").status().code(), Code::kResourceExhausted);
  EXPECT_EQ(parse_metrics("a{b=\"" + std::string(2000, 'x') + "\"} 1\n").status().code(), Code::kResourceExhausted);
}

TEST(Metrics, MutatedPagesAreTakenOrRefused) {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = kPage;
    for (int i = 0; i < 3; ++i) {
      const size_t at = random() % text.size();
      if (random() % 2 == 0)
        text[at] = static_cast<char>(random());
      else
        text.erase(at, random() % 5);
    }
    const auto families = parse_metrics(text);
    if (!families.ok()) continue;
    // What is taken is taken again when it is written out, the same.
    MetricsMerge merge;
    merge.add(*families, {{"slice", "s"}});
    const std::string page = merge.render();
    const auto again = parse_metrics(page);
    ASSERT_TRUE(again.ok()) << again.status().to_string() << "\n" << text << "\n->\n" << page;
    MetricsMerge second;
    second.add(*again, {});
    ASSERT_EQ(second.render(), page);
  }
}

TEST(MetricsMerge, LabelsWhoseTheyAreAndKeepsFamiliesTogether) {
  MetricsMerge merge;
  merge.add(
      *parse_metrics("# HELP rows_total Rows.\n# TYPE rows_total counter\nrows_total 1\n# TYPE free gauge\nfree 2\n"),
      {{"slice", "s1"}, {"herd", "etl"}});
  merge.add(*parse_metrics("# TYPE rows_total counter\nrows_total{slice=\"mine\",exported_slice=\"x\",a=\"b\"} 3\n"),
            {{"slice", "s2"}, {"herd", "web"}});
  EXPECT_EQ(merge.render(),
            "# TYPE free gauge\n"
            "free{slice=\"s1\",herd=\"etl\"} 2\n"
            "# HELP rows_total Rows.\n"
            "# TYPE rows_total counter\n"
            "rows_total{slice=\"s1\",herd=\"etl\"} 1\n"
            "rows_total{slice=\"s2\",herd=\"web\",exported_exported_slice=\"mine\",exported_slice=\"x\",a=\"b\"} 3\n");
  EXPECT_EQ(merge.refused_families(), 0u);
}

TEST(MetricsMerge, NobodySpeaksForTheAgentOrChangesAType) {
  MetricsMerge merge;
  merge.add(*parse_metrics("# TYPE a gauge\na 1\nrunink_agent_slices 99\nrunink_node_cpus 1\n"), {{"slice", "s1"}});
  merge.add(*parse_metrics("# TYPE a counter\na 1\nb 1\n"), {{"slice", "s2"}});
  EXPECT_EQ(merge.refused_families(), 3u);
  EXPECT_EQ(merge.render(), "# TYPE a gauge\na{slice=\"s1\"} 1\n# TYPE b untyped\nb{slice=\"s2\"} 1\n");
}

// A help text with what Prometheus' own reader stumbles over.
TEST(MetricsMerge, PromtoolReadsIt) {
  MetricsMerge merge;
  const std::string head = "# HELP rows_total A \\x, a \\\\ and a \\n, ending in \\\n# TYPE rows_total counter\n";
  for (const char* slice : {"s1", "s2"}) {
    merge.add(*parse_metrics(head + "rows_total{step=\"\\\\ \\\" \\n\"} 10\n" +
                             "# HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n"
                             "wait_seconds_bucket{le=\"0.1\"} 1\nwait_seconds_bucket{le=\"+Inf\"} 2\n"
                             "wait_seconds_sum 0.5\nwait_seconds_count 2\n"),
              {{"slice", slice}, {"herd", "h"}});
  }
  const os::TempFolder folder = *os::TempFolder::create("");
  ASSERT_TRUE(os::write_file_atomic(folder.file("page"), merge.render()).ok());
  const os::Fd input = *os::open_file(folder.file("page"));
  const os::Fd output = *os::open_file(folder.file("said"), os::OpenMode::kTruncate);
  os::SpawnOptions options;
  options.argv = {"promtool", "check", "metrics"};
  options.standard_input = input.get();
  options.standard_output = options.standard_error = output.get();
  auto child = os::Child::spawn(options);
  if (!child.ok()) GTEST_SKIP() << "there is no promtool here (package prometheus)";
  const auto ended = child->wait(60'000'000);
  ASSERT_TRUE(ended.ok() && ended->has_value());
  EXPECT_TRUE((*ended)->success());
  EXPECT_EQ(*os::read_file(folder.file("said")), "") << merge.render();
}

}  // namespace
}  // namespace runink::agent
