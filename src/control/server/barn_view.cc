#include "control/server/barn_view.h"

#include "control/server/barn_server.h"

namespace runink::server {

BarnView BarnView::of(BarnServer& server) {
  return {server.member(),    server.transport(), server.storage(), server.keeper(),
          server.integrity(), server.chunks(),    server.replica(), server.options().folder};
}

Status readiness(const BarnView& barn) {
  constexpr raft::Index kMostBehind = 1000;
  RUNINK_RETURN_IF_ERROR(barn.member.failed());
  const raft::Raft& raft = barn.member.raft();
  RUNINK_RETURN_IF_ERROR(barn.replica.doubt());
  if (!raft.membership().has(raft.id())) return unavailable("this node has not been added to the cluster");
  if (raft.leader() == 0) return unavailable("this member knows no leader");
  if (raft.commit() > raft.applied() + kMostBehind) {
    return unavailable("this member has applied entry {} of {} that are committed", raft.applied(), raft.commit());
  }
  return {};
}

}  // namespace runink::server
