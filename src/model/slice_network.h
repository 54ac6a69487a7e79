// What of the network a slice may reach, as plain values: named endpoints, and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace runink::model {

enum class SliceProtocol : uint8_t { kTcp = 0, kUdp = 1 };

// One service. What its name resolves to is looked up once, before the slice is started (worker/network/resolve.h), and
// is what the name means for as long as the slice lives.
struct SliceEndpoint {
  std::string host;  // a name in lower case, an address, or a prefix ("10.0.0.0/8")
  uint16_t port = 0;
  SliceProtocol protocol = SliceProtocol::kTcp;
  // Addresses that the name has ("192.0.2.7", "2001:db8::7"). Empty for an address or prefix, which is its own.
  std::vector<std::string> addresses;
};

struct SliceNetwork {
  std::vector<SliceEndpoint> endpoints;  // none: a network of its own with nothing but loopback
  // The most that may flow, each way. Takes endpoints.
  std::optional<uint64_t> bytes_per_second;
  bool any() const { return !endpoints.empty(); }
};

inline constexpr size_t kMostEndpoints = 64;
inline constexpr size_t kMostAddresses = 64;  // of one name
inline constexpr uint64_t kLeastNetworkRate = 10'000;

// "HOST:PORT", "ADDRESS:PORT", "[V6]:PORT", "PREFIX:PORT", "[V6PREFIX]:PORT", each with "/tcp" (the default said aloud)
// or "/udp" behind it. Names come out in lower case and without a last dot.
Result<SliceEndpoint> parse_endpoint(const std::string& text);
// As it is written; for messages.
std::string to_string(const SliceEndpoint& endpoint);

// Of the values themselves; what is forbidden on this host is known only there. `host_name` is the slice's own.
Status validate_network(const SliceNetwork& network, const std::string& host_name);

}  // namespace runink::model
