// Makes the world follow the cluster's records.
//
// Every member: connections to those in the directory, and to none that have left it. The leader: nodes that have joined become
// learners, learners that are to vote are promoted once they have caught up, records of nodes that were removed and
// tokens that have expired go. What it does is proposed with a comparison, and tried again at the next tick, so that
// losing a leader in the middle loses nothing.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/clock.h"
#include "control/cluster/records.h"
#include "control/raft/driver/member.h"
#include "control/raft/transport/transport.h"
#include "control/replica/replica.h"

namespace runink::cluster {

class ClusterReconciler {
 public:
  ClusterReconciler(std::string cluster_id, raft::NodeId self, barn::Replica& replica, raft::Member& member,
                    raft::Transport& transport, const Clock& clock)
      : cluster_id_(std::move(cluster_id)),
        self_(self),
        replica_(replica),
        member_(member),
        transport_(transport),
        clock_(clock) {}
  ~ClusterReconciler() { *alive_ = false; }

  // To be called often. An error: what the Barn keeps about the cluster cannot be read, and this member must not go on.
  Status tick();
  // As far as this member has heard, it is in the cluster no more.
  bool removed() const { return removed_; }
  // What another member says of the cluster: of use where it has applied more than this one, which hears from nobody.
  void heard(const v1::DirectoryResponse& directory);
  const std::map<raft::NodeId, Stored<v1::MemberRecord>>& members() const { return members_; }
  // It was in the cluster, and is no more, or will never be. False for who is not known here yet: a member that is being
  // fed an old log, or is behind, meets ids that its records do not have, the leader's among them.
  bool gone(raft::NodeId node) const;
  // What this member would say to another one (heard()).
  v1::DirectoryResponse directory() const;
  // Where members serve gRPC, as far as this one has heard; empty: unknown.
  std::string api_address(raft::NodeId node) const;

 private:
  Status follow();
  Status lead();
  void connect();
  const raft::Membership& in_force() const;
  void propose(barn::Txn txn, std::shared_ptr<std::vector<std::string>> kept);

  const std::string cluster_id_;
  const raft::NodeId self_;
  barn::Replica& replica_;
  raft::Member& member_;
  raft::Transport& transport_;
  const Clock& clock_;

  barn::Index seen_ = 0;  // applied when the records were read last
  uint64_t generation_ = 0;
  std::map<raft::NodeId, Stored<v1::MemberRecord>> members_;
  raft::NodeId next_node_ = 0;
  std::set<raft::NodeId> awaited_;  // have a token
  bool founded_ = false, removed_ = false;
  std::map<raft::NodeId, std::string> connected_;  // addresses that the transport was given
  int64_t led_nanos_ = 0;
  bool proposing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace runink::cluster
