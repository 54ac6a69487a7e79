#include "control/barn/digest.h"

#include <algorithm>

#include <xxhash.h>

namespace runink::barn {

Digest hash_bytes(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

void DigestTrail::add(Index index, const Digest& digest) {
  points_.push_back({index, digest});
  if (points_.size() > keep_) points_.pop_front();
}

std::vector<DigestPoint> DigestTrail::newest(size_t count) const {
  const size_t n = std::min(count, points_.size());
  return {points_.end() - static_cast<std::ptrdiff_t>(n), points_.end()};
}

std::optional<Digest> DigestTrail::at(Index index) const {
  const auto at = std::lower_bound(points_.begin(), points_.end(), index,
                                   [](const DigestPoint& point, Index i) { return point.index < i; });
  if (at == points_.end() || at->index != index) return std::nullopt;
  return at->digest;
}

std::optional<Index> DigestTrail::difference(const std::vector<DigestPoint>& other) const {
  std::optional<Index> first;
  for (const DigestPoint& point : other) {
    const auto own = at(point.index);
    if (own && *own != point.digest && (!first || point.index < *first)) first = point.index;
  }
  return first;
}

}  // namespace runink::barn
