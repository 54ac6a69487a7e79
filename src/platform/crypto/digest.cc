// The functions used here need nothing of OpenSSL but the arithmetic: those of EVP first read its configuration file
// and register every algorithm that it knows, which takes longer than all else that a short command does.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "platform/crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace runink::crypto {

namespace {

SHA256_CTX* as_context(std::array<uint8_t, 112>& state) {
  static_assert(sizeof(SHA256_CTX) <= 112 && alignof(SHA256_CTX) <= 8);
  return reinterpret_cast<SHA256_CTX*>(state.data());
}

}  // namespace

void Sha256::update(std::string_view bytes) {
  RUNINK_CHECK(SHA256_Update(as_context(state_), bytes.data(), bytes.size()) == 1);
}

Digest256 Sha256::finish() {
  Digest256 digest;
  RUNINK_CHECK(SHA256_Final(digest.data(), as_context(state_)) == 1);
  reset();
  return digest;
}

void Sha256::reset() { RUNINK_CHECK(SHA256_Init(as_context(state_)) == 1); }

Digest256 sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string hex(const Digest256& digest) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}
std::string sha256_hex(std::string_view bytes) { return hex(sha256(bytes)); }

// HMAC (RFC 2104) over the streaming hash above, so that one key serves many messages without a context for each.
HmacSha256::HmacSha256(std::string_view key) {
  std::array<uint8_t, 64> block{};
  if (key.size() > block.size()) {
    const Digest256 shorter = sha256(key);
    std::memcpy(block.data(), shorter.data(), shorter.size());
  } else {
    std::memcpy(block.data(), key.data(), key.size());
  }
  for (size_t i = 0; i < block.size(); ++i) {
    inner_pad_[i] = block[i] ^ 0x36;
    outer_pad_[i] = block[i] ^ 0x5C;
  }
  OPENSSL_cleanse(block.data(), block.size());
}

HmacSha256::~HmacSha256() {
  OPENSSL_cleanse(inner_pad_.data(), inner_pad_.size());
  OPENSSL_cleanse(outer_pad_.data(), outer_pad_.size());
}

Digest256 HmacSha256::sign(std::string_view message) {
  const auto view = [](const auto& bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  hash_.update(view(inner_pad_));
  hash_.update(message);
  const Digest256 inner = hash_.finish();
  hash_.update(view(outer_pad_));
  hash_.update(view(inner));
  return hash_.finish();
}

Digest256 hmac_sha256(std::string_view key, std::string_view message) { return HmacSha256(key).sign(message); }

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace runink::crypto
