// Base64 (RFC 4648, standard alphabet, with padding).
#pragma once

#include <string>
#include <string_view>

namespace runink::crypto {

void append_base64(std::string& out, std::string_view bytes);
std::string base64(std::string_view bytes);
// False unless the text is exactly canonical base64; `out` is then not to be used.
bool decode_base64(std::string_view text, std::string* out);

}  // namespace runink::crypto
