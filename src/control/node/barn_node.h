// A member of a cluster at work: everything that `runi server --barn-only` starts on one folder, on one event loop.
//
//   members   mutual TLS between members             (server/barn_server.h)
//   api       gRPC for clients and the operator      (api/)
//   join      for nodes that come with a token       (cluster/cluster_frontend.h)
//   metrics   HTTP: /metrics, /healthz, /readyz
//
// It founds the cluster where its folder was made for that, follows the cluster's records, renews its certificate while
// two thirds of its life are gone, and says in its log what happens.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/api/key_value_service.h"
#include "control/api/operator_service.h"
#include "control/cluster/cluster_frontend.h"
#include "control/cluster/cluster_reconciler.h"
#include "control/node/directory_query.h"
#include "control/node/member_folder.h"
#include "control/server/alarms_watch.h"
#include "control/server/barn_metrics_listener.h"
#include "control/server/barn_server.h"
#include "platform/telemetry/log.h"

namespace runink::node {

struct NodeOptions {
  std::string folder;
  std::string key_file;
  uint64_t cache_bytes = 128 << 20, write_buffer_bytes = 32 << 20;
  raft::Index snapshot_entries = 100'000, keep_entries = 10'000;
  uint64_t snapshot_bytes = 256 << 20, keep_bytes = 64 << 20;
};

class BarnNode {
 public:
  // Called on the loop's thread, all of it; rpc::prepare_grpc() was called before. The log outlives it. `on_end` once:
  // the process is to end, with the reason (kind "member.removed": it was taken out of the cluster).
  static Result<std::unique_ptr<BarnNode>> start(net::EventLoop& loop, telemetry::Log& log, const NodeOptions& options,
                                                 std::function<void(const Status&)> on_end);
  ~BarnNode();

  // Gives the lead away, if it has it, so that stopping costs the cluster no election time-out. `done` in a later turn,
  // whatever becomes of it.
  void hand_over(std::function<void()> done);

  const MemberConfig& config() const { return opened_.config; }
  server::BarnServer& barn() { return *barn_; }

 private:
  BarnNode(net::EventLoop& loop, telemetry::Log& log, NodeOptions options, OpenedFolder opened,
           std::function<void(const Status&)> on_end);
  Status open();
  Status open_barn();
  Status open_api();
  Status open_join();
  void log_join(const Result<net::JoinGrant>& grant);
  Status open_metrics();
  api::OperatorHandlers handlers();
  Status check_removal(raft::NodeId node) const;
  void tick();
  void note_role();
  void ask_around();
  void remember_peers();
  void found();
  void founded();
  bool certificate_is_due() const;
  Status take_new_certificate();
  void log_renewal(const Status& renewed);
  void renew_certificate();
  void status(api::OperatorHandlers::Done<barn::v1::StatusResponse> done);
  void members(api::OperatorHandlers::Done<barn::v1::MembersResponse> done);
  void take_snapshot(api::OperatorHandlers::Done<barn::v1::SnapshotResponse> done);
  void end(const Status& why);

  net::EventLoop& loop_;
  telemetry::Log& log_;
  const NodeOptions options_;
  OpenedFolder opened_;
  std::function<void(const Status&)> on_end_;
  bool ended_ = false;
  const int64_t started_micros_;

  net::EventLoop::TimerId timer_ = 0;
  uint64_t ticks_ = 0;
  uint64_t remember_at_tick_ = 0;
  bool founding_ = false, is_founded_ = false;
  raft::NodeId leader_told_ = 0;
  raft::Term term_told_ = 0;
  uint64_t leaderless_ticks_ = 0;
  struct SnapshotWanted {
    barn::Index at_least;
    uint64_t ticks_left;
    api::OperatorHandlers::Done<barn::v1::SnapshotResponse> done;
  };
  std::vector<SnapshotWanted> snapshots_wanted_;
  std::function<void()> handed_over_;
  uint64_t hand_over_ticks_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  // In the order in which they are made; they go in the other one.
  std::unique_ptr<server::BarnServer> barn_;
  std::unique_ptr<cluster::ClusterFrontend> frontend_;
  std::unique_ptr<cluster::ClusterReconciler> reconciler_;
  std::unique_ptr<DirectoryQuery> directory_;
  std::unique_ptr<api::OperatorService> operator_;
  std::unique_ptr<api::KeyValueServer> api_;
  std::unique_ptr<net::JoinListener> join_;
  std::unique_ptr<server::AlarmWatch> alarms_;
  std::unique_ptr<server::MetricsListener> metrics_;
};

}  // namespace runink::node
