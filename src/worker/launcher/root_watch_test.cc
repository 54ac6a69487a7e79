#include "worker/launcher/root_watch.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <fstream>

#include "platform/os/temp.h"

namespace runink::launcher {
namespace {

namespace fs = std::filesystem;

bool is_readable(int fd) {
  pollfd waiting = {fd, POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

TEST(RootWatch, TellsOfAPartThatIsReplacedAndOfNothingElse) {
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const fs::path root = folder->path();
  fs::create_directories(root / "usr");
  fs::create_directories(root / "etc/ssl");
  RootWatch watch;
  watch.open({(root / "usr").string(), (root / "etc/ssl").string(), (root / "missing/part").string()});
  ASSERT_GE(watch.names(), 0);
  EXPECT_TRUE(watch.may_have_changed()) << "nobody has looked yet";
  watch.seen();
  EXPECT_FALSE(watch.may_have_changed());

  std::ofstream(root / "usr/program") << "of no part";
  EXPECT_FALSE(is_readable(watch.names()));

  fs::create_directory(root / "new");
  fs::rename(root / "usr", root / "old");
  fs::rename(root / "new", root / "usr");
  ASSERT_TRUE(is_readable(watch.names()));
  watch.notice();
  EXPECT_TRUE(watch.may_have_changed());
  EXPECT_FALSE(is_readable(watch.names())) << "what was noticed is told once";
  watch.seen();
  EXPECT_FALSE(watch.may_have_changed());

  fs::rename(root / "etc/ssl", root / "etc/tls");
  EXPECT_TRUE(is_readable(watch.names()));
}

}  // namespace
}  // namespace runink::launcher
