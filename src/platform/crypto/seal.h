// Sealing: what a disk must not show and must not change unnoticed. AES-256-GCM (NIST SP 800-38D) with a random 96-bit
// nonce for each sealing; sub-keys by HKDF-SHA-256 (RFC 5869). OpenSSL's headers stay in the .cc.
//
// A sealed piece is nonce | ciphertext | tag: kSealOverhead bytes more than the plain bytes. The caller's associated
// data is not stored; whoever opens the piece must give the same. Random nonces may collide, and one collision under a
// key tells about both messages and lets an attacker forge: SP 800-38D, section 8.3, allows 2^32 sealings under one
// key. So whatever seals much derives a key for each file (SealingKey::derive with the file's random id as salt).
//
// Threads: a SealingKey may be used by any number of them at once; each thread keeps a few cipher contexts of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace runink::crypto {

inline constexpr size_t kKeyBytes = 32;
inline constexpr size_t kNonceBytes = 12;
inline constexpr size_t kTagBytes = 16;
inline constexpr size_t kSealOverhead = kNonceBytes + kTagBytes;
inline constexpr size_t kMostSealedBytes = size_t{1} << 30;  // plain bytes of one sealing; more is a bug of the caller

// Names a key without telling it: the first bytes of an HKDF of the key. May be shown, and stands in file headers.
using KeyId = std::array<uint8_t, 8>;
std::string key_id_text(const KeyId& id);  // 16 hexadecimal digits

// An AES-256 key. Copies share one piece of memory, which is wiped when the last of them goes.
class SealingKey {
 public:
  // From a key file: exactly 32 bytes, or 64 hexadecimal digits with at most one newline after them. It must be a
  // regular file of this user or of root that neither group nor others may read or write: else kFailedPrecondition
  // (kind "key.permissions"), or kInvalidArgument for content that is no key (kind "key.format"). No message shows a
  // byte of it.
  static Result<SealingKey> load(const std::string& path);
  static SealingKey from_bytes(const std::array<uint8_t, kKeyBytes>& bytes);
  static SealingKey generate();

  // The sub-key for a purpose ("journal", "state", "chunks", …) and, within it, for a salt (a file's id). Its id() is
  // that of the key it comes from, since that is what an operator can look for.
  SealingKey derive(std::string_view purpose, std::string_view salt = {}) const;

  const KeyId& id() const { return material_->id; }

  // Seals `plain` into out[0 .. plain.size() + kSealOverhead). `out` must not overlap `plain`.
  void seal(std::string_view plain, std::string_view associated, char* out) const;
  std::string seal(std::string_view plain, std::string_view associated) const;

  // Opens `sealed` into out[0 .. sealed.size() - kSealOverhead), which must not overlap it. False when it is shorter
  // than kSealOverhead, or a bit of it or of `associated` differs, or the key is another; `out` is then filled with
  // zeros.
  [[nodiscard]] bool open(std::string_view sealed, std::string_view associated, char* out) const;
  Result<std::string> open(std::string_view sealed, std::string_view associated) const;  // kDataLoss

  // For tests against published vectors alone: never seal twice with one nonce. out: ciphertext | tag.
  void seal_with_nonce_for_test(std::string_view nonce, std::string_view plain, std::string_view associated,
                                char* out) const;

 private:
  struct Material {
    std::array<uint8_t, kKeyBytes> bytes;
    KeyId id;
    uint64_t serial;  // tells contexts of one thread whether they hold this key
    ~Material();
  };
  explicit SealingKey(std::shared_ptr<const Material> material) : material_(std::move(material)) {}
  static SealingKey make(const std::array<uint8_t, kKeyBytes>& bytes, const KeyId* id);

  friend class CipherContexts;
  std::shared_ptr<const Material> material_;
};

// HKDF with SHA-256 (RFC 5869): `size` bytes, at most 255 * 32.
std::string hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info, size_t size);

// 12 random bytes that no other call in this process (nor in a child forked from it) has returned. Taken from the
// kernel's generator a few kilobytes at a time.
std::array<uint8_t, kNonceBytes> random_nonce();

}  // namespace runink::crypto
