// What an operator asks of the cluster, and what a node with a token asks: checked and proposed here, by the leader;
// the rest follows from the records (cluster_reconciler.h).
//
// One thread, that of the event loop. Every call ends in exactly one call of `done`, in this turn or a later one, or in
// none after the member has failed: whoever waits needs a deadline. Errors as Replica::execute and Member say;
// barn.not_leader from all that do not lead.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/cluster/records.h"
#include "control/raft/driver/member.h"
#include "control/replica/replica.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/net/join_exchange.h"

namespace runink::cluster {

inline constexpr int64_t kTokenMicros = 3'600'000'000, kTokenMicrosMost = 7 * crypto::kDayMicros;

class ClusterFrontend {
 public:
  template <typename T>
  using Done = std::function<void(Result<T>)>;

  // All must outlive it.
  ClusterFrontend(std::string cluster_id, raft::NodeId self, barn::Replica& replica, raft::Member& member,
                  const Clock& clock)
      : cluster_id_(std::move(cluster_id)), self_(self), replica_(replica), member_(member), clock_(clock) {}
  ~ClusterFrontend() { *alive_ = false; }

  // Writes the first records of a cluster, over those of the one whose backup it was restored from. Nothing happens
  // where that is done already.
  void found(const std::string& name, const v1::Addresses& addresses, const crypto::CertificateAuthority& authority,
             Done<bool> done);
  // A new id, and the token with which one node may become it, once.
  void add_member(const v1::AddMemberRequest& request, Done<v1::AddMemberResponse> done);
  // Decides about a node that has come with a token: crosses the token out and writes the node down in one entry, then
  // certifies it. What the node says about itself is v1::Addresses.
  void admit(net::JoinRequest request, Done<net::JoinGrant> done);
  // Of one that has not joined yet: its token is good no longer.
  void remove_member(raft::NodeId node, Done<v1::ChangeResponse> done);
  void promote_member(raft::NodeId node, Done<v1::ChangeResponse> done);
  void transfer(raft::NodeId to, Done<v1::TransferResponse> done);
  void members(Done<v1::MembersResponse> done);

  // To be called often: sees what became of changes that are under way.
  void tick();

 private:
  // `work` on the leader, with the state as of now.
  template <typename T>
  void as_leader(Done<T> done, std::function<void(Done<T>)> work);
  void execute(barn::Txn txn, std::shared_ptr<std::vector<std::string>> kept, Done<barn::Answer> done);
  Status must_be_member(raft::NodeId node) const;  // else kNotFound
  void revoke(const std::string& token, barn::Index modified, Done<v1::ChangeResponse> done);
  void change(const raft::Change& change, Done<v1::ChangeResponse> done);
  Result<v1::ClusterRecord> own_cluster() const;

  const std::string cluster_id_;
  const raft::NodeId self_;
  barn::Replica& replica_;
  raft::Member& member_;
  const Clock& clock_;
  std::vector<std::function<bool()>> waiting_;  // of changes under way: true when it has been answered
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The authority that the Barn keeps. kFailedPrecondition: the cluster has not been founded yet.
Result<crypto::CertificateAuthority> load_authority(const barn::StateMachine& machine);

}  // namespace runink::cluster
