#include "worker/network/forbidden.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::network {
namespace {

constexpr uint64_t kMostFileBytes = 64u << 10;
constexpr size_t kMostEntries = 256;
// What a member of the Barn listens on, unless it is told otherwise (control/node/member_config.h).
constexpr uint16_t kControlPlanePorts[] = {7460, 7461, 7462, 7463};

struct Fixed {
  const char* where;
  const char* what;
};

// In the order in which an address is looked for: the most telling first.
constexpr Fixed kFixed[] = {
    {"169.254.169.254", "cloud metadata"},
    {"169.254.170.2", "cloud metadata"},
    {"100.100.100.200", "cloud metadata"},
    {"168.63.129.16", "cloud metadata"},
    {"192.0.0.192", "cloud metadata"},
    {"169.254.0.0/16", "link-local"},
    {"127.0.0.0/8", "loopback"},
    {"0.0.0.0/8", "this host"},
    {"224.0.0.0/4", "multicast"},
    {"240.0.0.0/4", "reserved"},
    {"fd00:ec2::/32", "cloud metadata"},
    {"fd20:ce::254", "cloud metadata"},
    {"fe80::/10", "link-local"},
    {"::1", "loopback"},
    {"::ffff:0.0.0.0/96", "IPv4 wrapped in IPv6"},
    {"::/96", "IPv4 wrapped in IPv6"},
    {"2002::/16", "IPv4 wrapped in IPv6"},
    {"ff00::/8", "multicast"},
};

model::IpPrefix fixed(const char* text) {
  auto prefix = model::parse_ip_prefix(text);
  RUNINK_CHECK(prefix.ok());
  return *prefix;
}

// As a NAT64 gateway would reach it (RFC 6052).
model::IpPrefix through_nat64(const model::IpPrefix& v4) {
  model::IpPrefix out = fixed("64:ff9b::/96");
  std::copy_n(v4.address.begin(), 4, out.address.begin() + 12);
  out.length = 96 + v4.length;
  return out;
}

std::vector<Forbidden> make_fixed() {
  std::vector<Forbidden> list;
  for (const Fixed& entry : kFixed) list.push_back({fixed(entry.where), 0, entry.what});
  const size_t direct = list.size();
  for (size_t i = 0; i < direct; ++i) {
    if (!list[i].where->v6) list.push_back({through_nat64(*list[i].where), 0, list[i].what});
  }
  return list;
}

Result<Forbidden> read_entry(const std::string& text) {
  Forbidden out{.what = "forbidden on this host"};
  std::string where = text;
  const size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with("[");
  const size_t colons = static_cast<size_t>(std::count(text.begin(), text.end(), ':'));
  if (colon != std::string::npos && (bracketed ? text[colon - 1] == ']' : colons == 1)) {
    const std::string digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) {
      return invalid_argument("\"{}\": a port is 1 to 65535", escape_control(text));
    }
    where = text.substr(0, colon);
  }
  if (bracketed && where.ends_with("]")) where = where.substr(1, where.size() - 2);
  if (where == "*" && out.port != 0) return out;
  out.where = RUNINK_TRY(model::parse_ip_prefix(where));
  return out;
}

}  // namespace

const std::vector<Forbidden>& always_forbidden() {
  static const std::vector<Forbidden> list = make_fixed();
  return list;
}

Result<std::vector<Forbidden>> read_forbidden(const std::string& file) {
  std::vector<Forbidden> list = always_forbidden();
  const Result<std::string> text = os::read_file(file, kMostFileBytes);
  if (!text.ok() && text.status().code() == Code::kNotFound) {
    for (const uint16_t port : kControlPlanePorts) list.push_back({std::nullopt, port, "Runink's control plane"});
    return list;
  }
  RUNINK_RETURN_IF_ERROR(text.status());
  size_t number = 0;
  for (const std::string_view line : split(*text, '\n')) {
    ++number;
    const std::string entry(trim(line.substr(0, line.find('#'))));
    if (entry.empty()) continue;
    if (list.size() - always_forbidden().size() >= kMostEntries) {
      return resource_exhausted("{}:{}: more than {} entries", file, number, kMostEntries)
          .with_hint("a prefix stands for many addresses");
    }
    auto forbidden = read_entry(entry);
    if (!forbidden.ok()) return std::move(forbidden).status().with_context(fmt::format("{}:{}", file, number));
    list.push_back(std::move(*forbidden));
  }
  return list;
}

const Forbidden* find_forbidden(const std::vector<Forbidden>& list, const model::IpPrefix& to, uint16_t port) {
  const auto at = std::find_if(list.begin(), list.end(), [&](const Forbidden& entry) {
    return (entry.port == 0 || entry.port == port) && (!entry.where || model::contains(*entry.where, to));
  });
  return at == list.end() ? nullptr : &*at;
}

}  // namespace runink::network
