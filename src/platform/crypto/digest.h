// SHA-256 and HMAC-SHA-256, on OpenSSL. OpenSSL's own headers stay in the .cc.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace runink::crypto {

using Digest256 = std::array<uint8_t, 32>;

// Streaming, without allocation. One thread at a time; reset() or finish() makes it ready for the next message.
class Sha256 {
 public:
  Sha256() { reset(); }
  void update(std::string_view bytes);
  Digest256 finish();
  void reset();

 private:
  alignas(8) std::array<uint8_t, 112> state_;  // OpenSSL's SHA256_CTX
};

Digest256 sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);  // 64 lower-case hexadecimal digits
std::string hex(const Digest256& digest);

Digest256 hmac_sha256(std::string_view key, std::string_view message);

// HMAC with one key over many messages, for masking and tokenising in a loop. One thread at a time.
class HmacSha256 {
 public:
  explicit HmacSha256(std::string_view key);
  ~HmacSha256();  // wipes the key
  HmacSha256(HmacSha256&&) = default;
  HmacSha256& operator=(HmacSha256&&) = default;
  Digest256 sign(std::string_view message);

 private:
  std::array<uint8_t, 64> inner_pad_, outer_pad_;
  Sha256 hash_;
};

// The same time whatever the bytes; false at once when lengths differ.
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace runink::crypto
