// What somebody needs to speak to a cluster: a folder that names it and says where its members serve, beside his
// certificate (crypto::save_credentials in the same folder).
//
//   <folder>/cluster.toml     cluster = "<id>", name = "shop", endpoints = ["host:port", …]
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace runink::config {

struct ClientFolder {
  std::string cluster_id, cluster_name;
  std::vector<std::string> endpoints;  // of gRPC; at least one
};

// Replaces the file whole; the folder must be there.
Status save_client_folder(const std::string& folder, const ClientFolder& client);
// kNotFound: there is none.
Result<ClientFolder> load_client_folder(const std::string& folder);

}  // namespace runink::config
