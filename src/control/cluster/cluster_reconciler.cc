#include "control/cluster/cluster_reconciler.h"

#include <algorithm>

namespace runink::cluster {

namespace {

constexpr int64_t kLeadNanos = 200'000'000;

}  // namespace

Status ClusterReconciler::tick() {
  Status status = follow();
  if (status.ok() && founded_ && member_.leads()) status = lead();
  return status.ok() ? std::move(status) : std::move(status).with_context("read the cluster's records");
}

Status ClusterReconciler::follow() {
  const barn::StateMachine& machine = replica_.machine();
  // A snapshot has taken the place of the state, and the log does not begin behind it yet: what the log knows of the
  // membership is older than the records, and would say that who came since was taken out.
  if (member_.raft().applied() < machine.position().index) return {};
  if (machine.position().index == seen_ && replica_.state_generation() == generation_) return {};
  seen_ = machine.position().index;
  generation_ = replica_.state_generation();
  // Before the first records are there, what the configuration says holds.
  const auto cluster = RUNINK_TRY(find_cluster(machine));
  founded_ = cluster && cluster->record.id() == cluster_id_;
  if (!founded_) return {};
  members_ = RUNINK_TRY(all_members(machine));
  next_node_ = cluster->record.next_node();
  awaited_.clear();
  for (const auto& [id, stored] : RUNINK_TRY(all_tokens(machine))) awaited_.insert(stored.record.node());
  connect();
  // Whoever is applying the log from its beginning comes by memberships that it is not in yet: a record, which is
  // complete only after the membership has the member, says that there was a later one.
  const auto self = members_.find(self_);
  const bool was_in = self == members_.end() ? gone(self_) : self->second.record.stage() == v1::MemberRecord::MEMBER;
  removed_ = was_in && !in_force().has(self_) && !in_force().voters.empty();
  return {};
}

bool ClusterReconciler::gone(raft::NodeId node) const {
  return founded_ && node < next_node_ && !members_.contains(node) && !awaited_.contains(node);
}

v1::DirectoryResponse ClusterReconciler::directory() const {
  v1::DirectoryResponse out;
  out.set_cluster_id(cluster_id_);
  out.set_applied(seen_);
  if (!founded_) return out;
  for (const auto& [id, stored] : members_) *out.add_members() = stored.record;
  out.set_next_node(next_node_);
  for (const raft::NodeId id : awaited_) out.add_awaited(id);
  return out;
}

void ClusterReconciler::connect() {
  for (const auto& [node, stored] : members_) {
    const std::string& address = stored.record.addresses().members();
    if (node == self_ || connected_[node] == address) continue;
    if (transport_.add_peer(node, address).ok()) connected_[node] = address;
  }
  for (const raft::PeerStatus& peer : transport_.peers()) {
    // What is applied may be older than what this member was told when it joined, or by others since.
    if (!gone(peer.id) || member_.raft().membership().has(peer.id)) continue;
    transport_.remove_peer(peer.id);
    connected_.erase(peer.id);
  }
}

// As of what is applied: a change that is only appended may yet come to nothing.
const raft::Membership& ClusterReconciler::in_force() const {
  return member_.raft().membership_at(member_.raft().applied());
}

Status ClusterReconciler::lead() {
  const int64_t now = clock_.steady_nanos();
  if (proposing_ || now - led_nanos_ < kLeadNanos) return {};
  led_nanos_ = now;
  const raft::Membership& membership = in_force();
  auto kept = std::make_shared<std::vector<std::string>>();
  kept->reserve(3 * members_.size() + 64);
  const auto keep = [&](std::string text) -> std::string_view { return kept->emplace_back(std::move(text)); };
  const auto compare = [](std::string_view key, barn::Index modified) {
    return barn::Compare{.target = barn::CompareTarget::kModifyIndex, .key = key, .number = modified};
  };
  barn::Txn txn;
  for (const auto& [node, stored] : members_) {
    const bool joining = stored.record.stage() == v1::MemberRecord::JOINING;
    if (joining && !membership.has(node)) {
      (void)member_.change_membership({raft::ChangeKind::kAddLearner, node});  // refused: tried again
    } else if (joining) {
      v1::MemberRecord after = stored.record;
      after.set_stage(v1::MemberRecord::MEMBER);
      const std::string_view key = keep(member_key(node));
      txn.compares.push_back(compare(key, stored.modified));
      txn.then_ops.push_back(barn::Put{.key = key, .value = keep(after.SerializeAsString())});
    } else if (!membership.has(node)) {
      const std::string_view key = keep(member_key(node));
      txn.compares.push_back(compare(key, stored.modified));
      txn.then_ops.push_back(barn::Delete{.key = key});
    } else if (stored.record.votes_when_ready() && membership.learns(node)) {
      (void)member_.change_membership({raft::ChangeKind::kPromote, node});  // refused until it has caught up
    }
  }
  for (const auto& [id, stored] : RUNINK_TRY(all_tokens(replica_.machine()))) {
    if (stored.record.expires_micros() > clock_.unix_micros() || kept->size() + 1 >= kept->capacity()) continue;
    const std::string_view key = keep(token_key(id));
    txn.compares.push_back(compare(key, stored.modified));
    txn.then_ops.push_back(barn::Delete{.key = key});
  }
  if (!txn.then_ops.empty()) propose(std::move(txn), std::move(kept));
  return {};
}

void ClusterReconciler::propose(barn::Txn txn, std::shared_ptr<std::vector<std::string>> kept) {
  proposing_ = true;
  barn::Command command;
  command.body = std::move(txn);
  replica_.execute(std::move(command), [this, alive = alive_, kept](const Result<barn::Answer>&) {
    if (*alive) proposing_ = false;
  });
}

void ClusterReconciler::heard(const v1::DirectoryResponse& directory) {
  if (directory.cluster_id() != cluster_id_ || directory.applied() < replica_.position().index) return;
  bool named = false;
  for (const v1::MemberRecord& record : directory.members()) {
    named = named || record.node() == self_;
    if (record.node() == self_ || members_.contains(record.node())) continue;
    // Not into the directory, which holds what is applied here; that follows once there is a leader to hear from.
    if (transport_.add_peer(record.node(), record.addresses().members()).ok())
      connected_[record.node()] = record.addresses().members();
  }
  const bool awaited = std::count(directory.awaited().begin(), directory.awaited().end(), self_) > 0;
  if (!named && !awaited && self_ < directory.next_node()) removed_ = true;
}

std::string ClusterReconciler::api_address(raft::NodeId node) const {
  const auto found = members_.find(node);
  return found == members_.end() ? std::string() : found->second.record.addresses().api();
}

}  // namespace runink::cluster
