#include "control/server/comparison.h"

#include <algorithm>

#include "base/text.h"

namespace runink::server {

void Comparison::heard(raft::NodeId id, const std::vector<barn::DigestPoint>& points, const Own& own) {
  Peer& peer = peers_[id];
  for (const barn::DigestPoint& point : points) {
    const std::optional<barn::Digest> here = own(point.index);
    if (!here || point.index < peer.compared_at) continue;
    peer.compared_at = point.index;
    if (*here == point.digest) {
      peer.same_at = point.index;
      peer.differences.clear();
      continue;
    }
    peer.differences[point.index] = {*here, point.digest};
    if (peer.differences.size() > kKept) peer.differences.erase(peer.differences.begin());
  }
}

void Comparison::keep_only(const raft::Membership& membership) {
  std::erase_if(peers_, [&](const auto& peer) { return !membership.has(peer.first); });
}

Judgement Comparison::judge(const raft::Membership& membership, raft::NodeId self) const {
  Judgement out;
  struct Claim {
    size_t voters = 0;
    barn::Digest own, other;
  };
  std::map<std::pair<barn::Index, std::pair<uint64_t, uint64_t>>, Claim> claims;
  for (const auto& [id, peer] : peers_) {
    if (!membership.votes(id) || id == self || peer.differences.empty()) continue;
    out.differ.push_back(id);
    const auto& [index, difference] = *peer.differences.begin();
    if (out.index == 0 || index < out.index) {
      out.index = index;
      out.own = difference.own;
      out.other = difference.other;
    }
    for (const auto& [at, d] : peer.differences) {
      Claim& claim = claims[{at, {d.other.high, d.other.low}}];
      ++claim.voters;
      claim.own = d.own;
      claim.other = d.other;
    }
  }
  if (out.differ.empty()) return out;
  for (const auto& [where, claim] : claims) {
    if (claim.voters < membership.quorum()) continue;
    out.verdict = Verdict::kOutvoted;
    out.index = where.first;
    out.own = claim.own;
    out.other = claim.other;
    return out;
  }
  size_t agree = membership.votes(self) ? 1 : 0;
  for (const auto& [id, peer] : peers_) {
    agree += membership.votes(id) && id != self && peer.differences.empty() && peer.same_at >= out.index;
  }
  out.verdict = agree >= membership.quorum() ? Verdict::kAgreed : Verdict::kDoubt;
  return out;
}

std::string to_string(const Judgement& judgement) {
  std::string who;
  for (const raft::NodeId id : judgement.differ) who += (who.empty() ? "" : ", ") + std::to_string(id);
  return fmt::format("at entry {} it is {} here and {} elsewhere (other than here on node {})", judgement.index,
                     barn::to_string(judgement.own), barn::to_string(judgement.other), who);
}

}  // namespace runink::server
