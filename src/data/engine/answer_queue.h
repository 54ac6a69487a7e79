// The answers of a custom step on their way from the thread that reads them to the pipeline behind the step.
//
// First they are spooled: as many as come, in memory, then on disk. From stream() on they are taken while more come,
// and then the queue is short: who puts waits while it is full, so the step cannot write, and who feeds the step waits
// too.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "data/engine/held_rows.h"

namespace runink::engine {

class AnswerQueue {
 public:
  AnswerQueue(std::string folder, SchemaPtr schema, uint64_t spool_bytes_max, uint64_t stream_bytes_max);

  // One thread puts. After discard() or stop() what is put is forgotten.
  Status put(Batch batch);
  // There are no more, or `status` says why not. Once.
  void end(Status status);

  // From now on they are taken, by one thread at a time; spooled ones first.
  Status stream();
  // The next one; nothing at the end; the error given to end(); kind "run.stopped" after stop(). Waits.
  Result<std::optional<Batch>> take();

  // Waits for end(), at most so long. Whether it was called.
  bool wait_for_end(int64_t micros);
  Status status() const;  // as given to end(); OK before
  // Any thread. Nobody waits in put() any more, so the reading thread sees the end.
  void discard();
  // Any thread. Nobody waits in take() either.
  void stop();
  uint64_t spilled_bytes() const;

 private:
  const uint64_t stream_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  RowQueue spool_;
  BatchList::Next spooled_;  // rest of the spool, once streaming; of the taking thread
  std::deque<Batch> waiting_;
  uint64_t waiting_bytes_ = 0;
  bool streaming_ = false, ended_ = false, discarding_ = false, stopped_ = false;
  Status status_;
};

}  // namespace runink::engine
