#include "worker/sandbox/node_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

TEST(NodeSize, ThatOfThisNode) {
  const NodeSize node = read_node_size();
  EXPECT_EQ(static_cast<long>(node.processors.size()), ::sysconf(_SC_NPROCESSORS_ONLN));
  EXPECT_GT(node.memory_bytes, 1u << 20);
  EXPECT_TRUE(node.swap_known);
  EXPECT_GT(node.processes, 100u) << "files of /proc/sys are read whole";
}

TEST(NodeSize, ReadsSwap) {
  uint64_t bytes = 7;
  EXPECT_TRUE(parse_swap_total("MemTotal:  10 kB\nSwapTotal:      2048 kB\nSwapFree: 1 kB\n", &bytes));
  EXPECT_EQ(bytes, 2048u * 1024);
  for (const char* bad : {"", "SwapTotal: x kB", "SwapTotal: 5 MB", "SwapTotal: 5", "Swap: 5 kB"}) {
    EXPECT_FALSE(parse_swap_total(bad, &bytes)) << bad;
  }
}

TEST(NodeSize, WhatFitsAndWhatDoesNot) {
  const NodeSize node = {.processors = {0, 1, 3},
                         .memory_nodes = {0},
                         .memory_bytes = 1u << 30,
                         .swap_known = true,
                         .swap_bytes = 0,
                         .processes = 1000};
  const model::SliceResources fit = {
      .cpus = 3, .memory_bytes = 1u << 30, .swap_bytes = 0, .processes = 1000, .cpu_set = {1, 3}, .memory_nodes = {0}};
  EXPECT_TRUE(check_fits(fit, node).ok()) << check_fits(fit, node).to_string();
  struct {
    model::SliceResources resources;
    const char* says;
  } const cases[] = {
      {{.cpus = 3.5}, "limit of 3.5 processors: this node has 3"},
      {{.memory_bytes = 2u << 30}, "limit of memory to 2.15 GB: this node has 1.07 GB"},
      {{.memory_high_bytes = 2u << 30}, "this node has 1.07 GB"},
      {{.memory_bytes = 1u << 20, .swap_bytes = 1}, "limit of swap to 1 B: this node has 0 B"},
      {{.processes = 1001}, "limit of 1001 processes: this node has room for 1000"},
      {{.cpu_set = {2}}, "limit of the slice to processor 2: this node has 0-1,3"},
      {{.memory_nodes = {1}}, "limit of its memory to NUMA node 1: this node has 0"},
  };
  for (const auto& c : cases) {
    const Status refused = check_fits(c.resources, node);
    EXPECT_EQ(refused.kind(), "sandbox.limit") << c.says;
    EXPECT_THAT(refused.to_string(), HasSubstr(c.says));
    EXPECT_TRUE(check_fits(c.resources, NodeSize()).ok()) << c.says;
  }
}

TEST(NodeSize, WhatFitsIntoAHerdAndWhatDoesNot) {
  const model::HerdLimit herd = {.herd = "etl",
                                 .resources = {.cpus = 2,
                                               .memory_bytes = 1u << 30,
                                               .processes = 100,
                                               .cpu_set = {0, 1},
                                               .memory_nodes = {0},
                                               .io = {{.device = "/dev/sda", .read_bytes_per_second = 10}}}};
  EXPECT_TRUE(check_fits(herd.resources, herd).ok());
  EXPECT_TRUE(check_fits(model::SliceResources(), herd).ok());
  const model::SliceResources other = {.cpu_weight = 10'000,
                                       .io = {{.device = "/dev/sdb", .read_bytes_per_second = 11}}};
  EXPECT_TRUE(check_fits(other, herd).ok());
  struct {
    model::SliceResources resources;
    const char* says;
  } const cases[] = {
      {{.cpus = 2.5}, "limit of processors to 2.5: its herd etl has 2"},
      {{.memory_bytes = 2u << 30}, "limit of memory to 2.15 GB: its herd etl has 1.07 GB"},
      {{.memory_high_bytes = 2u << 30}, "its herd etl has 1.07 GB"},
      {{.memory_bytes = 1u << 20, .swap_bytes = 1}, "limit of swap to 1 B: its herd etl has 0 B"},
      {{.processes = 101}, "limit of processes to 101: its herd etl has 100"},
      {{.cpu_set = {1, 2}}, "limit of the slice to processor 2: its herd etl has 0-1"},
      {{.memory_nodes = {1}}, "limit of its memory to NUMA node 1: its herd etl has 0"},
      {{.io = {{.device = "/dev/sda", .read_bytes_per_second = 11}}},
       "limit of bytes read from /dev/sda to 11 a second: its herd etl has 10 a second"},
  };
  for (const auto& c : cases) {
    const Status refused = check_fits(c.resources, herd);
    EXPECT_EQ(refused.kind(), "sandbox.limit") << c.says;
    EXPECT_THAT(refused.to_string(), HasSubstr(c.says));
    EXPECT_TRUE(check_fits(c.resources, model::HerdLimit{.herd = "etl", .resources = {}}).ok()) << c.says;
  }
}

}  // namespace
}  // namespace runink::sandbox
