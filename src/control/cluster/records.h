// What the Barn keeps about the cluster itself: its name, its authority, its members and where they listen, tokens that
// let new ones in. All of it lies under keys that begin with a zero byte, which the key-value API neither shows nor
// takes (kFirstUserKey): the authority's private key is among them, so that whichever member leads can let a new one
// in.
//
//   \0cluster          ClusterRecord      \0member/<node, 20 digits>   MemberRecord
//   \0authority        AuthorityRecord    \0token/<id>                 TokenRecord
//
// The records are messages of cluster.proto.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "control/barn/state_machine.h"
#include "control/raft/core/types.h"
#include "runink/barn/v1/cluster.pb.h"

namespace runink::cluster {

namespace v1 = runink::barn::v1;

// Keys before this one are the system's.
inline constexpr std::string_view kFirstUserKey{"\x01", 1};
inline bool is_system_key(std::string_view key) { return key < kFirstUserKey; }

std::string cluster_key();
std::string authority_key();
std::string member_key(raft::NodeId node);
std::string token_key(std::string_view id);
barn::KeyRange member_range();
barn::KeyRange token_range();

// A record and the index at which it was written last, for comparing in a transaction.
template <typename Record>
struct Stored {
  Record record;
  barn::Index modified = 0;
};

// nullopt: there is none. kDataLoss: what is there cannot be read.
Result<std::optional<Stored<v1::ClusterRecord>>> find_cluster(const barn::StateMachine& machine);
Result<std::optional<Stored<v1::AuthorityRecord>>> find_authority(const barn::StateMachine& machine);
Result<std::optional<Stored<v1::MemberRecord>>> find_member(const barn::StateMachine& machine, raft::NodeId node);
Result<std::optional<Stored<v1::TokenRecord>>> find_token(const barn::StateMachine& machine, std::string_view id);
Result<std::map<raft::NodeId, Stored<v1::MemberRecord>>> all_members(const barn::StateMachine& machine);
Result<std::map<std::string, Stored<v1::TokenRecord>>> all_tokens(const barn::StateMachine& machine);  // by id

}  // namespace runink::cluster
