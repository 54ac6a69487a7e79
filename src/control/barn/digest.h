// Digests by which replicas find out that they differ.
//
// The rolling digest after entry n is XXH3-128 (https://github.com/Cyan4973/xxHash, specification in its doc folder)
// over the digest after n - 1, the entry's index and term, and its effects: what was written or deleted with all
// indexes, the answer, what became of leases and sessions. Replicas with the same digest at the same index have carried
// out the same changes. It is no protection against somebody who makes collisions on purpose, and needs none: who can
// write entries needs no collision.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/barn/ids.h"

namespace runink::barn {

Digest hash_bytes(std::string_view bytes);

struct DigestPoint {
  Index index = 0;
  Digest digest;
  bool operator==(const DigestPoint&) const = default;
};

// The newest digests at multiples of a fixed distance, so that replicas which apply at different speed have indexes in
// common. Kept in memory; empty after a restart, and it fills again.
class DigestTrail {
 public:
  explicit DigestTrail(Index every = 64, size_t keep = 1024) : every_(every), keep_(keep) {}

  void applied(Index index, const Digest& digest) {
    if (index % every_ == 0) add(index, digest);
  }
  std::vector<DigestPoint> newest(size_t count) const;  // ascending
  std::optional<Digest> at(Index index) const;
  // The first index that both have with different digests. None: no difference is known, which also holds where they
  // have no index in common.
  std::optional<Index> difference(const std::vector<DigestPoint>& other) const;
  void clear() { points_.clear(); }  // another state took the place of this one

 private:
  void add(Index index, const Digest& digest);
  Index every_;
  size_t keep_;
  std::deque<DigestPoint> points_;
};

}  // namespace runink::barn
