// What a key holds in the place of a value that is too large for the log: the value's SHA-256 and its size. The content
// lies on the members' disks (rocks/chunk_store.h). As bytes: 32 bytes hash, 8 bytes size, little endian.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/little_endian.h"
#include "control/barn/limits.h"
#include "platform/crypto/digest.h"

namespace runink::barn {

struct ChunkReference {
  crypto::Digest256 hash{};
  uint64_t size = 0;
  auto operator<=>(const ChunkReference&) const = default;
};

inline std::string encode(const ChunkReference& reference) {
  std::string out(reinterpret_cast<const char*>(reference.hash.data()), reference.hash.size());
  append_little_endian(out, reference.size);
  return out;
}

// None: it has another size than a reference. Clients write these bytes, so the rest may be anything.
inline std::optional<ChunkReference> decode_chunk_reference(std::string_view bytes) {
  if (bytes.size() != kChunkReferenceBytes) return std::nullopt;
  ChunkReference out;
  std::memcpy(out.hash.data(), bytes.data(), out.hash.size());
  out.size = load_little_endian<uint64_t>(bytes.data() + out.hash.size());
  return out;
}

}  // namespace runink::barn
