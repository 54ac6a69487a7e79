// What the members of a cluster say of themselves at common indexes, and what follows from it. Used twice: for the
// rolling digests of what was applied, and for what scrubs found to be stored.
//
// A difference stays known until the same peer is found to say the same at a newer index: a digest that has once
// differed differs from then on, unless the peer has taken over another's state.
//
// Values only: no time, no input or output.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "control/barn/digest.h"
#include "control/raft/core/membership.h"

namespace runink::server {

enum class Verdict : uint8_t {
  kAgreed,    // no difference is known, or a majority of the voters says what this member says
  kDoubt,     // some voter says something else, and no majority is known for either
  kOutvoted,  // a majority of the voters says the same, and this member something else
};

struct Judgement {
  Verdict verdict = Verdict::kAgreed;
  // Where there is a difference. With kAgreed: that of a minority which this member is not part of.
  barn::Index index = 0;
  barn::Digest own, other;
  std::vector<raft::NodeId> differ;  // voters who say something else than this member, ascending
};
std::string to_string(const Judgement& judgement);  // for people

class Comparison {
 public:
  // What this member says at an index; none: it does not know (any more).
  using Own = std::function<std::optional<barn::Digest>(barn::Index)>;

  // `points` ascending. At most kKept differences of a peer are kept, the newest.
  void heard(raft::NodeId peer, const std::vector<barn::DigestPoint>& points, const Own& own);
  // Peers that are no members any more.
  void keep_only(const raft::Membership& membership);
  void clear() { peers_.clear(); }  // this member's own state has been replaced

  Judgement judge(const raft::Membership& membership, raft::NodeId self) const;

  struct Peer {
    barn::Index same_at = 0;      // the newest index at which both said the same; 0: none is known
    barn::Index compared_at = 0;  // the newest common index so far
    struct Difference {
      barn::Digest own, other;
    };
    std::map<barn::Index, Difference> differences;
  };
  const std::map<raft::NodeId, Peer>& peers() const { return peers_; }

  static constexpr size_t kKept = 256;

 private:
  std::map<raft::NodeId, Peer> peers_;
};

}  // namespace runink::server
