// How a member's folder comes to be: by founding a cluster, by joining one, by restoring a backup into a new one. The
// folder must not be there, or be empty; it is filled beside its place and moved there whole, so that what fails or is
// interrupted leaves nothing in the way.
#pragma once

#include <string>

#include "base/status.h"
#include "control/barn/dump.h"
#include "control/node/member_config.h"
#include "control/node/member_folder.h"

namespace runink::node {

struct NewMember {
  std::string folder;
  std::string cluster_name;  // of a founder
  MemberAddresses addresses;
  std::string listen_host;
  std::string key_file;  // empty: plain files
  int64_t tick_nanos = 50'000'000;
};

// 1 to 63 of a-z, 0-9 and '-', with no '-' first or last.
Status check_cluster_name(const std::string& name);

// A cluster of one member, with an authority of its own and credentials for its operator.
Result<MemberConfig> found_cluster(const NewMember& wanted);
// Asks the member that the token names, and the leader that it names in turn. Waits for the network.
Result<MemberConfig> join_cluster(const NewMember& wanted, const std::string& token);
struct Restored {
  MemberConfig config;
  barn::DumpInfo backup;
  uint64_t incarnation = 0;
};
// Another cluster of one member, with the state of the backup. What the old one granted (leases, fencing tokens) is
// older than all that this one will grant; sessions have ended.
Result<Restored> restore_cluster(const NewMember& wanted, const std::string& backup_file);

}  // namespace runink::node
