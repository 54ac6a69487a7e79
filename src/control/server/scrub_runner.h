// Carries out a scrub on a thread of its own, in slices with pauses, so that it costs a small part of a core whatever
// the size of the state: first the content, as of the mark and through the caches, is hashed (control/barn/scrub.h);
// then every table is read from the disk and its checksums compared, which finds what a cache still hides.
//
// Called on the event loop's thread. A view of the store is held meanwhile, so what compactions replace stays on the
// disk until the scrub is over.
#pragma once

#include <functional>
#include <memory>

#include "control/barn/rocks/rocks_store.h"
#include "control/barn/scrub.h"
#include "control/server/worker.h"
#include "platform/net/event_loop.h"

namespace runink::server {

struct ScrubPace {
  uint64_t bytes_per_second = 4 << 20;  // read; each byte of the state is read about twice
  uint64_t slice_bytes = 256 << 10;     // at a time; of tables one at a time
};

struct ScrubOutcome {
  Status status;  // an error (kDataLoss): what is stored cannot be read. The store says so too (RocksStore::failure)
  barn::ScrubResult result;
  uint64_t bytes_hashed = 0, bytes_verified = 0;
  int64_t busy_nanos = 0;  // of the thread
};

class ScrubRunner {
 public:
  ScrubRunner(net::EventLoop& loop, ScrubPace pace) : loop_(loop), pace_(pace) {}
  ~ScrubRunner() { cancel(); }

  // In the place of one that is under way. `store` is what the scrub's view is of.
  void begin(std::unique_ptr<barn::Scrub> scrub, const barn::RocksStore& store,
             std::function<void(const ScrubOutcome&)> done);
  // When it returns, store and view are not used any more. It waits for a slice that is under way, but not for
  // a whole table. `done` is not called.
  void cancel();
  bool busy() const { return run_ != nullptr; }

 private:
  struct Run;
  void slice();
  void sliced(const std::shared_ptr<Run>& run, uint64_t bytes);

  net::EventLoop& loop_;
  const ScrubPace pace_;
  std::shared_ptr<Run> run_;
  net::EventLoop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Worker worker_;  // the first to go: it uses the rest
};

}  // namespace runink::server
