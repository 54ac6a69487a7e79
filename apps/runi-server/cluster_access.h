// How the operator's commands reach their cluster: --cluster, or $RUNINK_CLUSTER.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/cli/invocation.h"
#include "client/sdk/operator_client.h"

namespace runink::plane {

struct ClusterAccess {
  std::string folder, cluster_name;
  std::vector<std::string> endpoints;    // as the folder has them
  int64_t certificate_until_micros = 0;  // of whoever asks
  std::unique_ptr<sdk::OperatorClient> client;
};

// `folder` is a client folder, or a member's folder with one in it.
Result<ClusterAccess> open_cluster(const std::string& folder, int64_t timeout_micros);
// Says so where the certificate ends within 30 days. A --timeout of no time is a usage error.
Result<ClusterAccess> open_cluster(cli::Invocation& invocation);

// Writes down where members serve, as the cluster says, so that it is found when others come and go.
void remember_endpoints(const ClusterAccess& access, const sdk::v1::MembersResponse& members);

}  // namespace runink::plane
