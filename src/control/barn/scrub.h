// Hashes what a replica has stored, as of one applied index, in small slices beside normal work. The rolling digest
// says that replicas computed the same; a scrub says that they still hold it.
//
// All tables are walked in key order and cut into ranges after a fixed number of bytes. Replicas with the same state at
// the same index give the same ranges; where they differ, the first range that differs says where the damage is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/barn/digest.h"
#include "control/barn/store.h"

namespace runink::barn {

struct ScrubRange {
  std::string last_key;  // of the store, with its table byte; the range begins behind the one before
  uint64_t records = 0, bytes = 0;
  Digest digest;
  bool operator==(const ScrubRange&) const = default;
};

struct ScrubResult {
  uint64_t id = 0;  // of the scrub mark
  Position position;
  std::vector<ScrubRange> ranges;
  Digest total;  // over the digests of the ranges
};

class Scrub {
 public:
  Scrub(uint64_t id, Position position, std::unique_ptr<StateView> view, uint64_t range_bytes = 16 << 20);
  ~Scrub();
  // Hashes about so many bytes more. True: done. An error (kDataLoss) is a finding: what is stored cannot be read.
  Result<bool> step(uint64_t bytes);
  bool done() const { return done_; }
  uint64_t id() const { return result_.id; }
  const Position& position() const { return result_.position; }
  const ScrubResult& result() const { return result_; }  // whole once done

 private:
  void close_range();
  std::unique_ptr<StateView> view_;
  std::unique_ptr<StateIterator> at_;
  struct Hash;
  std::unique_ptr<Hash> hash_;
  uint64_t range_bytes_;
  ScrubRange open_;
  std::string last_key_;
  ScrubResult result_;
  bool done_ = false;
};

// The number of the first range in which they differ; none where they are the same. Only of the same id and position.
std::optional<size_t> first_difference(const ScrubResult& a, const ScrubResult& b);

}  // namespace runink::barn
