#include "testing/sim_disk.h"

#include <gtest/gtest.h>

#include <set>

namespace runink::testing {
namespace {

std::string read_all(SimDisk& disk, const std::string& name) {
  auto file = disk.open(name);
  if (!file.ok()) return "absent";
  auto bytes = (*file)->read(0, 1 << 20);
  return bytes.ok() ? *bytes : "unreadable";
}

void make(SimDisk& disk, const std::string& name, const std::string& bytes) {
  auto file = disk.create(name);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->write(0, bytes).ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE(disk.sync_folder().ok());
}

TEST(SimDiskTest, WhatIsSyncedSurvivesAndOnlyThat) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    make(disk, "a", std::string(2048, 'a'));
    auto file = disk.open("a");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write(0, std::string(1024, 'b')).ok());
    EXPECT_EQ(read_all(disk, "a"), std::string(1024, 'b') + std::string(1024, 'a')) << "the cache shows it";
    disk.crash();
    const std::string after = read_all(disk, "a");
    ASSERT_EQ(after.size(), 2048u);
    EXPECT_EQ(after.substr(1024), std::string(1024, 'a'));
    for (size_t sector = 0; sector < 2; ++sector) {
      EXPECT_EQ(after.substr(sector * kSimSector, kSimSector), std::string(kSimSector, after[sector * kSimSector]))
          << "a torn sector";
    }
    seen.insert({after[0], after[kSimSector]});
    EXPECT_EQ((*file)->sync().code(), Code::kUnavailable) << "a file of before";
  }
  EXPECT_EQ(seen, (std::set<std::string>{"aa", "ab", "ba", "bb"}));
}

TEST(SimDiskTest, NamesAreDurableWithTheFolder) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    make(disk, "a", "1");
    make(disk, "b", "2");
    ASSERT_TRUE(disk.rename("a", "c").ok());
    ASSERT_TRUE(disk.remove("b").ok());
    EXPECT_EQ(*disk.list(), std::vector<std::string>{"c"});
    disk.crash();
    std::string names;
    const std::vector<std::string> left = *disk.list();
    for (const std::string& name : left) names += name + read_all(disk, name);
    seen.insert(names);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a1b2", "b2c1", "a1", "c1"}));
}

TEST(SimDiskTest, ASyncThatFailedIsForgotten) {
  std::set<char> seen;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SimDisk disk(seed);
    make(disk, "a", std::string(kSimSector, 'a'));
    auto file = disk.open("a");
    ASSERT_TRUE((*file)->write(0, std::string(kSimSector, 'b')).ok());
    disk.fail_after(0, SimDisk::Fault::kIo);
    EXPECT_EQ((*file)->sync().code(), Code::kDataLoss);
    EXPECT_TRUE((*file)->sync().ok()) << "the next one says that all is well";
    EXPECT_EQ(read_all(disk, "a")[0], 'b') << "as does the cache";
    disk.crash();
    seen.insert(read_all(disk, "a")[0]);
  }
  EXPECT_EQ(seen, (std::set<char>{'a', 'b'}));
}

TEST(SimDiskTest, SpaceEndsAndReservedSpaceDoesNot) {
  SimDisk disk(1);
  disk.set_space(8192);
  auto file = disk.create("a");
  ASSERT_TRUE((*file)->reserve(4096).ok());
  EXPECT_EQ((*file)->reserve(8193).code(), Code::kResourceExhausted);
  EXPECT_EQ(disk.used_bytes(), 4096u);
  auto other = disk.create("b");
  ASSERT_TRUE((*other)->write(0, std::string(4096, 'x')).ok());
  EXPECT_EQ((*other)->write(4096, "x").code(), Code::kResourceExhausted);
  EXPECT_TRUE((*file)->write(0, std::string(4096, 'y')).ok());
  ASSERT_TRUE(disk.remove("b").ok());
  EXPECT_TRUE((*file)->reserve(8192).ok());
}

TEST(SimDiskTest, PowerIsCutAtTheOperationThatWasNamed) {
  SimDisk disk(7);
  make(disk, "a", "1");
  const uint64_t before = disk.operations();
  disk.cut_power_after(2);
  auto file = disk.open("a");
  EXPECT_TRUE((*file)->write(0, "2").ok());
  EXPECT_TRUE((*file)->sync().ok());
  EXPECT_EQ(disk.remove("a").code(), Code::kUnavailable);
  EXPECT_EQ(disk.operations(), before + 3);
  EXPECT_TRUE(disk.power_is_off());
  EXPECT_EQ((*file)->read(0, 1).status().code(), Code::kUnavailable);
  EXPECT_EQ(disk.list().status().code(), Code::kUnavailable);
  disk.crash();
  EXPECT_EQ(read_all(disk, "a").front() == '2' || read_all(disk, "a") == "absent", true);
}

TEST(SimDiskTest, DamageAndLies) {
  SimDisk disk(3);
  make(disk, "a", std::string(4096, 'a'));
  disk.flip("a", 5, 2);
  EXPECT_EQ(read_all(disk, "a")[5], 'c');
  disk.crash();
  EXPECT_EQ(read_all(disk, "a")[5], 'c') << "damage is on the disk";
  const SimDisk::Place place = disk.rot_somewhere();
  EXPECT_EQ(place.name, "a");
  const std::string rotten = read_all(disk, "a").substr(place.offset, kSimSector);
  for (size_t i = 0; i < rotten.size(); ++i) EXPECT_NE(rotten[i], place.offset + i == 5 ? 'c' : 'a');

  SimDisk::Rates lies;
  lies.lost_write = 1;
  disk.set_rates(lies);
  auto file = disk.open("a");
  const std::string before = read_all(disk, "a");
  EXPECT_TRUE((*file)->write(0, "zzzz").ok());
  EXPECT_EQ(read_all(disk, "a"), before);
  lies.lost_write = 0;
  lies.misdirected_write = 1;
  disk.set_rates(lies);
  EXPECT_TRUE((*file)->write(1, "zzzz").ok());
  const std::string after = read_all(disk, "a");
  EXPECT_NE(after, before);
  EXPECT_EQ(after.find("zzzz") % kSimSector, 0u);
  EXPECT_EQ(disk.faults(), 2u);
}

TEST(SimDiskTest, TheSameSeedAndCallsGiveTheSameBytes) {
  const auto play = [](uint64_t seed) {
    SimDisk disk(seed);
    std::string out;
    for (int round = 0; round < 20; ++round) {
      auto file = disk.create(std::string(1, static_cast<char>('a' + round % 5)));
      for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(
            (*file)->write(static_cast<uint64_t>(i) * 700, std::string(900, static_cast<char>('A' + round))).ok());
      EXPECT_TRUE(round % 3 != 0 || (*file)->sync().ok());
      EXPECT_TRUE(round % 4 != 0 || disk.sync_folder().ok());
      if (round % 7 == 5) disk.crash();
    }
    const std::vector<std::string> names = *disk.list();
    for (const std::string& name : names) out += name + disk.bytes(name);
    return out;
  };
  EXPECT_TRUE(play(5) == play(5));
  std::set<std::string> different;
  for (uint64_t seed = 0; seed < 20; ++seed) different.insert(play(seed));
  EXPECT_GT(different.size(), 5u);
}

TEST(SimDiskTest, ACloneGoesItsOwnWay) {
  SimDisk disk(1);
  make(disk, "a", "1");
  auto copy = disk.clone(2);
  make(disk, "a", "2");
  EXPECT_EQ(read_all(*copy, "a"), "1");
}

}  // namespace
}  // namespace runink::testing
