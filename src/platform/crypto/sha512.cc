#include "platform/crypto/sha512.h"

#include <openssl/sha.h>

#include "base/check.h"
#include "base/text.h"

namespace runink::crypto {

std::string sha512_hex(std::string_view bytes) {
  unsigned char digest[SHA512_DIGEST_LENGTH];
  RUNINK_CHECK(SHA512(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest) == digest);
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest), sizeof digest));
}

}  // namespace runink::crypto
