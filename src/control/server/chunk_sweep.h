// One walk over all that a member's state refers to: gathers the chunk references in the rows (as of the moment when it
// began), reads each such chunk, and says which are not here or damaged. On a worker, in slices with pauses.
//
// Called on the event loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "control/barn/chunk_reference.h"
#include "control/barn/rocks/chunk_store.h"
#include "control/barn/store.h"
#include "control/server/worker.h"
#include "platform/net/event_loop.h"

namespace runink::server {

class ChunkSweep {
 public:
  struct Outcome {
    Status status;                          // of reading the rows; not OK: nothing is known
    std::set<barn::ChunkHash> roots;        // what rows, and `more`, refer to
    std::set<barn::ChunkReference> wanted;  // not here, or damaged
  };
  // `more`: references that are in no row of this view, and count nevertheless. `store` must outlive it.
  ChunkSweep(net::EventLoop& loop, Worker& worker, const barn::ChunkStore& store, uint64_t bytes_per_second,
             std::unique_ptr<barn::StateView> view, std::set<barn::ChunkReference> more,
             std::function<void(Outcome)> done);
  // When it returns the view is gone, and `done` will not be called. Waits for a slice that is under way.
  ~ChunkSweep();

 private:
  struct Run;
  void slice();
  void sliced(uint64_t bytes, bool over);

  net::EventLoop& loop_;
  Worker& worker_;
  const uint64_t bytes_per_second_;
  std::function<void(Outcome)> done_;
  std::shared_ptr<Run> run_;
  net::EventLoop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace runink::server
