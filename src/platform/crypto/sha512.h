// SHA-512, for protocols that ask for it. What is our own uses SHA-256 (digest.h).
#pragma once

#include <string>
#include <string_view>

namespace runink::crypto {

std::string sha512_hex(std::string_view bytes);  // 128 lower-case hexadecimal digits

}  // namespace runink::crypto
