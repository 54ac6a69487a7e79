#include "data/engine/answer_queue.h"

#include <chrono>

namespace runink::engine {

AnswerQueue::AnswerQueue(std::string folder, SchemaPtr schema, uint64_t spool_bytes_max, uint64_t stream_bytes_max)
    : stream_max_(stream_bytes_max), spool_(std::move(folder), std::move(schema), spool_bytes_max) {}

Status AnswerQueue::put(Batch batch) {
  std::unique_lock lock(mutex_);
  if (!streaming_) return discarding_ ? Status() : spool_.add(std::move(batch));
  changed_.wait(lock, [this] { return discarding_ || waiting_bytes_ < stream_max_; });
  if (discarding_) return {};
  waiting_bytes_ += batch.byte_size();
  waiting_.push_back(std::move(batch));
  lock.unlock();
  changed_.notify_all();
  return {};
}

void AnswerQueue::end(Status status) {
  {
    std::lock_guard lock(mutex_);
    status_ = std::move(status);
    ended_ = true;
  }
  changed_.notify_all();
}

Status AnswerQueue::stream() {
  std::lock_guard lock(mutex_);
  streaming_ = true;
  RUNINK_RETURN_IF_ERROR(spool_.finish());
  if (!spool_.empty()) spooled_ = spool_.read();
  return {};
}

Result<std::optional<Batch>> AnswerQueue::take() {
  if (spooled_) {
    auto batch = RUNINK_TRY(spooled_());
    if (batch) return batch;
    spooled_ = nullptr;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_.empty() || ended_ || stopped_; });
  if (stopped_) return cancelled("another part of the run failed").with_kind("run.stopped");
  if (ended_ && !status_.ok()) return status_;
  if (waiting_.empty()) return std::optional<Batch>();
  std::optional<Batch> batch(std::move(waiting_.front()));
  waiting_.pop_front();
  waiting_bytes_ -= batch->byte_size();
  lock.unlock();
  changed_.notify_all();
  return batch;
}

bool AnswerQueue::wait_for_end(int64_t micros) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::microseconds(micros), [this] { return ended_; });
}
Status AnswerQueue::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}
void AnswerQueue::discard() {
  {
    std::lock_guard lock(mutex_);
    discarding_ = true;
  }
  changed_.notify_all();
}
void AnswerQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    discarding_ = stopped_ = true;
  }
  changed_.notify_all();
}
uint64_t AnswerQueue::spilled_bytes() const {
  std::lock_guard lock(mutex_);
  return spool_.spilled_bytes();
}

}  // namespace runink::engine
