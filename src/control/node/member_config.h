// member.toml: what one member of a cluster is, and where it listens. Written by `runi barn init`, `join` or
// `restore`, read at every start, and written again by the member when other members come or go.
//
//   cluster = "3f9c…"            # its id, 32 hexadecimal digits
//   name = "shop"
//   node = 1
//   tick = "50ms"                # an election time-out is ten to twenty of them; the same on all members
//   key = "8d1f…"                # names the key that the files are sealed with; none: they are plain
//
//   [addresses]                  # under which others reach this member; the cluster knows it by them
//   api = "10.0.0.1:7460"        # gRPC
//   members = "10.0.0.1:7461"
//   join = "10.0.0.1:7462"
//   metrics = "10.0.0.1:7463"    # HTTP: /metrics, /healthz, /readyz
//
//   [listen]
//   host = "0.0.0.0"             # where it differs from the host of the addresses
//
//   [peers]                      # the others: how it finds them before it knows anything else
//   2 = { members = "10.0.0.2:7461", api = "10.0.0.2:7460" }
//
// An unknown key is an error with file, line and column.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/status.h"
#include "control/journal/format.h"
#include "control/raft/core/types.h"

namespace runink::node {

struct MemberAddresses {
  std::string api, members, join, metrics;
  bool operator==(const MemberAddresses&) const = default;
};

struct PeerAddresses {
  std::string members, api;
  bool operator==(const PeerAddresses&) const = default;
};

struct MemberConfig {
  std::string cluster_id;  // also the first label of the trust domain
  std::string cluster_name;
  raft::NodeId node = 0;
  int64_t tick_nanos = 50'000'000;
  std::string key_id;  // 16 hexadecimal digits, or empty
  MemberAddresses addresses;
  std::string listen_host;  // empty: the hosts of the addresses
  std::map<raft::NodeId, PeerAddresses> peers;
  bool operator==(const MemberConfig&) const = default;

  std::string trust_domain() const { return cluster_id + ".runink"; }
  journal::ClusterId cluster_bytes() const;
};

std::string new_cluster_id();

// Four consecutive ports at one host. kInvalidArgument for a host that is none, or "any" address, and for ports that
// are not there.
Result<MemberAddresses> addresses_at(const std::string& host, int first_port);

// A host to listen at; empty: that of the address.
Status check_listen_host(const std::string& host);

std::string encode(const MemberConfig& config);
// kInvalidArgument, naming file, line and column.
Result<MemberConfig> parse_member_config(const std::string& path, std::string text);

}  // namespace runink::node
