#include "model/herd_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::model {
namespace {

using ::testing::HasSubstr;

TEST(HerdLimits, EveryLimitOfASliceCanBeGiven) {
  std::vector<HerdLimit> limits;
  ASSERT_TRUE(add_herd_limit("etl:cpu=1.5,cpu-weight=200,memory=4Gi,memory-high=3Gi,swap=0,pids=1000,cpuset=0-3,6,"
                             "numa=0,io=/dev/sda:read=10M,write-ops=200,io=/dev/sdb:write=1M",
                             &limits)
                  .ok());
  ASSERT_EQ(limits.size(), 1u);
  EXPECT_EQ(limits[0].herd, "etl");
  const SliceResources& r = limits[0].resources;
  EXPECT_EQ(r.cpus, 1.5);
  EXPECT_EQ(r.cpu_weight, 200u);
  EXPECT_EQ(r.memory_bytes, 4ull << 30);
  EXPECT_EQ(r.memory_high_bytes, 3ull << 30);
  EXPECT_EQ(r.swap_bytes, 0u);
  EXPECT_EQ(r.processes, 1000u);
  EXPECT_EQ(r.cpu_set, (std::vector<uint32_t>{0, 1, 2, 3, 6}));
  EXPECT_EQ(r.memory_nodes, (std::vector<uint32_t>{0}));
  ASSERT_EQ(r.io.size(), 2u);
  EXPECT_EQ(r.io[0].write_operations_per_second, 200u);
  EXPECT_EQ(r.io[1].device, "/dev/sdb");
}

TEST(HerdLimits, SeveralTextsOfAHerdAreOneLimit) {
  std::vector<HerdLimit> limits;
  ASSERT_TRUE(add_herd_limit("etl:cpu=2", &limits).ok());
  ASSERT_TRUE(add_herd_limit("web:pids=10", &limits).ok());
  ASSERT_TRUE(add_herd_limit("etl:memory=1Gi", &limits).ok());
  ASSERT_EQ(limits.size(), 2u);
  EXPECT_EQ(limits[0].resources.cpus, 2);
  EXPECT_EQ(limits[0].resources.memory_bytes, 1ull << 30);
  const Status twice = add_herd_limit("etl:cpu=3", &limits);
  EXPECT_THAT(twice.message(), HasSubstr("cpu is given twice"));
  EXPECT_EQ(limits[0].resources.cpus, 2) << "what was refused changes nothing";
}

TEST(HerdLimits, WhatIsNoLimitIsRefused) {
  for (const char* text : {"",
                           "etl",
                           ":cpu=2",
                           "ETL:cpu=2",
                           "../x:cpu=2",
                           "etl:",
                           "etl:cpu",
                           "etl:cpu=",
                           "etl:cpu=x",
                           "etl:cpu=nan",
                           "etl:cpu=0",
                           "etl:cpu=2,",
                           "etl:cpus=2",
                           "etl:memory=4,cpus=2",
                           "etl:memory=lots",
                           "etl:memory=1",
                           "etl:pids=1",
                           "etl:pids=99999999999",
                           "etl:cpu-weight=0",
                           "etl:cpuset=3-1",
                           "etl:swap=1Gi",
                           "etl:io=/dev/sda",
                           "etl:io=/dev/sda:read=0",
                           "etl:io=sda:read=1M",
                           "etl:memory=1Gi,memory-high=2Gi",
                           "etl:6"}) {
    std::vector<HerdLimit> limits;
    const Status refused = add_herd_limit(text, &limits);
    EXPECT_EQ(refused.code(), Code::kInvalidArgument) << text;
    EXPECT_TRUE(limits.empty()) << text;
  }
}

}  // namespace
}  // namespace runink::model
