#include "cluster_access.h"

#include <algorithm>
#include <cstdlib>

#include "platform/config/client_folder.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/os/file.h"

namespace runink::plane {

Result<ClusterAccess> open_cluster(const std::string& given, int64_t timeout_micros) {
  ClusterAccess out;
  out.folder = given;
  if (!os::exists(given + "/cluster.toml") && os::exists(given + "/client/cluster.toml")) out.folder += "/client";
  config::ClientFolder client = RUNINK_TRY(config::load_client_folder(out.folder));
  const crypto::Credentials credentials = RUNINK_TRY(crypto::load_credentials(out.folder));
  out.cluster_name = client.cluster_name;
  out.endpoints = client.endpoints;
  sdk::ClientOptions options;
  options.endpoints = std::move(client.endpoints);
  options.trust_domain = RUNINK_TRY(crypto::trust_domain_of(client.cluster_id));
  options.certificate_pem = credentials.certificate.to_pem();
  options.key_pem = RUNINK_TRY(credentials.key.to_pem());
  for (const crypto::Certificate& authority : credentials.authorities) options.authorities_pem += authority.to_pem();
  options.timeout_nanos = timeout_micros * 1000;
  out.client = RUNINK_TRY(sdk::OperatorClient::create(std::move(options)));
  return out;
}

Result<ClusterAccess> open_cluster(const cli::Invocation& invocation) {
  const char* const set = std::getenv("RUNINK_CLUSTER");
  const std::string folder = invocation.given("cluster") ? invocation.text("cluster") : set == nullptr ? "" : set;
  if (folder.empty()) {
    return invocation.usage_error("which cluster? --cluster FOLDER says how to reach it, or RUNINK_CLUSTER does");
  }
  return open_cluster(folder, invocation.duration_micros("timeout"));
}

void remember_endpoints(const ClusterAccess& access, const sdk::v1::MembersResponse& members) {
  auto client = config::load_client_folder(access.folder);
  if (!client.ok()) return;
  std::vector<std::string> endpoints;
  for (const auto& member : members.members()) endpoints.push_back(member.record().addresses().api());
  if (endpoints.empty() || endpoints == client->endpoints) return;
  client->endpoints = std::move(endpoints);
  // A folder that may not be written stays as it is: the endpoints in it serve as long as one of them does.
  (void)config::save_client_folder(access.folder, *client);
}

}  // namespace runink::plane
