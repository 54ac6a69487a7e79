#include "platform/crypto/base64.h"

#include <array>
#include <cstdint>

namespace runink::crypto {

namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> kValues = [] {
  std::array<int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (int i = 0; i < 64; ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
  return values;
}();

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  const size_t begin = out.size();
  out.resize(begin + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + begin;
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t left = bytes.size();
  for (; left >= 3; left -= 3, from += 3) {
    const uint32_t group = uint32_t{from[0]} << 16 | uint32_t{from[1]} << 8 | from[2];
    *to++ = kAlphabet[group >> 18];
    *to++ = kAlphabet[group >> 12 & 63];
    *to++ = kAlphabet[group >> 6 & 63];
    *to++ = kAlphabet[group & 63];
  }
  if (left > 0) {
    const uint32_t group = uint32_t{from[0]} << 16 | (left > 1 ? uint32_t{from[1]} << 8 : 0);
    *to++ = kAlphabet[group >> 18];
    *to++ = kAlphabet[group >> 12 & 63];
    *to++ = left > 1 ? kAlphabet[group >> 6 & 63] : '=';
    *to++ = '=';
  }
}

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

bool decode_base64(std::string_view text, std::string* out) {
  out->clear();
  if (text.size() % 4 != 0) return false;
  if (text.empty()) return true;
  const size_t padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  out->reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    const size_t missing = i + 4 == text.size() ? padding : 0;
    uint32_t group = 0;
    for (size_t j = 0; j < 4; ++j) {
      const int value = j >= 4 - missing ? 0 : kValues[static_cast<uint8_t>(text[i + j])];
      if (value < 0) return false;
      group = group << 6 | static_cast<uint32_t>(value);
    }
    // Bits that no byte takes up must be zero, else two texts would mean the same.
    if ((missing == 1 && (group & 0xFF) != 0) || (missing == 2 && (group & 0xFFFF) != 0)) return false;
    *out += static_cast<char>(group >> 16);
    if (missing < 2) *out += static_cast<char>(group >> 8 & 0xFF);
    if (missing < 1) *out += static_cast<char>(group & 0xFF);
  }
  return true;
}

}  // namespace runink::crypto
