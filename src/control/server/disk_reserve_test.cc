#include "control/server/disk_reserve.h"

#include <gtest/gtest.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::server {
namespace {

constexpr uint64_t kBytes = 1 << 20;

class DiskReserveTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_->path() + "/ballast"; }
  uint64_t size() const {
    const auto info = os::file_info(path());
    return info.ok() ? info->size : 0;
  }
  std::optional<os::TempFolder> folder_ = *os::TempFolder::create("");
};

TEST_F(DiskReserveTest, IsHeldWhileThereIsSpace) {
  const DiskReserve reserve(folder_->path(), kBytes, 0);
  EXPECT_TRUE(reserve.has_room());
  EXPECT_EQ(size(), kBytes);
}

TEST_F(DiskReserveTest, IsGivenUpWhereTooLittleIsFree) {
  { const DiskReserve reserve(folder_->path(), kBytes, 0); }
  ASSERT_EQ(size(), kBytes);
  DiskReserve reserve(folder_->path(), kBytes, uint64_t{1} << 60);  // no disk has so much
  EXPECT_FALSE(reserve.has_room());
  EXPECT_EQ(size(), 0u);
  reserve.look();
  EXPECT_FALSE(reserve.has_room());
}

TEST_F(DiskReserveTest, WhatACrashLeftIsMadeAnew) {
  ASSERT_TRUE(os::write_file_atomic(path(), "half").ok());
  const DiskReserve reserve(folder_->path(), kBytes, 0);
  EXPECT_TRUE(reserve.has_room());
  EXPECT_EQ(size(), kBytes);
}

TEST_F(DiskReserveTest, WhatDoesNotFitIsNotHeld) {
  const DiskReserve reserve(folder_->path(), uint64_t{1} << 60, 0);
  EXPECT_FALSE(reserve.has_room());
  EXPECT_EQ(size(), 0u);
}

}  // namespace
}  // namespace runink::server
