#include "client/sdk/chunk_transfers.h"

namespace runink::sdk {

void ChunkTransfers::add(ChunkWork work) {
  const uint64_t id = ++last_;
  work.done = [this, id, done = std::move(work.done)](Result<std::string> result) {
    over(id);
    done(std::move(result));
  };
  auto& transfer = open_[id] = std::make_unique<ChunkTransfer>(context_, std::move(work));
  if (stopped_) return transfer->stop();
  waiting_.push_back(id);
  start_next();
}

void ChunkTransfers::start_next() {
  while (!stopped_ && running_.size() < kAtOnce && !waiting_.empty()) {
    const uint64_t id = waiting_.front();
    waiting_.pop_front();
    const auto found = open_.find(id);
    if (found == open_.end()) continue;  // its deadline came first
    running_.insert(id);
    found->second->start(leader_());
  }
}

// In an event of the transfer.
void ChunkTransfers::over(uint64_t id) {
  const auto found = open_.find(id);
  net::dispose(*context_.loop, std::move(found->second));
  open_.erase(found);
  if (running_.erase(id) > 0) context_.loop->defer([this] { start_next(); });
}

void ChunkTransfers::stop() {
  stopped_ = true;
  while (!open_.empty()) open_.begin()->second->stop();
}

}  // namespace runink::sdk
