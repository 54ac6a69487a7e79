// Encryption of batches at rest, as the journal needs it: AES-256-GCM or what has the same shape. The journal knows no keys;
// whoever opens it hands in a sealer, or none for plain files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/status.h"

namespace runink::journal {

// Names a key without telling anything of it, so that a wrong one is refused by name. All zero: no key.
using KeyId = std::array<uint8_t, 8>;

class Sealer {
 public:
  static constexpr size_t kNonceBytes = 12;
  static constexpr size_t kTagBytes = 16;

  virtual ~Sealer() = default;
  virtual KeyId key_id() const = 0;
  // Encrypts `bytes` where they lie, under a nonce that is chosen here and never used again with this key.
  // `associated` is authenticated, not stored.
  virtual Status seal(std::string_view associated, std::span<char> bytes, std::span<char, kNonceBytes> nonce,
                      std::span<char, kTagBytes> tag) const = 0;
  // The reverse. kDataLoss: not what this key has sealed with this `associated`; `bytes` are worthless then.
  virtual Status open(std::string_view associated, std::span<char> bytes, std::span<const char, kNonceBytes> nonce,
                      std::span<const char, kTagBytes> tag) const = 0;
};

}  // namespace runink::journal
