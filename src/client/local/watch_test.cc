#include "client/local/watch.h"

#include <gtest/gtest.h>

#include "client/local/project_in_test.h"

namespace runink::local {
namespace {

class WatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    p_.write("contracts/c.contract", "contract C { int64 a; }\n");
    p_.write("data/1.ndjson", "{\"a\":1}\n");
    p_.write("out/first.ndjson", "{\"a\":1}\n");
    p_.write("features/f.dsl", R"(Feature: F
  Scenario: First
    @source("data/*.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/first.ndjson"
  Scenario: Second
    @source("out/first.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/second.ndjson"
)");
  }
  // Whether the watch sees what `change` does.
  template <typename Change>
  bool sees(Change change) {
    const Watch watch(p_.project(), "features/f.dsl");
    EXPECT_FALSE(watch.changed());
    change();
    return watch.changed();
  }
  TestProject p_;
};

TEST_F(WatchTest, SeesWhatARunReads) {
  EXPECT_TRUE(sees([&] { p_.write("data/1.ndjson", "{\"a\":1}\n{\"a\":2}\n"); }));
  EXPECT_TRUE(sees([&] { p_.write("contracts/c.contract", "contract C { int64 a; string b; }\n"); }));
  EXPECT_TRUE(sees([&] { p_.write("runink.toml", "name = \"other\"\n"); }));
  EXPECT_TRUE(sees([&] { p_.write("data/2.ndjson", "{\"a\":2}\n"); }));  // new, and fits the pattern
  EXPECT_TRUE(sees([&] { std::filesystem::remove(p_.root() + "/data/2.ndjson"); }));
  EXPECT_TRUE(sees([&] { p_.write("steps/new.cpp", "//\n"); }));  // in a folder that is new itself
  EXPECT_TRUE(sees([&] { p_.write("steps/newer.cpp", "//\n"); }));
}

TEST_F(WatchTest, SeesNothingElse) {
  EXPECT_FALSE(sees([&] { p_.write("data/notes.txt", "x"); }));
  EXPECT_FALSE(sees([&] { p_.write("out/second.ndjson", "{\"a\":3}\n"); }));
  // Or every run would be the reason for the next one.
  EXPECT_FALSE(sees([&] { p_.write("out/first.ndjson", "{\"a\":1}\n{\"a\":2}\n"); }));
}

TEST_F(WatchTest, AFeatureThatDoesNotCompileIsWatchedToo) {
  p_.write("features/f.dsl", "Feature: F\n  Scenario: S\n    Given nonsense\n");
  EXPECT_TRUE(sees([&] { p_.write("features/f.dsl", "Feature: F\n  Scenario: S\n    Given other nonsense\n"); }));
}

TEST_F(WatchTest, WaitingEndsByAChangeOrAStop) {
  StopFlag stop;
  const Watch watch(p_.project(), "features/f.dsl");
  p_.write("data/1.ndjson", "{\"a\":1}\n{\"a\":2}\n");
  EXPECT_TRUE(watch.wait_for_change(stop));
  stop.request();
  EXPECT_FALSE(watch.wait_for_change(stop));
}

}  // namespace
}  // namespace runink::local
