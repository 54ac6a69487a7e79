#include "model/slice_network.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"
#include "model/ip_prefix.h"

namespace runink::model {
namespace {

// As DNS has it, and "_", which some service names have.
bool is_host_name(const std::string& name) {
  if (name.empty() || name.size() > 253 || looks_like_ip_prefix(name)) return false;
  const std::vector<std::string_view> labels = split(name, '.');
  return std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
  });
}

bool read_port(std::string_view text, uint16_t* port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *port);
  return error == std::errc() && end == text.data() + text.size() && *port != 0;
}

const char* protocol_name(SliceProtocol protocol) { return protocol == SliceProtocol::kUdp ? "udp" : "tcp"; }

Status check_endpoint(const SliceEndpoint& endpoint, const std::string& host_name) {
  const std::string shown = escape_control(to_string(endpoint));
  if (endpoint.port == 0) return invalid_argument("endpoint {}: a port is 1 to 65535", shown);
  if (endpoint.protocol != SliceProtocol::kTcp && endpoint.protocol != SliceProtocol::kUdp) {
    return invalid_argument("endpoint {}: its protocol is neither TCP nor UDP", shown);
  }
  if (looks_like_ip_prefix(endpoint.host)) {
    if (auto prefix = parse_ip_prefix(endpoint.host); !prefix.ok()) {
      return std::move(prefix).status().with_context("endpoint " + shown);
    }
    if (!endpoint.addresses.empty()) return invalid_argument("endpoint {}: an address has no addresses", shown);
    return {};
  }
  if (!is_host_name(endpoint.host)) {
    return invalid_argument("endpoint {}: \"{}\" is not a host name", shown, escape_control(endpoint.host))
        .with_hint("letters, digits, \"-\", \"_\" and \".\"; an IPv6 address stands in brackets: [2001:db8::7]:443");
  }
  if (endpoint.host == "localhost" || endpoint.host.ends_with(".localhost") || endpoint.host == host_name) {
    return invalid_argument("endpoint {}: in a slice, {} is the slice itself", shown, endpoint.host)
        .with_hint("name the service by a name or address that other machines know");
  }
  if (endpoint.addresses.size() > kMostAddresses) {
    return invalid_argument("endpoint {}: {} addresses, the most is {}", shown, endpoint.addresses.size(),
                            kMostAddresses);
  }
  for (const std::string& address : endpoint.addresses) {
    auto prefix = parse_ip_prefix(address);
    if (!prefix.ok()) return std::move(prefix).status().with_context("endpoint " + shown);
    if (!prefix->single()) return invalid_argument("endpoint {}: {} is not one address", shown, address);
  }
  return {};
}

}  // namespace

Result<SliceEndpoint> parse_endpoint(const std::string& text) {
  const auto refuse = [&] {
    return invalid_argument("endpoint \"{}\": not HOST:PORT or HOST:PORT/udp", escape_control(text))
        .with_hint("such as db.example.org:5432, 192.0.2.7:53/udp, 10.0.0.0/8:443, [2001:db8::7]:443");
  };
  SliceEndpoint endpoint;
  std::string_view rest = text;
  if (rest.ends_with("/udp")) endpoint.protocol = SliceProtocol::kUdp;
  if (rest.ends_with("/udp") || rest.ends_with("/tcp")) rest.remove_suffix(4);
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || !read_port(rest.substr(colon + 1), &endpoint.port)) return refuse();
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with("[") && host.ends_with("]")) {
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos) return refuse();
  } else if (host.find(':') != std::string_view::npos) {
    return refuse();  // where an address ends and its port begins could only be guessed
  }
  endpoint.host = to_lower_ascii(host);
  if (endpoint.host.ends_with(".")) endpoint.host.pop_back();
  RUNINK_RETURN_IF_ERROR(check_endpoint(endpoint, ""));
  return endpoint;
}

std::string to_string(const SliceEndpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}/{}", v6 ? "[" : "", endpoint.host, v6 ? "]" : "", endpoint.port,
                     protocol_name(endpoint.protocol));
}

Status validate_network(const SliceNetwork& network, const std::string& host_name) {
  if (network.endpoints.size() > kMostEndpoints) {
    return invalid_argument("{} endpoints: a slice has at most {}", network.endpoints.size(), kMostEndpoints)
        .with_hint("a prefix such as 10.1.0.0/16:443 stands for many");
  }
  std::set<std::string> seen;
  for (const SliceEndpoint& endpoint : network.endpoints) {
    RUNINK_RETURN_IF_ERROR(check_endpoint(endpoint, host_name));
    if (!seen.insert(to_string(endpoint)).second) {
      return invalid_argument("endpoint {} is named twice", to_string(endpoint)).with_hint("name it once");
    }
  }
  if (!network.bytes_per_second) return {};
  if (!network.any()) {
    return invalid_argument("a network rate, but no endpoint: a slice without one sends nothing")
        .with_hint("name what it may reach, or leave the rate out");
  }
  if (*network.bytes_per_second < kLeastNetworkRate) {
    return invalid_argument("network rate of {} a second: the least is {}", human_bytes(*network.bytes_per_second),
                            human_bytes(kLeastNetworkRate));
  }
  return {};
}

}  // namespace runink::model
