#include "data/ledger/publish_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/id.h"
#include "platform/os/file.h"

namespace runink::ledger {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string kRun = make_uuid_v7(1000, {});
const auto kDead = [](const os::ProcessIdentity&) { return false; };

class PublishTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::move(os::TempFolder::create("")).value();
    put("replaced", "old");
    put("appended", "old");
  }
  std::string ledger() const { return folder_.file(".runink"); }
  std::string out(std::string_view name) const { return folder_.file("out/" + std::string(name)); }
  void put(std::string_view name, std::string_view bytes) {
    ASSERT_TRUE(os::make_directories(folder_.file("out")).ok());
    ASSERT_TRUE(os::write_file_atomic(out(name), bytes).ok());
  }
  std::string content(std::string_view name) const {
    const auto text = os::read_file(out(name));
    return text.ok() ? *text : "(none)";
  }
  std::vector<std::string> files() const { return *os::list_directory(folder_.file("out")); }
  std::vector<std::string> notes() const {
    auto names = *os::list_directory(ledger() + "/publish");
    std::erase(names, "lock");
    return names;
  }

  // Three outputs, one of each mode.
  Status run(OutputSet::Probe probe = {}) {
    OutputSet set = RUNINK_TRY(OutputSet::begin(ledger(), kRun, std::move(probe)));
    os::AtomicFile* first = RUNINK_TRY(set.open(out("replaced")));
    os::AtomicFile* second = RUNINK_TRY(set.open(out("appended"), PublishMode::kAppend));
    os::AtomicFile* third = RUNINK_TRY(set.open(out("created"), PublishMode::kFail, 0600));
    RUNINK_RETURN_IF_ERROR(first->write("new"));
    RUNINK_RETURN_IF_ERROR(second->write("+new"));
    RUNINK_RETURN_IF_ERROR(third->write("made"));
    return set.publish();
  }
  void expect_published() {
    EXPECT_EQ(content("replaced"), "new");
    EXPECT_EQ(content("appended"), "old+new");
    EXPECT_EQ(content("created"), "made");
    EXPECT_THAT(files(), ElementsAre("appended", "created", "replaced"));
    EXPECT_THAT(notes(), IsEmpty());
  }
  void expect_nothing() {
    EXPECT_EQ(content("replaced"), "old");
    EXPECT_EQ(content("appended"), "old");
    EXPECT_THAT(files(), ElementsAre("appended", "replaced"));
    EXPECT_THAT(notes(), IsEmpty());
  }

  os::TempFolder folder_;
};

TEST_F(PublishTest, AllAppear) {
  const Status status = run();
  ASSERT_TRUE(status.ok()) << status.to_string();
  expect_published();
  EXPECT_EQ(os::file_info(out("created"))->permissions, 0600u);
  EXPECT_THAT(*complete_or_discard_torn_publish(ledger()), IsEmpty());
}

TEST_F(PublishTest, DestroyedOrDiscardedNothingAppears) {
  {
    OutputSet set = std::move(OutputSet::begin(ledger(), kRun)).value();
    ASSERT_TRUE((*set.open(out("replaced")))->write("new").ok());
    EXPECT_EQ(set.size(), 1u);
    OutputSet moved = std::move(set);
  }
  expect_nothing();
}

TEST_F(PublishTest, KilledAtEveryPoint) {
  std::vector<std::string> points;
  ASSERT_TRUE(run([&](const std::string& point) { points.push_back(point); }).ok());
  ASSERT_GE(points.size(), 14u);
  bool decided = false;
  for (const std::string& stop : points) {
    decided |= stop == "recorded";
    SetUp();  // afresh
    const pid_t pid = ::fork();
    if (pid == 0) {
      (void)run([&](const std::string& point) {
        if (point == stop) ::_exit(0);
      });
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << stop;
    const auto torn = complete_or_discard_torn_publish(ledger());
    ASSERT_TRUE(torn.ok()) << stop << ": " << torn.status().to_string();
    SCOPED_TRACE(stop);
    if (decided) expect_published();
    else expect_nothing();
    if (!torn->empty()) {
      EXPECT_EQ(torn->front().completed, decided);
    }
    EXPECT_THAT(*complete_or_discard_torn_publish(ledger()), IsEmpty());
  }
}

// A command that completes a torn publish may itself be killed: the steps are repeated from any state of each.
TEST_F(PublishTest, CompletionMayBeRepeated) {
  for (const char* stop : {"recorded", "done:0", "done:1", "done:2"}) {
    SetUp();
    const pid_t pid = ::fork();
    if (pid == 0) {
      (void)run([&](const std::string& point) {
        if (point == stop) ::_exit(0);
      });
      ::_exit(1);
    }
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    const std::string path = ledger() + "/publish/" + kRun + ".commit";
    const std::string record = *os::read_file(path);
    // An append that was cut in the middle.
    if (std::string_view(stop) == "done:0") put("appended", "old+n");
    EXPECT_EQ(complete_or_discard_torn_publish(ledger())->size(), 1u);
    ASSERT_TRUE(os::write_file_atomic(path, record).ok());
    const auto again = complete_or_discard_torn_publish(ledger());
    ASSERT_TRUE(again.ok()) << again.status().to_string();
    expect_published();
  }
}

TEST_F(PublishTest, ALivingProcessIsLeftAlone) {
  OutputSet set = std::move(OutputSet::begin(ledger(), kRun)).value();
  os::AtomicFile* file = std::move(set.open(out("replaced"))).value();
  ASSERT_TRUE(file->write("new").ok());
  EXPECT_THAT(*complete_or_discard_torn_publish(ledger()), IsEmpty());
  ASSERT_TRUE(set.publish().ok());
  EXPECT_EQ(content("replaced"), "new");
}

TEST_F(PublishTest, RecordThatIsNotWholeIsDiscarded) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)run([&](const std::string& point) {
      if (point == "recorded") ::_exit(0);
    });
    ::_exit(1);
  }
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  const std::string path = ledger() + "/publish/" + kRun + ".commit";
  std::string record = *os::read_file(path);
  record[record.size() / 3] ^= 1;
  ASSERT_TRUE(os::write_file_atomic(path, record).ok());
  const auto torn = complete_or_discard_torn_publish(ledger());
  ASSERT_TRUE(torn.ok()) << torn.status().to_string();
  ASSERT_EQ(torn->size(), 1u);
  EXPECT_FALSE(torn->front().completed);
  expect_nothing();
}

TEST_F(PublishTest, ADamagedIntentRemovesNothingElse) {
  ASSERT_TRUE(os::make_directories(ledger() + "/publish").ok());
  const std::string intent = "{\"format\":1,\"run\":\"x\",\"process\":{\"pid\":1,\"start_ticks\":1,\"boot_id\":\"x\"}}\n{\"temp\":\"" +
                             out("replaced") + "\",\"target\":\"/etc/passwd\"}\n";
  ASSERT_TRUE(os::write_file_atomic(ledger() + "/publish/" + kRun + ".intent", intent).ok());
  EXPECT_THAT(*complete_or_discard_torn_publish(ledger(), kDead), IsEmpty());
  expect_nothing();
}

TEST_F(PublishTest, ModesAreKept) {
  put("created", "was there");
  const Status exists = run();
  EXPECT_EQ(exists.code(), Code::kAlreadyExists);
  EXPECT_EQ(content("created"), "was there");
  EXPECT_EQ(content("replaced"), "old");
  EXPECT_THAT(notes(), IsEmpty());

  // It appears between opening and publishing.
  ASSERT_TRUE(os::remove_file(out("created")).ok());
  const Status meanwhile = run([&](const std::string& point) {
    if (point == "opened:2") put("created", "by another");
  });
  EXPECT_EQ(meanwhile.code(), Code::kAlreadyExists);
  EXPECT_EQ(content("created"), "by another");
  EXPECT_EQ(content("replaced"), "old");
  EXPECT_THAT(files(), ElementsAre("appended", "created", "replaced"));
}

TEST_F(PublishTest, TwoOutputsOfOneTargetAreRefused) {
  OutputSet set = std::move(OutputSet::begin(ledger(), kRun)).value();
  ASSERT_TRUE(set.open(out("replaced")).ok());
  ASSERT_EQ(::symlink("replaced", out("link").c_str()), 0);
  EXPECT_EQ(set.open(out("./replaced")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(set.open(out("link")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(OutputSet::begin(ledger(), kRun).status().code(), Code::kAlreadyExists);
}

TEST_F(PublishTest, AppendingToAFileThatShrankIsTold) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)run([&](const std::string& point) {
      if (point == "recorded") ::_exit(0);
    });
    ::_exit(1);
  }
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  put("appended", "");
  EXPECT_EQ(complete_or_discard_torn_publish(ledger()).status().code(), Code::kDataLoss);
}

// Publishing moves its record into the run's folder, from which it is told whether the files are still those.
TEST_F(PublishTest, OutputsThatChangeLaterAreNoticed) {
  ASSERT_TRUE(os::make_directories(ledger() + "/runs/" + kRun).ok());
  EXPECT_EQ(changed_output(ledger(), kRun), "");  // nothing was published
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(changed_output(ledger(), kRun), "");
  put("appended", "old+new+newer");
  EXPECT_EQ(changed_output(ledger(), kRun), "");
  put("appended", "old+ne");
  EXPECT_EQ(changed_output(ledger(), kRun), out("appended") + " has changed since it was published");
  put("appended", "old+new");
  put("replaced", "neu");
  EXPECT_EQ(changed_output(ledger(), kRun), out("replaced") + " has changed since it was published");
  ASSERT_TRUE(os::remove_file(out("replaced")).ok());
  EXPECT_EQ(changed_output(ledger(), kRun), out("replaced") + " is not there any more");
}

}  // namespace
}  // namespace runink::ledger
