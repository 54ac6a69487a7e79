// What the API needs of whoever keeps chunks (control/server/chunk_exchange.h).
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "control/barn/chunk_reference.h"

namespace runink::api {

inline constexpr size_t kChunkBytesMax = 8 << 20;

// How many are open at the same time; each holds its chunk in memory.
struct ChunkCallLimits {
  size_t puts = 8, gets = 8;
};

// The loop's thread. `done` comes once, in a later turn.
class Chunks {
 public:
  // OK: a majority has it durably. It may be put again whatever the answer is.
  virtual void put(std::string bytes, std::function<void(Result<barn::ChunkReference>)> done) = 0;
  // The content that has this hash. kNotFound: no member that answers has it whole.
  virtual void get(const barn::ChunkReference& reference, std::function<void(Result<std::string>)> done) = 0;

 protected:
  ~Chunks() = default;
};

}  // namespace runink::api
