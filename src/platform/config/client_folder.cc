#include "platform/config/client_folder.h"

#include <toml++/toml.h>

#include "platform/os/file.h"

namespace runink::config {

namespace {

constexpr uint64_t kMaxBytes = 64 << 10;

std::string path_of(const std::string& folder) { return folder + "/cluster.toml"; }

}  // namespace

Status save_client_folder(const std::string& folder, const ClientFolder& client) {
  std::string text =
      fmt::format("cluster = \"{}\"\nname = \"{}\"\nendpoints = [", client.cluster_id, client.cluster_name);
  for (size_t i = 0; i < client.endpoints.size(); ++i)
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", client.endpoints[i]);
  return os::write_file_atomic(path_of(folder), text + "]\n", 0600);
}

Result<ClientFolder> load_client_folder(const std::string& folder) {
  const std::string path = path_of(folder);
  if (!os::exists(path)) {
    return not_found("{} does not say how to reach a cluster: it has no cluster.toml", folder)
        .with_hint("the founder of a cluster has such a folder, named client, in its own");
  }
  const std::string text = RUNINK_TRY(os::read_file(path, kMaxBytes));
  toml::table root;
  try {
    root = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return invalid_argument("{}:{}:{}: {}", path, at.line, at.column, std::string(error.description()));
  }
  ClientFolder out;
  const auto cluster = root["cluster"].value_exact<std::string>(), name = root["name"].value_exact<std::string>();
  const toml::array* const endpoints = root["endpoints"].as_array();
  if (!cluster || !name || endpoints == nullptr || endpoints->empty())
    return invalid_argument("{}: \"cluster\", \"name\" and a list \"endpoints\" are needed", path);
  out.cluster_id = *cluster;
  out.cluster_name = *name;
  for (const toml::node& node : *endpoints) {
    const auto endpoint = node.value_exact<std::string>();
    if (!endpoint) return invalid_argument("{}:{}: an endpoint is \"host:port\"", path, node.source().begin.line);
    out.endpoints.push_back(*endpoint);
  }
  return out;
}

}  // namespace runink::config
