// An IPv4 or IPv6 address, or all that begin with the same bits ("10.0.0.0/8").
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/status.h"

namespace runink::model {

struct IpPrefix {
  bool v6 = false;
  int length = 0;                     // bits, of 32 or of 128
  std::array<uint8_t, 16> address{};  // in the network's order, the first 4 for IPv4; bits behind `length` are 0

  int most_bits() const { return v6 ? 128 : 32; }
  int bytes() const { return v6 ? 16 : 4; }
  bool single() const { return length == most_bits(); }
  bool operator==(const IpPrefix&) const = default;
  auto operator<=>(const IpPrefix&) const = default;
};

// "192.0.2.7", "2001:db8::7", "10.0.0.0/8", "2001:db8::/32", and nothing else: no host names, no "127.1", no zone.
// Refused where bits behind the length are set: "10.0.0.1/8" is more likely a slip than 16 million addresses.
Result<IpPrefix> parse_ip_prefix(const std::string& text);
// Whether it is written like one (and may still be refused): what then is no host name.
bool looks_like_ip_prefix(const std::string& text);

// The shortest usual form; the length only where it is no single address.
std::string to_string(const IpPrefix& prefix);

// A single address of 4 or 16 bytes.
IpPrefix ip_address(bool v6, const void* bytes);
// The bits of `address` up to `length`.
IpPrefix ip_prefix(bool v6, const void* bytes, int length);

// Whether all of `inner` lies in `outer`; never where one is IPv4 and the other IPv6.
bool contains(const IpPrefix& outer, const IpPrefix& inner);
bool overlaps(const IpPrefix& a, const IpPrefix& b);

}  // namespace runink::model
