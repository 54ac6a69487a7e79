#include "control/raft/driver/storage_thread.h"

#include <chrono>

#include "base/clock.h"

namespace runink::raft {

StorageThread::StorageThread(std::unique_ptr<JournalStorage> storage, std::function<void(std::function<void()>)> post)
    : storage_(std::move(storage)), post_(std::move(post)) {
  note_journal();
  thread_ = std::thread([this] { run(); });
}

StorageThread::~StorageThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void StorageThread::submit(StorageWork work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

StorageThread::Counters StorageThread::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

Status StorageThread::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void StorageThread::note_journal() {
  counters_.segments = storage_->journal().segments();
  counters_.room_bytes = storage_->journal().room();
}

void StorageThread::finish(std::vector<StorageWork> works, const Status& status) {
  post_([works = std::make_shared<std::vector<StorageWork>>(std::move(works)), status] {
    for (StorageWork& work : *works) {
      if (work.done) work.done(status);
    }
  });
}

void StorageThread::run() {
  // How often a full disk is asked again, and how long a member is idle before the journal writes down what is there.
  constexpr auto kPause = std::chrono::milliseconds(200);
  Status failed;
  bool rested = true;
  while (true) {
    std::vector<StorageWork> works;
    bool idle = false;
    {
      std::unique_lock lock(mutex_);
      idle = !wake_.wait_for(lock, kPause, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty() && stop_) break;
      works.swap(queue_);
    }
    uint64_t entries = 0, bytes = 0;  // counted now: the journal takes them
    for (const StorageWork& work : works) {
      entries += work.append.size();
      for (const Entry& entry : work.append) bytes += entry.data ? entry.data->size() : 0;
    }
    const int64_t begin = system_clock().steady_nanos();
    if (failed.ok() && !works.empty()) failed = storage_->perform(works);
    if (!works.empty()) {
      const auto took = static_cast<uint64_t>(system_clock().steady_nanos() - begin);
      const std::lock_guard lock(mutex_);
      ++counters_.rounds;
      counters_.works += works.size();
      counters_.nanos += took;
      counters_.nanos_max = std::max(counters_.nanos_max, took);
      counters_.entries += entries;
      counters_.bytes += bytes;
      counters_.round_nanos.record(took);
      note_journal();
    }
    const bool worked = !works.empty();
    if (worked) finish(std::move(works), failed);
    if (!failed.ok()) continue;
    // After the answer: a new segment costs more than a sync.
    auto space = storage_->reserve();
    if (space.ok()) {
      has_space_.store(*space, std::memory_order_relaxed);
      if (worked) rested = false;
      if (idle && !rested) {
        failed = storage_->rest();
        rested = true;
      }
    } else {
      failed = std::move(space).status();
    }
    if (!failed.ok()) {
      const std::lock_guard lock(mutex_);
      failure_ = failed;
    }
  }
}

}  // namespace runink::raft
