#include "cluster_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
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
  out.certificate_until_micros = credentials.certificate.not_after_micros();
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

namespace {

constexpr int64_t kWarnMicros = 30 * crypto::kDayMicros;

void warn_of_end(cli::Console& console, const ClusterAccess& access) {
  const int64_t left = access.certificate_until_micros - system_clock().unix_micros();
  if (left > kWarnMicros) return;
  console.warn(fmt::format("the certificate in {} {} on {}; a new one: runi barn identity --help", access.folder,
                           left > 0 ? "ends" : "ended", format_utc(access.certificate_until_micros).substr(0, 10)));
}

}  // namespace

Result<ClusterAccess> open_cluster(cli::Invocation& invocation) {
  const char* const set = std::getenv("RUNINK_CLUSTER");
  const std::string folder = invocation.given("cluster") ? invocation.text("cluster") : set == nullptr ? "" : set;
  if (folder.empty()) {
    return invocation.usage_error("which cluster? --cluster FOLDER says how to reach it, or RUNINK_CLUSTER does");
  }
  if (invocation.duration_micros("timeout") == 0)
    return invocation.usage_error("--timeout: there is no time in which anybody could answer");
  ClusterAccess access = RUNINK_TRY(open_cluster(folder, invocation.duration_micros("timeout")));
  warn_of_end(invocation.console(), access);
  return access;
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
