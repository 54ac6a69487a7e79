#include "platform/crypto/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/text.h"

namespace runink::crypto {

void random_bytes(void* out, size_t size) {
  auto* at = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t n = ::getrandom(at, std::min<size_t>(size, 1 << 20), 0);
    if (n < 0 && errno == EINTR) continue;
    RUNINK_CHECK(n > 0);
    at += n;
    size -= static_cast<size_t>(n);
  }
}

uint64_t random_u64() {
  uint64_t value;
  random_bytes(&value, sizeof value);
  return value;
}

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0');
  random_bytes(raw.data(), raw.size());
  return to_hex(raw);
}

}  // namespace runink::crypto
