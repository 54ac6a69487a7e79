#include "client/local/sink_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "client/local/project_in_test.h"

namespace runink::local {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kRecords = "{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":3}\n";

class SinkTargets : public ::testing::Test {
 protected:
  void SetUp() override {
    p_.write("contracts/c.contract", "contract C { int64 a; }\n");
    p_.write("data/in.ndjson", kRecords);
    fs::create_directories(p_.root() + "/out");
  }
  // Of a feature that writes what it reads to each of these.
  Status run(const std::string& sinks) {
    p_.write("features/f.dsl", R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    When records are checked against the contract
)" + sinks);
    RunOptions options;
    options.feature = "features/f.dsl";
    options.threads = 1;
    auto outcome = run_feature(p_.project(), options);
    return outcome.ok() ? outcome->status : outcome.status();
  }
  std::string at(const std::string& path) const { return p_.root() + "/" + path; }
  TestProject p_;
};

TEST_F(SinkTargets, ALinkToTheSourceIsRefused) {
  fs::create_symlink("../data/in.ndjson", at("out/link.ndjson"));
  fs::create_directory_symlink("data", at("door"));
  fs::create_hard_link(at("data/in.ndjson"), at("out/hard.ndjson"));
  for (const std::string sink : {"out/link.ndjson", "door/in.ndjson", "out/hard.ndjson"}) {
    const Status status = run("    Then records are written to \"" + sink + "\"\n");
    EXPECT_EQ(status.kind(), "dsl.sink_conflict") << sink;
    EXPECT_THAT(status.message(), StartsWith("features/f.dsl:6:34: " + sink + " is also what this scenario reads")) << sink;
    EXPECT_EQ(p_.read("data/in.ndjson"), kRecords) << sink;
    EXPECT_FALSE(fs::exists(at(".runink/runs")) && !fs::is_empty(at(".runink/runs"))) << "nothing ran";
  }
  EXPECT_TRUE(run("    Then records are written to \"out/free.ndjson\"\n").ok());
}

TEST_F(SinkTargets, TwoNamesOfOneFileAreRefused) {
  fs::create_symlink("a.ndjson", at("out/b.ndjson"));  // the file is not there yet
  fs::create_directory_symlink("out", at("door"));
  for (const std::string other : {"out/b.ndjson", "door/a.ndjson"}) {
    const Status status = run("    @sink(\"out/a.ndjson\")\n    Then records are written\n    @sink(\"" + other +
                              "\", name=\"refused\")\n    And rejected records go to dead letters\n");
    EXPECT_EQ(status.kind(), "dsl.sink_conflict") << other;
    EXPECT_THAT(status.message(), HasSubstr("it is the same file as out/a.ndjson")) << other;
    EXPECT_FALSE(fs::exists(at("out/a.ndjson"))) << other;
  }
}

TEST_F(SinkTargets, TheProjectsOwnFilesAreRefused) {
  p_.write("steps/pass.sh", "cat");
  p_.write("golden/f/s/input/in.ndjson", kRecords);
  p_.write("elsewhere/own.contract", "contract C { int64 a; }\n");
  fs::create_symlink("../contracts/c.contract", at("out/link.ndjson"));
  fs::create_symlink("../.runink/key", at("out/key"));  // the key may not be there yet
  for (const std::string sink : {"contracts/c.contract", "features/f.dsl", "runink.toml", ".runink/key", ".runink/runs/x", "steps/pass.sh",
                                 "golden/f/s/input/in.ndjson", "golden/new.ndjson", "out/link.ndjson", "out/key", "./contracts//c.contract"}) {
    const Status status = run("    @sink(\"" + sink + "\", format=\"ndjson\")\n    Then records are written\n");
    EXPECT_EQ(status.kind(), "dsl.sink_conflict") << sink << ": " << status.to_string();
    EXPECT_THAT(status.message(), HasSubstr(" belongs to the project itself; a run would destroy it")) << sink;
    EXPECT_EQ(p_.read("contracts/c.contract"), "contract C { int64 a; }\n") << sink;
    EXPECT_FALSE(fs::exists(at(".runink/key"))) << "nothing ran";
  }
  fs::rename(at("golden"), at("far"));
  fs::create_directory_symlink("far", at("golden"));
  EXPECT_THAT(run("    Then records are written to \"far/f/x.ndjson\"\n").message(), HasSubstr("far/f/x.ndjson, which leads to golden/f/x.ndjson,"));
  EXPECT_EQ(run("    @sink(\"contracts/c.contract\", mode=\"append\", format=\"ndjson\")\n    Then rejected records are written\n").kind(),
            "dsl.sink_conflict");
  EXPECT_EQ(run("    Then records are written to \"out/x.ndjson\"\n\n    Notifications:\n      - file:features/f.dsl\n").kind(),
            "dsl.sink_conflict");
  EXPECT_TRUE(run("    Then records are written to \"out/contracts/x.ndjson\"\n").ok());
}

// A link that leads to a file of its own is followed, as it always was.
TEST_F(SinkTargets, OtherLinksAreFine) {
  p_.write("elsewhere/x.ndjson", "");
  fs::create_symlink("../elsewhere/x.ndjson", at("out/x.ndjson"));
  EXPECT_TRUE(run("    Then records are written to \"out/x.ndjson\"\n").ok());
  EXPECT_EQ(p_.read("elsewhere/x.ndjson"), "{\"a\":1}\n{\"a\":3}\n");
}

}  // namespace
}  // namespace runink::local
