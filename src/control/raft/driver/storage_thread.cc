#include "control/raft/driver/storage_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace runink::raft {
namespace {

constexpr uint64_t kQuickNanos = 400'000;  // a round of the journal; about what two wake-ups may cost on a busy machine
constexpr size_t kLoopEntries = 2;         // more of them: there is load, and groups are worth more than short ways
constexpr uint64_t kLoopBytes = 64 << 10;
// A batch's header and the rounding up of two of them to blocks.
constexpr uint64_t kBatchOverheadBytes = 16 << 10;
// How often a full disk is asked again, and how long a member is idle before the journal writes down what is there.
constexpr auto kPause = std::chrono::milliseconds(200);

uint64_t data_bytes(const StorageWork& work) {
  uint64_t out = 0;
  for (const Entry& entry : work.append) out += entry.data ? entry.data->size() : 0;
  return out;
}

}  // namespace

StorageThread::StorageThread(std::unique_ptr<JournalStorage> storage, Run post, Run defer, const Clock& clock)
    : clock_(clock), storage_(std::move(storage)), post_(std::move(post)), defer_(std::move(defer)) {
  counters_.segments = storage_->journal().segments();
  counters_.room_bytes = storage_->journal().room();
  has_reserve_.store(storage_->has_reserve());
  thread_ = std::thread([this] { run(); });
}

StorageThread::~StorageThread() {
  *alive_ = false;
  if (!of_this_turn_.empty()) hand_to_thread(std::exchange(of_this_turn_, {}));
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

StorageThread::Counters StorageThread::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

Status StorageThread::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

// ---- on the loop

void StorageThread::submit(StorageWork work) {
  if (!of_this_turn_.empty()) return of_this_turn_.push_back(std::move(work));
  if (!suits_loop(work)) {
    std::vector<StorageWork> works;
    works.push_back(std::move(work));
    return hand_to_thread(std::move(works));
  }
  of_this_turn_.push_back(std::move(work));
  defer_([this, alive = alive_] {
    if (*alive) perform_in_loop();
  });
}

bool StorageThread::suits_loop(const StorageWork& work) const {
  if (work.hard_state || work.compact || work.reset || work.whole || work.append.size() > kLoopEntries) return false;
  if (data_bytes(work) > kLoopBytes) return false;
  const std::lock_guard lock(mutex_);
  return quick_ && !busy_ && queue_.empty() && failure_.ok();
}

void StorageThread::perform_in_loop() {
  std::vector<StorageWork> works = std::exchange(of_this_turn_, {});
  std::unique_lock journal(journal_mutex_, std::try_to_lock);
  // Also where the segment has to be changed, which takes some syncs, or the thread makes the next one just now.
  if (!journal || works.size() > 1 || !failed_.ok() ||
      storage_->journal().segment_room() < data_bytes(works.front()) + kBatchOverheadBytes) {
    if (journal) journal.unlock();
    return hand_to_thread(std::move(works));
  }
  const Status status = perform(works, true);
  journal.unlock();
  finish(std::move(works), status);
}

void StorageThread::hand_to_thread(std::vector<StorageWork> works) {
  {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.end(), std::make_move_iterator(works.begin()), std::make_move_iterator(works.end()));
  }
  wake_.notify_one();
}

// ---- on either thread

Status StorageThread::perform(std::vector<StorageWork>& works, bool in_loop) {
  uint64_t entries = 0, bytes = 0;  // counted now: the journal takes them
  for (const StorageWork& work : works) {
    entries += work.append.size();
    bytes += data_bytes(work);
  }
  const int64_t begin = clock_.steady_nanos();
  if (failed_.ok()) failed_ = storage_->perform(works);
  const auto took = static_cast<uint64_t>(clock_.steady_nanos() - begin);
  rested_ = false;
  const std::lock_guard lock(mutex_);
  quick_ = took <= kQuickNanos;
  ++counters_.rounds;
  counters_.rounds_in_loop += in_loop;
  counters_.works += works.size();
  counters_.nanos += took;
  counters_.nanos_max = std::max(counters_.nanos_max, took);
  counters_.entries += entries;
  counters_.bytes += bytes;
  counters_.round_nanos.record(took);
  counters_.segments = storage_->journal().segments();
  counters_.room_bytes = storage_->journal().room();
  has_reserve_.store(storage_->has_reserve(), std::memory_order_relaxed);
  return failed_;
}

void StorageThread::finish(std::vector<StorageWork> works, const Status& status) {
  post_([works = std::make_shared<std::vector<StorageWork>>(std::move(works)), status] {
    for (StorageWork& work : *works) {
      if (work.done) work.done(status);
    }
  });
}

// ---- on the storage thread

void StorageThread::run() {
  uint64_t rounds_seen = 0;
  while (true) {
    std::vector<StorageWork> works;
    bool idle = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kPause, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty() && stop_) break;
      works.swap(queue_);
      busy_ = !works.empty();
      idle = works.empty() && counters_.rounds == rounds_seen;
      rounds_seen = counters_.rounds;
    }
    const std::lock_guard journal(journal_mutex_);
    if (!works.empty()) {
      const Status status = perform(works, false);
      const std::lock_guard lock(mutex_);
      // The loop may write from now on, and what is done is told in order.
      finish(std::move(works), status);
      busy_ = false;
    }
    // After the answer: a new segment costs more than a sync.
    look_after_journal(idle);
  }
}

void StorageThread::look_after_journal(bool idle) {
  if (!failed_.ok()) return;
  auto space = storage_->reserve();
  if (space.ok()) {
    has_space_.store(*space, std::memory_order_relaxed);
    has_reserve_.store(storage_->has_reserve(), std::memory_order_relaxed);
    if (idle && !rested_) {
      failed_ = storage_->rest();
      rested_ = true;
    }
  } else {
    failed_ = std::move(space).status();
  }
  if (failed_.ok()) return;
  const std::lock_guard lock(mutex_);
  failure_ = failed_;
}

}  // namespace runink::raft
