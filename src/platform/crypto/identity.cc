#include "platform/crypto/identity.h"

#include <charconv>

#include "base/text.h"

namespace runink::crypto {

namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr size_t kMaxName = 64, kMaxLabel = 63, kMaxTrustDomain = 255;

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > kMaxLabel) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  for (char c : label) {
    if (!lower_or_digit(c) && c != '-') return false;
  }
  return true;
}

bool parse_node(std::string_view digits, uint64_t* node) {
  if (digits.empty() || digits.front() == '0') return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *node);
  return error == std::errc() && end == digits.data() + digits.size();
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  if (!lower_or_digit(name.front()) || !lower_or_digit(name.back())) return false;
  for (char c : name) {
    if (!lower_or_digit(c) && c != '-' && c != '_' && c != '.') return false;
  }
  return name.find("..") == std::string_view::npos;
}

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kBarn:
      return "barn";
    case Role::kAgent:
      return "agent";
    case Role::kUser:
      return "user";
  }
  return "";
}

std::string Identity::uri() const { return fmt::format("{}{}/{}/{}", kScheme, trust_domain, role_name(role), name); }

uint64_t Identity::node() const {
  uint64_t node = 0;
  return role == Role::kBarn && parse_node(name, &node) ? node : 0;
}

Result<std::string> trust_domain_of(std::string_view cluster_id) {
  if (!is_label(cluster_id)) {
    return invalid_argument("'{}' is not a cluster id: 1 to 63 of a-z, 0-9 and '-', with no '-' first or last",
                            escape_control(cluster_id.substr(0, 80)));
  }
  return std::string(cluster_id) + ".runink";
}

Status check_trust_domain(std::string_view trust_domain) {
  bool good = !trust_domain.empty() && trust_domain.size() <= kMaxTrustDomain;
  if (good) {
    for (std::string_view label : split(trust_domain, '.')) good = good && is_label(label);
  }
  if (good) return {};
  return invalid_argument("'{}' is not a trust domain", escape_control(trust_domain.substr(0, 80)));
}

Status check_name(Role role, std::string_view name) {
  uint64_t node = 0;
  if (role == Role::kBarn ? parse_node(name, &node) : is_name(name)) return {};
  if (role == Role::kBarn) {
    return invalid_argument("'{}' is not a node id: a decimal number from 1", escape_control(name.substr(0, 80)));
  }
  return invalid_argument("'{}' is not the name of a{} {}: 1 to 64 of a-z, 0-9, '-', '_' and '.'",
                          escape_control(name.substr(0, 80)), role == Role::kAgent ? "n" : "", role_name(role));
}

Result<Identity> make_identity(std::string trust_domain, Role role, std::string name) {
  RUNINK_RETURN_IF_ERROR(check_trust_domain(trust_domain));
  RUNINK_RETURN_IF_ERROR(check_name(role, name));
  return Identity{std::move(trust_domain), role, std::move(name)};
}

Result<Identity> barn_identity(std::string trust_domain, uint64_t node) {
  return make_identity(std::move(trust_domain), Role::kBarn, std::to_string(node));
}

Result<Identity> parse_identity(std::string_view uri) {
  const auto refuse = [&] {
    return invalid_argument("'{}' is not the identity of a member, agent or user", escape_control(uri.substr(0, 120)));
  };
  if (!uri.starts_with(kScheme)) return refuse();
  const std::vector<std::string_view> parts = split(uri.substr(kScheme.size()), '/');
  if (parts.size() != 3) return refuse();
  for (Role role : {Role::kBarn, Role::kAgent, Role::kUser}) {
    if (parts[1] != role_name(role)) continue;
    if (!check_trust_domain(parts[0]).ok() || !check_name(role, parts[2]).ok()) return refuse();
    return Identity{std::string(parts[0]), role, std::string(parts[2])};
  }
  return refuse();
}

}  // namespace runink::crypto
