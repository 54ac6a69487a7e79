#include "model/ip_prefix.h"

#include <arpa/inet.h>
#include <string.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace runink::model {
namespace {

// Whether both begin with the same `bits`.
bool same_bits(const IpPrefix& a, const IpPrefix& b, int bits) {
  const auto whole = static_cast<size_t>(bits / 8);
  if (!std::equal(a.address.begin(), a.address.begin() + static_cast<std::ptrdiff_t>(whole), b.address.begin())) {
    return false;
  }
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<uint8_t>(0xFF00 >> (bits % 8));
  return ((a.address[whole] ^ b.address[whole]) & mask) == 0;
}

}  // namespace

IpPrefix ip_address(bool v6, const void* bytes) { return ip_prefix(v6, bytes, v6 ? 128 : 32); }

IpPrefix ip_prefix(bool v6, const void* bytes, int length) {
  IpPrefix prefix{.v6 = v6, .length = length};
  ::memcpy(prefix.address.data(), bytes, static_cast<size_t>(prefix.bytes()));
  for (int bit = length; bit < prefix.most_bits(); ++bit) {
    prefix.address[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  }
  return prefix;
}

bool looks_like_ip_prefix(const std::string& text) {
  if (text.find_first_of(":/") != std::string::npos) return true;
  // The last part of a host name is never a number: "127.1" and "0x7f.0.0.1" are addresses to some.
  const size_t dot = text.rfind('.');
  const std::string last = dot == std::string::npos ? text : text.substr(dot + 1);
  return !last.empty() && last[0] >= '0' && last[0] <= '9' &&
         (last.find_first_not_of("0123456789") == std::string::npos || last.starts_with("0x") ||
          last.starts_with("0X"));
}

Result<IpPrefix> parse_ip_prefix(const std::string& text) {
  const auto refuse = [&](const char* why) {
    return invalid_argument("\"{}\" is no address and no prefix: {}", escape_control(text), why)
        .with_hint("such as 192.0.2.7, 2001:db8::7, 10.0.0.0/8");
  };
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const bool v6 = address.find(':') != std::string::npos;
  uint8_t bytes[16] = {};
  if (address.find('\0') != std::string::npos || ::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes) != 1) {
    return refuse(v6 ? "not an IPv6 address" : "not an IPv4 address");
  }
  const IpPrefix whole = ip_address(v6, bytes);
  if (slash == std::string::npos) return whole;
  const std::string_view digits = std::string_view(text).substr(slash + 1);
  int length = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || length < 0 || length > whole.most_bits()) {
    return refuse(v6 ? "the length is 0 to 128" : "the length is 0 to 32");
  }
  const IpPrefix prefix = ip_prefix(v6, bytes, length);
  if (prefix.address != whole.address) return refuse("bits behind the length are set");
  return prefix;
}

std::string to_string(const IpPrefix& prefix) {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(prefix.v6 ? AF_INET6 : AF_INET, prefix.address.data(), text, sizeof text);
  return prefix.single() ? std::string(text) : fmt::format("{}/{}", text, prefix.length);
}

bool contains(const IpPrefix& outer, const IpPrefix& inner) {
  return outer.v6 == inner.v6 && outer.length <= inner.length && same_bits(outer, inner, outer.length);
}

bool overlaps(const IpPrefix& a, const IpPrefix& b) { return contains(a, b) || contains(b, a); }

}  // namespace runink::model
