#include "control/barn/ids.h"

#include <fmt/format.h>

namespace runink::barn {

std::string to_string(const Digest& digest) { return fmt::format("{:016x}{:016x}", digest.high, digest.low); }

KeyRange whole_range() { return {}; }

KeyRange prefix_range(std::string_view prefix) {
  KeyRange range{std::string(prefix), std::string(prefix)};
  // The first key behind all with this prefix: without trailing 0xff bytes, the last one raised. Of nothing but 0xff:
  // no end.
  while (!range.to.empty() && static_cast<uint8_t>(range.to.back()) == 0xff) range.to.pop_back();
  if (!range.to.empty()) range.to.back() = static_cast<char>(static_cast<uint8_t>(range.to.back()) + 1);
  return range;
}

KeyRange single_key(std::string_view key) {
  KeyRange range{std::string(key), std::string(key)};
  range.to.push_back('\0');
  return range;
}

}  // namespace runink::barn
