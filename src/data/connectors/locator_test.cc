#include "data/connectors/locator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::connectors {
namespace {

using testing::HasSubstr;

LocatorOptions in_project(const std::string& format = "", const std::string& compression = "") {
  LocatorOptions options;
  options.project_root = "/project";
  options.format = format;
  options.compression = compression;
  return options;
}

std::string shown(const Result<Locator>& got) {
  if (!got.ok()) return got.status().message();
  const Locator& l = *got;
  return (l.kind == LocatorKind::kPath       ? l.path
          : l.kind == LocatorKind::kStandard ? "standard"
                                             : "program") +
         " " + std::string(format_name(l.format)) + " " + std::string(compression_name(l.compression)) +
         (l.delimiter == '\t' ? " tab" : "") + (l.is_glob ? " glob" : "");
}

TEST(Locator, PathsAndWhatTheirExtensionsSay) {
  EXPECT_EQ(shown(parse_source_locator("data/x.ndjson", in_project())), "/project/data/x.ndjson ndjson none");
  EXPECT_EQ(shown(parse_source_locator("x.JSONL.gz", in_project())), "/project/x.JSONL.gz ndjson gzip");
  EXPECT_EQ(shown(parse_source_locator("x.json", in_project())), "/project/x.json ndjson none");
  EXPECT_EQ(shown(parse_source_locator("x.csv.zst", in_project())), "/project/x.csv.zst csv zstd");
  EXPECT_EQ(shown(parse_source_locator("x.tsv", in_project())), "/project/x.tsv csv none tab");
  EXPECT_EQ(shown(parse_source_locator("x.arrow", in_project())), "/project/x.arrow arrow none");
  EXPECT_EQ(shown(parse_source_locator("x.arrows", in_project())), "/project/x.arrows arrow none");
  EXPECT_EQ(shown(parse_source_locator("x.dat", in_project("csv"))), "/project/x.dat csv none");
  EXPECT_EQ(shown(parse_source_locator("x.csv.gz", in_project("", "none"))), "/project/x.csv.gz csv none");
  EXPECT_EQ(shown(parse_source_locator("/srv/x.csv", in_project())), "/srv/x.csv csv none");
  EXPECT_EQ(shown(parse_source_locator("file:///srv/x.csv", in_project())), "/srv/x.csv csv none");
  EXPECT_EQ(shown(parse_source_locator("days/*.csv", in_project())), "/project/days/*.csv csv none glob");
  EXPECT_EQ(shown(parse_sink_locator("days/*.csv", in_project())), "/project/days/*.csv csv none");
  EXPECT_EQ(shown(parse_source_locator("-", in_project("ndjson"))), "standard ndjson none");
}

TEST(Locator, Programs) {
  LocatorOptions options = in_project("csv");
  options.exec = "dpkg-query -W -f '${Package},${Version}\\n'";
  const auto got = parse_source_locator("", options);
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_EQ(shown(got), "program csv none");
  EXPECT_EQ(got->command.size(), 4u);
  EXPECT_EQ(got->working_directory, "/project");
  EXPECT_THAT(shown(parse_source_locator("x.csv", options)), HasSubstr("either a path or a program"));
  options.exec = "a | b";
  EXPECT_FALSE(parse_source_locator("", options).ok());
}

TEST(Locator, RefusesWhatItCannotMean) {
  EXPECT_THAT(shown(parse_source_locator("file://x/y.csv", in_project())), HasSubstr("\"x\""));
  EXPECT_THAT(shown(parse_source_locator("s3://bucket/y.csv", in_project())), HasSubstr("no connector for s3://"));
  EXPECT_THAT(shown(parse_source_locator("x", in_project())), HasSubstr("no extension"));
  EXPECT_THAT(shown(parse_source_locator("x.xlsx", in_project())), HasSubstr(".xlsx"));
  EXPECT_THAT(shown(parse_source_locator("-", in_project())), HasSubstr("needs a format"));
  EXPECT_THAT(shown(parse_source_locator("", in_project())), HasSubstr("empty"));
  EXPECT_THAT(shown(parse_source_locator("data/", in_project("csv"))), HasSubstr("directory"));
  EXPECT_THAT(shown(parse_source_locator(std::string_view("a\0b.csv", 7), in_project())), HasSubstr("NUL"));
  EXPECT_THAT(shown(parse_source_locator("x.csv", in_project("", "lz4"))), HasSubstr("no compression"));
  const auto misspelt = parse_source_locator("x.csv", in_project("ndjsn"));
  EXPECT_THAT(misspelt.status().hint(), HasSubstr("\"ndjson\""));
}

TEST(Locator, OddPathsAreTakenAsTheyAre) {
  const auto folder = os::TempFolder::create("").value();
  LocatorOptions options;
  options.project_root = folder.path();
  ASSERT_TRUE(os::write_file_atomic(folder.file("odd [1] *ü\n.csv"), "a\n").ok());
  const auto got = parse_source_locator("odd [1] *ü\n.csv", options);
  ASSERT_TRUE(got.ok());
  EXPECT_FALSE(got->is_glob);
  EXPECT_EQ(expand(*got).value().at(0), folder.file("odd [1] *ü\n.csv"));
  EXPECT_EQ(expand(parse_source_locator("odd*.csv", options).value()).value().size(), 1u);
}

}  // namespace
}  // namespace runink::connectors
