#include "model/slice_resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SliceResources, RefusesWhatNoMachineHolds) {
  struct {
    SliceResources resources;
    const char* says;
  } const cases[] = {
      {{.cpu_weight = 0}, "weight of 0"},
      {{.cpu_weight = 10'001}, "weight of 10001"},
      {{.memory_high_bytes = 1}, "the least is 1 MiB"},
      {{.memory_bytes = 1u << 20, .memory_high_bytes = 2u << 20}, "would never be reached"},
      {{.swap_bytes = 0}, "without a limit of memory"},
      {{.cpu_set = {1, 0}}, "processor 0: numbers are sorted"},
      {{.cpu_set = {1, 1}}, "each is named once"},
      {{.memory_nodes = {8192}}, "NUMA node 8192"},
      {{.io = {{.device = "/dev/sda"}}}, "it says no limit"},
      {{.io = {{.device = "/dev/sda", .read_bytes_per_second = 0}}}, "the least is 1 a second"},
      {{.io = {{.device = "/srv/disk", .read_bytes_per_second = 1}}}, "not a device below /dev"},
      {{.io = {{.device = "/dev", .read_bytes_per_second = 1}}}, "not a device below /dev"},
      {{.io = {{.device = "/dev/../srv/x", .read_bytes_per_second = 1}}}, "not a device below /dev"},
      {{.io = {{.device = "/dev/a", .read_bytes_per_second = 1}, {.device = "/dev/a", .write_bytes_per_second = 1}}},
       "given twice"},
  };
  for (const auto& c : cases) {
    const Status status = validate(c.resources);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << c.says;
    EXPECT_THAT(status.to_string(), HasSubstr(c.says));
  }
}

// Each alone is a limit: none may be forgotten where it is asked whether there is one.
TEST(SliceResources, EachIsALimit) {
  const SliceResources limited[] = {
      {.cpus = 1},
      {.cpu_weight = 1},
      {.memory_bytes = 1u << 20},
      {.memory_high_bytes = 1u << 20},
      {.processes = 2},
      {.cpu_set = {0}},
      {.memory_nodes = {0}},
      {.io = {{.device = "/dev/sda", .write_operations_per_second = 1}}},
  };
  for (const SliceResources& resources : limited) {
    EXPECT_TRUE(validate(resources).ok()) << validate(resources).to_string();
    EXPECT_TRUE(resources.any());
    EXPECT_NE(describe(resources), "");
  }
  EXPECT_FALSE(SliceResources().any());
  EXPECT_EQ(describe(SliceResources()), "");
}

TEST(SliceResources, Describes) {
  const SliceResources resources = {.cpus = 0.5,
                                    .memory_bytes = 64u << 20,
                                    .swap_bytes = 0,
                                    .cpu_set = {0, 2},
                                    .io = {{.device = "/dev/sda", .read_bytes_per_second = 1'000'000}}};
  EXPECT_EQ(
      describe(resources),
      "0.5 processors, 67.1 MB of memory, 0 B of swap, the processors 0,2, reading from /dev/sda 1.00 MB a second");
}

TEST(SliceResources, ReadsNumbers) {
  EXPECT_THAT(*parse_numbers("3"), ElementsAre(3));
  EXPECT_THAT(*parse_numbers("6,0-2,1"), ElementsAre(0, 1, 2, 6));
  for (const char* bad : {"", ",", "1,", "2-1", "-1", "1-", "a", "8192", "0-99999999", "1 "}) {
    EXPECT_EQ(parse_numbers(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(SliceResources, ReadsLimitsOfDevices) {
  const auto limit = parse_io_limit("/dev/sda:read=10M,write-ops=200");
  ASSERT_TRUE(limit.ok()) << limit.status().to_string();
  EXPECT_EQ(limit->device, "/dev/sda");
  EXPECT_EQ(limit->read_bytes_per_second, 10'000'000u);
  EXPECT_EQ(limit->write_operations_per_second, 200u);
  EXPECT_FALSE(limit->write_bytes_per_second || limit->read_operations_per_second);
  for (const char* bad : {"", "/dev/sda", "/dev/sda:", "/dev/sda:read", "/dev/sda:read=", "/dev/sda:reads=1",
                          "/dev/sda:read=1,read=2", "/dev/sda:read=x"}) {
    EXPECT_EQ(parse_io_limit(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace runink::model
