#include "control/server/scrub_runner.h"

#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/stop.h"

namespace runink::server {

struct ScrubRunner::Run {
  std::function<void(const ScrubOutcome&)> done;  // the loop's
  StopFlag stop;                                  // so that a table is not read to its end

  std::mutex mutex;  // of all below: held for one slice
  bool cancelled = false;
  std::unique_ptr<barn::Scrub> scrub;
  const barn::RocksStore* store = nullptr;
  bool listed = false;
  std::vector<barn::RocksStore::Table> tables;  // that are still to be read
  bool over = false;
  ScrubOutcome outcome;

  // Returns how many bytes it has read.
  uint64_t step(uint64_t bytes) {
    if (!scrub->done()) {
      const Result<bool> stepped = scrub->step(bytes);
      outcome.bytes_hashed += bytes;
      if (!stepped.ok()) return fail(stepped.status()), bytes;
      if (*stepped) {
        outcome.result = scrub->result();
        outcome.bytes_hashed = 0;
        for (const barn::ScrubRange& range : outcome.result.ranges) outcome.bytes_hashed += range.bytes;
      }
      return bytes;
    }
    if (!listed) {
      listed = true;
      tables = store->tables();
    }
    if (tables.empty()) {
      over = true;
      return 0;
    }
    const barn::RocksStore::Table table = std::move(tables.back());
    tables.pop_back();
    Status status = store->verify_table(table, &stop);
    outcome.bytes_verified += table.bytes;
    if (!status.ok()) fail(std::move(status));
    return table.bytes;
  }
  void fail(Status status) {
    outcome.status = std::move(status);
    over = true;
  }
};

void ScrubRunner::begin(std::unique_ptr<barn::Scrub> scrub, const barn::RocksStore& store,
                        std::function<void(const ScrubOutcome&)> done) {
  cancel();
  run_ = std::make_shared<Run>();
  run_->done = std::move(done);
  run_->scrub = std::move(scrub);
  run_->store = &store;
  slice();
}

void ScrubRunner::cancel() {
  loop_.cancel(timer_);
  timer_ = 0;
  if (run_ == nullptr) return;
  run_->stop.request();
  {
    const std::lock_guard lock(run_->mutex);
    run_->cancelled = true;
    run_->scrub.reset();
  }
  run_.reset();
}

void ScrubRunner::slice() {
  timer_ = 0;
  worker_.submit([this, alive = std::weak_ptr<bool>(alive_), loop = &loop_, run = run_] {
    uint64_t bytes = 0;
    {
      const std::lock_guard lock(run->mutex);
      if (run->cancelled) return;
      const int64_t begin = system_clock().steady_nanos();
      bytes = run->step(pace_.slice_bytes);
      run->outcome.busy_nanos += system_clock().steady_nanos() - begin;
    }
    loop->post([this, alive, run, bytes] {
      if (!alive.expired()) sliced(run, bytes);
    });
  });
}

void ScrubRunner::sliced(const std::shared_ptr<Run>& run, uint64_t bytes) {
  if (run != run_) return;  // another has taken its place
  bool over = false;
  {
    const std::lock_guard lock(run->mutex);
    over = run->over;
    if (over) run->scrub.reset();
  }
  if (over) {
    run_.reset();
    return run->done(run->outcome);
  }
  const double seconds = static_cast<double>(bytes) / static_cast<double>(pace_.bytes_per_second);
  timer_ = loop_.call_after(static_cast<int64_t>(seconds * 1e9), [this] { slice(); });
}

}  // namespace runink::server
