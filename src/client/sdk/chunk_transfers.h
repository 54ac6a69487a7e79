// The chunks that a client puts and gets: some at once, the others wait in order. All on the loop.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>

#include "client/sdk/chunk_transfer.h"

namespace runink::sdk {

class ChunkTransfers {
 public:
  // Fewer than a member takes from all clients together.
  static constexpr size_t kAtOnce = 4;

  // `leader`: where the leader was last met, or empty.
  ChunkTransfers(Context& context, std::function<std::string()> leader)
      : context_(context), leader_(std::move(leader)) {}

  void add(ChunkWork work);
  void stop();  // answers all; what is added after it is answered at once

 private:
  void start_next();
  void over(uint64_t id);

  Context& context_;
  const std::function<std::string()> leader_;
  std::map<uint64_t, std::unique_ptr<ChunkTransfer>> open_;
  std::deque<uint64_t> waiting_;  // may name some that are over
  std::set<uint64_t> running_;
  uint64_t last_ = 0;
  bool stopped_ = false;
};

}  // namespace runink::sdk
