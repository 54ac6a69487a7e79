// Sources of mounts that are swapped for links while slices are started (L03). A slice has what was declared, or is not
// started; what the link leads to it never sees. RUNINK_TRIES=100000 asks for as many starts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// Exchanges two names without a pause, and without a moment in which either is missing.
class Swapper {
 public:
  Swapper(std::string one, std::string other)
      : one_(std::move(one)), other_(std::move(other)), thread_([this] { run(); }) {}
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }
  uint64_t swaps() const { return swaps_; }

 private:
  void run() {
    constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE
    while (!stop_) {
      if (::renameat2(AT_FDCWD, one_.c_str(), AT_FDCWD, other_.c_str(), kExchange) == 0) ++swaps_;
    }
  }

  const std::string one_, other_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> swaps_ = 0;
  std::thread thread_;
};

int tries() {
  const char* asked = std::getenv("RUNINK_TRIES");
  return asked != nullptr && std::atoi(asked) > 0 ? std::atoi(asked) : 30;
}

class RaceTest : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    place_ = own_folder("place");
    secret_ = own_folder("elsewhere");
    write(secret_ + "/what", "secret\n");
    fs::create_directory(place_ + "/declared");
    write(place_ + "/declared/what", "declared\n");
  }

  // Starts slices that show `path` of the mount, while `one` and `other` are swapped.
  void race(const std::string& source, const std::string& path, const std::string& one, const std::string& other) {
    int started = 0;
    const Swapper swapper(one, other);
    for (int i = 0; i < tries(); ++i) {
      const Ran ran = exec({"--mount", source + ":/data", "--", "cat", path});
      ASSERT_THAT(ran.out, ::testing::Not(HasSubstr("secret"))) << "try " << i;
      if (ran.code == 0) {
        ++started;
        ASSERT_EQ(ran.out, "declared\n");
        continue;
      }
      ASSERT_THAT(ran.err,
                  AnyOf(HasSubstr("symbolic link"), HasSubstr("it was replaced"), HasSubstr("cannot map users")))
          << "try " << i;
    }
    std::printf("%d of %d were started; %llu swaps\n", started, tries(),
                static_cast<unsigned long long>(swapper.swaps()));
    EXPECT_GT(swapper.swaps(), 0u);
  }

  std::string place_, secret_;
};
INSTANTIATE_TEST_SUITE_P(By, RaceTest, ::testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(RaceTest, TheFolder) {
  fs::create_directory_symlink(secret_, place_ + "/link");
  race(place_ + "/declared", "/data/what", place_ + "/declared", place_ + "/link");
}

TEST_P(RaceTest, AFolderAboveIt) {
  fs::create_directory(place_ + "/above");
  fs::rename(place_ + "/declared", place_ + "/above/declared");
  fs::create_directory(secret_ + "/declared");
  write(secret_ + "/declared/what", "secret\n");
  fs::create_directory_symlink(secret_, place_ + "/link");
  race(place_ + "/above/declared", "/data/what", place_ + "/above", place_ + "/link");
}

TEST_P(RaceTest, AFile) {
  fs::create_symlink(secret_ + "/what", place_ + "/link");
  race(place_ + "/declared/what", "/data", place_ + "/declared/what", place_ + "/link");
}

// One slice swaps in what it may write, another one has a mount there, too.
TEST_P(RaceTest, WhatASliceWrites) {
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((place_ + "/declared").c_str(), 12345, 12345), 0);
  }
  Running swapping =
      begin({"--mount", place_ + ":/place:rw", "--", "sh", "-c",
             "cd /place && ln -s " + secret_ +
                 " link && echo up && while :; do "
                 "mv -T declared away && mv -T link declared; mv -T declared link && mv -T away declared; done"});
  char byte = 0;
  const auto n = os::read_full(swapping.out, &byte, 1);
  ASSERT_TRUE(n.ok() && *n == 1);
  if (byte != 'u') GTEST_SKIP() << "this file system cannot map users (id-mapped mounts)";
  for (int i = 0; i < tries(); ++i) {
    const Ran ran = exec({"--mount", place_ + "/declared:/data", "--", "cat", "/data/what"});
    ASSERT_THAT(ran.out, ::testing::Not(HasSubstr("secret"))) << "try " << i;
    ASSERT_TRUE(ran.code == 0 || ran.code == 125 || ran.code == 1) << ran.err;
  }
}

}  // namespace
}  // namespace runink::sandbox
