#include "control/node/member_config.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <charconv>
#include <set>

#include "base/text.h"
#include "platform/crypto/random.h"
#include "platform/net/socket.h"

namespace runink::node {

namespace {

constexpr int64_t kLeastTick = 5'000'000, kMostTick = 10'000'000'000;
constexpr size_t kIdDigits = 32;

bool is_hex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Takes keys out of one table; what nobody asked for is unknown.
class TableReader {
 public:
  TableReader(const std::string& path, const toml::table& table) : path_(path), table_(table) {}

  Status text(const char* key, bool required, std::string* out) {
    taken_.insert(key);
    const toml::node* const node = table_.get(key);
    if (node == nullptr) return required ? error(table_, fmt::format("\"{}\" is missing", key)) : Status();
    const auto value = node->value_exact<std::string>();
    if (!value) return error(*node, fmt::format("\"{}\" must be a text in quotes", key));
    *out = *value;
    return {};
  }
  Status address(const char* key, std::string* out) {
    RUNINK_RETURN_IF_ERROR(text(key, true, out));
    if (Status bad = status_of(net::parse_host_port(*out)); !bad.ok()) return error(*table_.get(key), bad.message());
    return {};
  }
  Result<const toml::table*> table(const char* key, bool required) {
    taken_.insert(key);
    const toml::node* const node = table_.get(key);
    if (node == nullptr && !required) return nullptr;
    if (node == nullptr || !node->is_table())
      return error(node == nullptr ? table_ : *node, fmt::format("the table [{}] is missing", key));
    return node->as_table();
  }
  const toml::node* take(const char* key) {
    taken_.insert(key);
    return table_.get(key);
  }
  Status done() const {
    for (const auto& [key, node] : table_) {
      if (!taken_.contains(key.str())) return error(node, fmt::format("\"{}\" is not known here", key.str()));
    }
    return {};
  }
  Status error(const toml::node& node, const std::string& what) const {
    const auto& at = node.source().begin;
    return invalid_argument("{}:{}:{}: {}", path_, at.line, at.column, what);
  }

 private:
  const std::string& path_;
  const toml::table& table_;
  std::set<std::string, std::less<>> taken_;
};

Status read_peers(const std::string& path, const TableReader& reader, const toml::table& table, MemberConfig* out) {
  for (const auto& [key, node] : table) {
    raft::NodeId id = 0;
    const std::string_view digits = key.str();
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (failed != std::errc() || end != digits.data() + digits.size() || id == 0)
      return reader.error(node, fmt::format("\"{}\" is not the id of a member", digits));
    if (!node.is_table()) return reader.error(node, "a peer is { members = \"host:port\", api = \"host:port\" }");
    TableReader peer(path, *node.as_table());
    RUNINK_RETURN_IF_ERROR(peer.address("members", &out->peers[id].members));
    RUNINK_RETURN_IF_ERROR(peer.address("api", &out->peers[id].api));
    RUNINK_RETURN_IF_ERROR(peer.done());
  }
  return {};
}

// What looks like an IPv4 address and is none would be asked of DNS; a name with '-' first is a mistyped flag.
Status check_host(const std::string& host) {
  const bool numeric = !host.empty() && host.find_first_not_of("0123456789.") == std::string::npos;
  if ((!numeric || net::numeric_address({host, 1}).ok()) && !host.starts_with("-")) return {};
  return invalid_argument("'{}' is neither an address nor a name of a host", escape_control(host.substr(0, 80)));
}

}  // namespace

journal::ClusterId MemberConfig::cluster_bytes() const {
  journal::ClusterId out{};
  const auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (size_t i = 0; i < out.size() && 2 * i + 1 < cluster_id.size(); ++i)
    out[i] = static_cast<uint8_t>(value(cluster_id[2 * i]) << 4 | value(cluster_id[2 * i + 1]));
  return out;
}

std::string new_cluster_id() { return crypto::random_hex(kIdDigits / 2); }

Result<MemberAddresses> addresses_at(const std::string& host, int first_port) {
  RUNINK_RETURN_IF_ERROR(check_host(host));
  if (first_port < 1 || first_port > 65532)
    return invalid_argument("a member takes four ports, from --port on: that is between 1 and 65532");
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with("[");
  const auto at = [&](int port) {
    return net::HostPort{bare_v6 ? "[" + host + "]" : host, static_cast<uint16_t>(port)};
  };
  MemberAddresses out;
  int port = first_port;
  for (std::string* address : {&out.api, &out.members, &out.join, &out.metrics}) {
    *address = fmt::format("{}:{}", at(port).host, port);
    RUNINK_RETURN_IF_ERROR(status_of(net::parse_host_port(*address)));
    ++port;
  }
  if (host == "0.0.0.0" || host == "::" || host == "[::]") {
    return invalid_argument("{} is no address under which others reach this member", host)
        .with_hint("give the host's own address, and --listen " + host + " to listen on all of them");
  }
  return out;
}

Status check_listen_host(const std::string& host) {
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with("[");
  if (host.empty() || (net::parse_host_port(bare_v6 ? "[" + host + "]:1" : host + ":1").ok() && check_host(host).ok()))
    return {};
  return invalid_argument("'{}' is no host to listen at", escape_control(host.substr(0, 80)))
      .with_hint("give an address of this machine without a port, or 0.0.0.0 for all of them");
}

std::string encode(const MemberConfig& config) {
  std::string out = fmt::format(
      "# One member of a cluster. The cluster knows it by these addresses: to change them, remove the member and let "
      "it\n"
      "# join anew.\n"
      "cluster = \"{}\"\nname = \"{}\"\nnode = {}\ntick = \"{}ms\"\n",
      config.cluster_id, config.cluster_name, config.node, config.tick_nanos / 1'000'000);
  if (!config.key_id.empty()) out += fmt::format("key = \"{}\"\n", config.key_id);
  const MemberAddresses& at = config.addresses;
  out += fmt::format("\n[addresses]\napi = \"{}\"\nmembers = \"{}\"\njoin = \"{}\"\nmetrics = \"{}\"\n", at.api,
                     at.members, at.join, at.metrics);
  if (!config.listen_host.empty()) out += fmt::format("\n[listen]\nhost = \"{}\"\n", config.listen_host);
  if (!config.peers.empty()) out += "\n[peers]\n";
  for (const auto& [id, peer] : config.peers)
    out += fmt::format("{} = {{ members = \"{}\", api = \"{}\" }}\n", id, peer.members, peer.api);
  return out;
}

Result<MemberConfig> parse_member_config(const std::string& path, std::string text) {
  toml::table root;
  try {
    root = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return invalid_argument("{}:{}:{}: {}", path, at.line, at.column, std::string(error.description()));
  }
  TableReader reader(path, root);
  MemberConfig out;
  RUNINK_RETURN_IF_ERROR(reader.text("cluster", true, &out.cluster_id));
  if (!is_hex(out.cluster_id, kIdDigits))
    return reader.error(*root.get("cluster"), "a cluster's id has 32 hexadecimal digits");
  RUNINK_RETURN_IF_ERROR(reader.text("name", true, &out.cluster_name));
  const toml::node* const node = reader.take("node");
  const auto id = node == nullptr ? std::nullopt : node->value_exact<int64_t>();
  if (!id || *id < 1) return reader.error(node == nullptr ? root : *node, "\"node\" must be a number from 1 on");
  out.node = static_cast<raft::NodeId>(*id);
  std::string tick = "50ms";
  RUNINK_RETURN_IF_ERROR(reader.text("tick", false, &tick));
  int64_t micros = 0;
  if (!parse_duration_micros(tick, &micros) || micros * 1000 < kLeastTick || micros * 1000 > kMostTick)
    return reader.error(root.get("tick") == nullptr ? root : *root.get("tick"), "\"tick\" is between 5ms and 10s");
  out.tick_nanos = micros * 1000;
  RUNINK_RETURN_IF_ERROR(reader.text("key", false, &out.key_id));

  const toml::table* const addresses = RUNINK_TRY(reader.table("addresses", true));
  TableReader at(path, *addresses);
  RUNINK_RETURN_IF_ERROR(at.address("api", &out.addresses.api));
  RUNINK_RETURN_IF_ERROR(at.address("members", &out.addresses.members));
  RUNINK_RETURN_IF_ERROR(at.address("join", &out.addresses.join));
  RUNINK_RETURN_IF_ERROR(at.address("metrics", &out.addresses.metrics));
  RUNINK_RETURN_IF_ERROR(at.done());
  if (const toml::table* const listen = RUNINK_TRY(reader.table("listen", false))) {
    TableReader where(path, *listen);
    RUNINK_RETURN_IF_ERROR(where.text("host", true, &out.listen_host));
    RUNINK_RETURN_IF_ERROR(where.done());
  }
  if (const toml::table* const peers = RUNINK_TRY(reader.table("peers", false)))
    RUNINK_RETURN_IF_ERROR(read_peers(path, reader, *peers, &out));
  RUNINK_RETURN_IF_ERROR(reader.done());
  return out;
}

}  // namespace runink::node
