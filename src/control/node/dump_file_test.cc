#include "control/node/dump_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::node {
namespace {

// Both ways to write one; the parameter: with a hidden name.
class DumpOutputTest : public testing::TestWithParam<bool> {
 protected:
  Result<DumpOutput> create(const std::string& path) {
    return GetParam() ? DumpOutput::create_hidden(path) : DumpOutput::create(path);
  }
  std::vector<std::string> names() const { return *os::list_directory(folder_.path()); }
  const os::TempFolder folder_ = *os::TempFolder::create("");
  const std::string path_ = folder_.path() + "/a.barn";
};

INSTANTIATE_TEST_SUITE_P(, DumpOutputTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Hidden" : "Nameless"; });

TEST_P(DumpOutputTest, HasItsNameWhenItIsWhole) {
  {
    DumpOutput out = *create(path_);
    ASSERT_TRUE(out.write("one ").ok() && out.write("two").ok() && out.sync().ok());
    char bytes[16];
    const auto back = out.read_back();
    ASSERT_TRUE(back.ok()) << back.status().to_string();
    EXPECT_EQ(*(*back)->read(bytes, sizeof bytes), 7u);
    EXPECT_FALSE(os::exists(path_));
    ASSERT_TRUE(out.publish().ok());
  }
  EXPECT_EQ(names(), std::vector<std::string>{"a.barn"});
  EXPECT_EQ(*os::read_file(path_), "one two");
  EXPECT_EQ(os::file_info(path_)->permissions, 0600u);
}

TEST_P(DumpOutputTest, LeavesNothingWhenItIsNot) {
  {
    DumpOutput out = *create(path_);
    ASSERT_TRUE(out.write("half").ok());
  }
  EXPECT_TRUE(names().empty());
  EXPECT_EQ(create(folder_.path() + "/none/a.barn").status().code(), Code::kNotFound);
}

TEST_P(DumpOutputTest, DoesNotReplaceWhatCameMeanwhile) {
  DumpOutput out = *create(path_);
  ASSERT_TRUE(os::write_file_atomic(path_, "another").ok());
  EXPECT_EQ(out.publish().code(), Code::kAlreadyExists);
  EXPECT_EQ(*os::read_file(path_), "another");
}

TEST(DumpOutputLeftovers, AreRemovedUnlessTheirProcessLives) {
  const os::TempFolder folder = *os::TempFolder::create("");
  const auto names = [&] { return os::list_directory(folder.path())->size(); };
  // As kill -9 leaves it: nobody has it open any more. What has another name is not touched.
  ASSERT_TRUE(os::write_file_atomic(folder.path() + "/.old.barn.runink-backup-0011", "half").ok());
  ASSERT_TRUE(os::write_file_atomic(folder.path() + "/.out.csv.runink-1-0011", "of another program").ok());
  const DumpOutput one = *DumpOutput::create_hidden(folder.path() + "/a.barn");
  EXPECT_EQ(names(), 2u);
  const DumpOutput two = *DumpOutput::create_hidden(folder.path() + "/a.barn");
  EXPECT_EQ(names(), 3u);
  EXPECT_FALSE(os::exists(folder.path() + "/.old.barn.runink-backup-0011"));
}

}  // namespace
}  // namespace runink::node
