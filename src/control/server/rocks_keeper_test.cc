#include "control/server/rocks_keeper.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "control/barn/tables.h"
#include "control/raft/core/membership.h"
#include "platform/os/temp.h"

namespace runink::server {
namespace {

// What is posted to the event loop; turned by hand.
class Posted {
 public:
  void add(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    there_.notify_one();
  }
  void run_next() {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      ASSERT_TRUE(there_.wait_for(lock, std::chrono::seconds(60), [this] { return !tasks_.empty(); }));
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }

 private:
  std::mutex mutex_;
  std::condition_variable there_;
  std::deque<std::function<void()>> tasks_;
};

class RocksKeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    auto keeper = RocksKeeper::open({.root = folder_.path() + "/state"},
                                    [this](std::function<void()> task) { posted_.add(std::move(task)); });
    ASSERT_TRUE(keeper.ok()) << keeper.status().to_string();
    keeper_ = std::move(*keeper);
  }
  void apply(const barn::Position& position, const std::string& membership = {}) {
    barn::WriteBatch batch;
    batch.put(barn::tables::kHeadKey, barn::tables::encode_head({.position = position}));
    if (!membership.empty())
      batch.put(barn::tables::kClusterKey, barn::tables::encode_cluster({.membership = membership}));
    ASSERT_TRUE(keeper_->store()->apply(batch).ok());
  }

  const os::TempFolder folder_ = *os::TempFolder::create("");
  Posted posted_;  // outlives the keeper, whose worker posts
  std::unique_ptr<RocksKeeper> keeper_;
};

// The memtables are written by the worker while the loop goes on applying.
TEST_F(RocksKeeperTest, ASnapshotIsOfWhatIsAppliedWhenTheMemtablesAreWritten) {
  const raft::Membership three = {{1, 2, 3}, {}}, four = {{1, 2, 3, 4}, {}};
  std::optional<Status> made;
  const auto done = [&](const Status& status) { made = status; };
  apply({5, 1, {}});
  keeper_->make_snapshot({5, 1, three}, done);
  EXPECT_FALSE(keeper_->newest_snapshot().has_value());
  apply({7, 2, {}});
  while (!made) posted_.run_next();
  ASSERT_TRUE(made->ok()) << made->to_string();
  // No change of membership was applied: that is the same as before.
  EXPECT_EQ(*keeper_->newest_snapshot(), (raft::SnapshotMeta{7, 2, three}));

  made.reset();
  keeper_->make_snapshot({7, 2, three}, done);
  apply({9, 2, {}}, raft::encode(four));
  while (!made) posted_.run_next();
  ASSERT_TRUE(made->ok()) << made->to_string();
  EXPECT_EQ(*keeper_->newest_snapshot(), (raft::SnapshotMeta{9, 2, four}));
  EXPECT_EQ(keeper_->counters().snapshots, 2u);

  // The next start finds it.
  keeper_.reset();
  SetUp();
  EXPECT_EQ(*keeper_->newest_snapshot(), (raft::SnapshotMeta{9, 2, four}));
}

TEST_F(RocksKeeperTest, MayGoWhileASnapshotIsMade) {
  apply({5, 1, {}});
  keeper_->make_snapshot({5, 1, {{1}, {}}}, [](const Status&) { FAIL() << "of one that is gone"; });
  keeper_.reset();
  SetUp();  // the store is free again
  posted_.run_next();
}

}  // namespace
}  // namespace runink::server
