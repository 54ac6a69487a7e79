#include "base/id.h"

#include <cctype>

#include "base/text.h"

namespace runink {

std::string make_uuid_v7(int64_t unix_millis, const std::array<uint8_t, 10>& random) {
  std::string bytes(16, '\0');
  for (int i = 0; i < 6; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(unix_millis >> (40 - 8 * i));
  for (size_t i = 0; i < 10; ++i) bytes[6 + i] = static_cast<char>(random[i]);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x70);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  std::string hex = to_hex(bytes);
  for (size_t at : {8, 13, 18, 23}) hex.insert(at, "-");
  return hex;
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < 36; ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return false;
    } else if (!std::isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

}  // namespace runink
