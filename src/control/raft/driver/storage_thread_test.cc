#include "control/raft/driver/storage_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "testing/sim_disk.h"

namespace runink::raft {
namespace {

constexpr int64_t kQuick = 50'000, kSlow = 5'000'000;

class DiskClock final : public Clock {
 public:
  int64_t unix_micros() const override { return 0; }
  int64_t steady_nanos() const override { return now_; }
  void advance(int64_t nanos) { now_ += nanos; }

 private:
  std::atomic<int64_t> now_{0};
};

// A disk whose writes take as long as the test says, by a clock of its own; it knows which thread wrote last, and which
// ones gave files a name.
class TimedDisk final : public journal::Disk {
 public:
  Result<std::unique_ptr<journal::File>> open(const std::string& name) override { return wrap(disk.open(name)); }
  Result<std::unique_ptr<journal::File>> create(const std::string& name) override { return wrap(disk.create(name)); }
  Status remove(const std::string& name) override { return disk.remove(name); }
  Status rename(const std::string& from, const std::string& to) override {
    renamed_by_test = renamed_by_test || std::this_thread::get_id() == test_thread;
    ++renames;
    return disk.rename(from, to);
  }
  Result<std::vector<std::string>> list() override { return disk.list(); }
  Status sync_folder() override { return disk.sync_folder(); }

  testing::SimDisk disk{1};
  DiskClock clock;
  std::atomic<int64_t> write_nanos{kQuick};
  const std::thread::id test_thread = std::this_thread::get_id();
  std::atomic<bool> renamed_by_test{false};
  std::atomic<int> renames{0};

 private:
  class TimedFile final : public journal::File {
   public:
    TimedFile(TimedDisk* disk, std::unique_ptr<journal::File> file) : disk_(disk), file_(std::move(file)) {}
    Result<std::string> read(uint64_t offset, size_t size) override { return file_->read(offset, size); }
    Status write(uint64_t offset, std::string_view bytes) override { return file_->write(offset, bytes); }
    Status sync() override { return file_->sync(); }
    Status write_durably(uint64_t offset, std::string_view bytes) override {
      disk_->clock.advance(disk_->write_nanos);
      return file_->write_durably(offset, bytes);
    }
    Status reserve(uint64_t size) override { return file_->reserve(size); }
    Result<uint64_t> size() override { return file_->size(); }

   private:
    TimedDisk* const disk_;
    const std::unique_ptr<journal::File> file_;
  };
  Result<std::unique_ptr<journal::File>> wrap(Result<std::unique_ptr<journal::File>> file) {
    if (!file.ok()) return std::move(file).status();
    return std::unique_ptr<journal::File>(std::make_unique<TimedFile>(this, std::move(*file)));
  }
};

// The test is the loop: it takes what is posted, and ends turns.
class StorageThreadTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kSegment = 64 << 10;

  void SetUp() override {
    ASSERT_TRUE(create_member_storage(disk_, kIdentity, options(), Membership{{1, 2, 3}, {}}).ok());
    begin();
    disk_.renamed_by_test = false;
    disk_.renames = 0;
  }
  void begin() {
    auto storage = JournalStorage::open(disk_, kIdentity, options(), {}, &recovered_, &opened_);
    ASSERT_TRUE(storage.ok()) << storage.status().to_string();
    last_ = recovered_.entries.size();
    storage_ = std::make_unique<StorageThread>(
        std::move(*storage), [this](std::function<void()> task) { post(std::move(task)); },
        [this](std::function<void()> task) { deferred_.push_back(std::move(task)); }, disk_.clock);
  }

  // So many entries of so many bytes. What is done is noted in `answered_`.
  StorageWork append(size_t count = 1, size_t bytes = 10) {
    StorageWork work;
    for (size_t i = 0; i < count; ++i)
      work.append.push_back({++last_, 1, EntryKind::kCommand, std::make_shared<const std::string>(bytes, 'x')});
    return noted(std::move(work));
  }
  StorageWork noted(StorageWork work) {
    work.done = [this, number = submitted_++](const Status& status) {
      answered_.push_back(number);
      if (!status.ok()) failed_ = status;
    };
    return work;
  }
  void end_turn() {
    for (auto& task : std::exchange(deferred_, {})) task();
  }
  void wait_for_answers() {
    while (answered_.size() < submitted_) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return !posted_.empty(); });
        task = std::move(posted_.front());
        posted_.erase(posted_.begin());
      }
      task();
    }
    for (size_t i = 0; i < answered_.size(); ++i) ASSERT_EQ(answered_[i], i);
  }
  uint64_t rounds_in_loop() const { return storage_->counters().rounds_in_loop; }
  // Carries it out, and says whether the loop did.
  bool in_loop(StorageWork work) {
    const uint64_t before = rounds_in_loop();
    storage_->submit(std::move(work));
    end_turn();
    wait_for_answers();
    return rounds_in_loop() > before;
  }
  // The thread looks after the journal now and then, and has the next work then.
  ::testing::AssertionResult comes_into_loop() {
    for (int i = 0; i < 1000; ++i) {
      if (in_loop(append())) return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "the loop writes nothing";
  }
  size_t entries_after_a_power_cut() {
    storage_.reset();
    disk_.disk.crash();
    begin();
    return recovered_.entries.size();
  }

  TimedDisk disk_;
  Recovered recovered_;
  journal::Recovered opened_;
  Index last_ = 0;
  size_t submitted_ = 0;
  std::vector<size_t> answered_;
  Status failed_;
  std::vector<std::function<void()>> deferred_;
  std::unique_ptr<StorageThread> storage_;

 private:
  static constexpr journal::Identity kIdentity{{7}, 1};
  static journal::Options options() {
    journal::Options out;
    out.segment_bytes = kSegment;
    out.batch_bytes = 16 << 10;
    return out;
  }
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    wake_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::function<void()>> posted_;
};

TEST_F(StorageThreadTest, AnswersInOrderAndCarriesOutWhatWasSubmitted) {
  for (Index i = 1; i <= 100; ++i) {
    storage_->submit(append());
    if (i % 7 == 0) end_turn();
  }
  end_turn();
  wait_for_answers();
  EXPECT_LE(storage_->counters().rounds, 100u);
  EXPECT_EQ(storage_->counters().works, 100u);
  EXPECT_EQ(storage_->counters().entries, 100u);
  storage_->submit(append());
  storage_.reset();
  end_turn();  // what was deferred for it is harmless
  EXPECT_EQ(entries_after_a_power_cut(), 101u);
}

TEST_F(StorageThreadTest, TheLoopWritesASingleSmallAppendAtTheEndOfItsTurn) {
  EXPECT_FALSE(in_loop(append())) << "whether the disk is quick is not known";
  ASSERT_TRUE(comes_into_loop());
  const uint64_t before = storage_->counters().rounds;
  storage_->submit(append());
  EXPECT_EQ(storage_->counters().rounds, before) << "messages of the turn have not left";
  end_turn();
  EXPECT_LT(answered_.size(), submitted_) << "answers come in a later turn";
  wait_for_answers();
  EXPECT_EQ(entries_after_a_power_cut(), last_);
}

TEST_F(StorageThreadTest, WhatIsMoreThanASmallAppendGoesToTheThread) {
  ASSERT_TRUE(comes_into_loop());
  EXPECT_FALSE(in_loop(append(3)));
  ASSERT_TRUE(comes_into_loop());
  StorageWork vote;
  vote.hard_state = HardState{2, 1, 0};
  EXPECT_FALSE(in_loop(noted(std::move(vote))));
  ASSERT_TRUE(comes_into_loop());
  StorageWork compact;
  compact.compact = LogBase{1, 1, {{1, 2, 3}, {}}};
  EXPECT_FALSE(in_loop(noted(std::move(compact))));
  ASSERT_TRUE(comes_into_loop());

  // Two of one turn are one round, and in order.
  const auto before = storage_->counters();
  storage_->submit(append());
  storage_->submit(append());
  end_turn();
  wait_for_answers();
  EXPECT_EQ(storage_->counters().rounds, before.rounds + 1);
  EXPECT_EQ(storage_->counters().rounds_in_loop, before.rounds_in_loop);
}

TEST_F(StorageThreadTest, ASlowWriteSendsWhatFollowsToTheThread) {
  ASSERT_TRUE(comes_into_loop());
  disk_.write_nanos = kSlow;
  while (!in_loop(append())) {
    // The thread was slow first: quick again, and once more.
    disk_.write_nanos = kQuick;
    ASSERT_TRUE(comes_into_loop());
    disk_.write_nanos = kSlow;
  }
  EXPECT_FALSE(in_loop(append()));
  disk_.write_nanos = kQuick;
  EXPECT_FALSE(in_loop(append())) << "it was slow the last time";
  EXPECT_TRUE(comes_into_loop());
}

TEST_F(StorageThreadTest, TheThreadBeginsSegments) {
  for (int i = 0; i < 100; ++i) {
    in_loop(append(2, 2000));
    ASSERT_TRUE(failed_.ok()) << failed_.to_string();
  }
  EXPECT_GT(disk_.renames, 3);
  EXPECT_FALSE(disk_.renamed_by_test);
  EXPECT_GT(rounds_in_loop(), 0u);
  EXPECT_EQ(entries_after_a_power_cut(), 200u);
}

TEST_F(StorageThreadTest, AnErrorOfTheLoopsWriteIsTheEnd) {
  ASSERT_TRUE(comes_into_loop());
  disk_.disk.fail_after(0, testing::SimDisk::Fault::kIo);
  in_loop(append());
  EXPECT_FALSE(failed_.ok());
  failed_ = Status();
  in_loop(append());
  EXPECT_FALSE(failed_.ok()) << "nobody knows what the disk holds";
}

}  // namespace
}  // namespace runink::raft
