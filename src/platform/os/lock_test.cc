#include "platform/os/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::os {
namespace {

using ::testing::HasSubstr;

TEST(LockTest, SecondIsToldWhoHoldsIt) {
  const TempFolder folder = std::move(TempFolder::create("")).value();
  const std::string path = folder.file("lock");
  FileLock first = std::move(FileLock::try_acquire(path, "runi run a.dsl")).value();
  const Status second = FileLock::try_acquire(path, "runi run b.dsl").status();
  EXPECT_EQ(second.code(), Code::kAborted);
  EXPECT_EQ(second.kind(), "lock.held");
  EXPECT_THAT(second.message(), HasSubstr(fmt::format("process {}", ::getpid())));
  EXPECT_THAT(second.message(), HasSubstr("runi run a.dsl"));
  first.release();
  EXPECT_TRUE(FileLock::try_acquire(path, "runi run b.dsl").ok());
  EXPECT_TRUE(FileLock::acquire(path, "a much longer purpose than before, then a short one").ok());
  FileLock last = std::move(FileLock::acquire(path, "x")).value();
  EXPECT_THAT(FileLock::try_acquire(path, "y").status().message(), ::testing::EndsWith(": x"));
}

// What is said of the owner is a courtesy: a file that takes no bytes (here, as on a full disk) locks as well.
TEST(LockTest, HeldWhereTheOwnerCannotBeWritten) {
  if (!exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  const auto lock = FileLock::try_acquire("/dev/full", "runi gc");
  EXPECT_TRUE(lock.ok()) << lock.status().to_string();
}

}  // namespace
}  // namespace runink::os
