#include "platform/telemetry/machine_stats.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/clock.h"
#include "platform/os/fd.h"
#include "platform/os/machine.h"

namespace runink::telemetry {
namespace {

TEST(MachineStats, WhatThisProcessUses) {
  const ProcessStats before = process_stats();
  const double now = static_cast<double>(system_clock().unix_micros()) / 1e6;
  EXPECT_GT(before.start_unix_seconds, now - 600);
  EXPECT_LE(before.start_unix_seconds, now + 1);
  EXPECT_GT(before.resident_bytes, 1u << 20);
  EXPECT_GE(before.virtual_bytes, before.resident_bytes);
  EXPECT_GE(before.threads, 1u);
  const os::Pipe pipe = *os::make_pipe("test");
  std::vector<char> touched(64 << 20, 'x');
  bool seen = false;
  std::thread other([&] {
    const ProcessStats during = process_stats();
    seen = during.threads == before.threads + 1;
  });
  other.join();
  EXPECT_TRUE(seen);
  const ProcessStats after = process_stats();
  EXPECT_EQ(after.open_fds, before.open_fds + 2);
  EXPECT_GE(after.resident_bytes, before.resident_bytes + (32u << 20) + static_cast<size_t>(touched.back() == 'y'));
  EXPECT_GE(after.cpu_seconds, before.cpu_seconds);
  const os::ResourceUse use = os::own_resources();
  EXPECT_NEAR(after.cpu_seconds, use.user_seconds + use.system_seconds, 1.0);
}

TEST(MachineStats, ADisk) {
  const auto stats = disk_stats(".");
  ASSERT_TRUE(stats);
  EXPECT_GT(stats->size_bytes, 0u);
  EXPECT_LE(stats->free_bytes, stats->size_bytes);
  EXPECT_FALSE(disk_stats("no/such/folder"));
}

}  // namespace
}  // namespace runink::telemetry
