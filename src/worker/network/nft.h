// nf_tables: tables, chains and rules as netlink messages of one batch, which the kernel does whole or not at all.
// What nft(8) calls the same is called the same here; `nft list table inet runink` shows what was made.
//
// Pure: nothing here touches the kernel, NetlinkSocket::send does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/ip_prefix.h"
#include "model/slice_network.h"
#include "worker/network/netlink.h"

namespace runink::network::nft {

inline constexpr const char* kTable = "runink";  // of the family inet: IPv4 and IPv6

// Where a base chain looks at packets, and before what else.
struct Hook {
  const char* type = "filter";
  uint32_t number = 0;  // NF_INET_…
  int32_t priority = 0;
  bool drops = false;  // what no rule decided
};

enum class Verdict { kAccept, kDrop };

// What a rule looks at, from left to right, and what it then does. A rule ends at the first thing that is not so.
class Expressions {
 public:
  explicit Expressions(Messages* out) : out_(out) {}

  // The whole name, or how it begins where it ends with "*".
  Expressions& from_interface(const std::string& name) { return interface(true, name); }
  Expressions& to_interface(const std::string& name) { return interface(false, name); }
  Expressions& source_in(const model::IpPrefix& prefix) { return address(true, prefix, true); }
  Expressions& source_not_in(const model::IpPrefix& prefix) { return address(true, prefix, false); }
  Expressions& destination_in(const model::IpPrefix& prefix) { return address(false, prefix, true); }
  Expressions& family(bool v6);
  Expressions& protocol(uint8_t number);  // IPPROTO_…
  // Of TCP or UDP.
  Expressions& source_port(uint16_t port) { return port_is(0, port); }
  Expressions& destination_port(uint16_t port) { return port_is(2, port); }
  Expressions& icmp_type(uint8_t type);
  Expressions& answers_connection();  // an established one, in the direction of answers
  Expressions& related_to_connection();
  // The zone in which whoever began the connection is tracked. Answers are looked up in the zone of all others.
  Expressions& from_zone(uint16_t zone);

  void accept() { verdict(Verdict::kAccept); }
  void drop() { verdict(Verdict::kDrop); }
  // Counted, so that it can be told what was refused.
  void count_and_drop();
  void jump(const std::string& chain);
  // What a verdict map says of the name of the interface that it came from, or goes to.
  void jump_by_source(const std::string& map) { jump_by(true, map); }
  void jump_by_target(const std::string& map) { jump_by(false, map); }
  // From here on: tracked in this zone in the direction that it has. Before connections are tracked.
  void set_zone(uint16_t zone);
  void reject();     // by ICMP: administratively prohibited
  void reset_tcp();  // of TCP: as where nobody listens
  void masquerade();

 private:
  template <typename Fill>
  void expression(const char* name, Fill fill);
  void load_meta(uint32_t key);
  void compare(bool equal, const void* data, size_t size);
  void mask(const uint8_t* bits, size_t size);
  Expressions& interface(bool from, const std::string& name);
  Expressions& address(bool source, const model::IpPrefix& prefix, bool inside);
  Expressions& port_is(uint32_t offset, uint16_t port);
  Expressions& connection_state(uint32_t bit);
  void jump_by(bool source, const std::string& map);
  void verdict(Verdict verdict);

  Messages* out_;
};

void begin_batch(Messages* out);
void end_batch(Messages* out);

// What is there already stays as it is.
void add_table(Messages* out);
void add_base_chain(Messages* out, const std::string& chain, const Hook& hook);
void add_chain(Messages* out, const std::string& chain);
void flush_chain(Messages* out, const std::string& chain);
void delete_chain(Messages* out, const std::string& chain);
void add_interface_map(Messages* out, const std::string& map);
void add_jump(Messages* out, const std::string& map, const std::string& interface, const std::string& chain);
void delete_jump(Messages* out, const std::string& map, const std::string& interface);

// A rule at the end of the chain: what `fill` does to its expressions.
void add_rule(Messages* out, const std::string& chain, const std::function<void(Expressions&)>& fill);

// The names of the table's chains; none where there is no table.
Result<std::vector<std::string>> list_chains(NetlinkSocket* netfilter);
// Removes the table where none of its chains is one that `needs_it` names; without losing what somebody else adds at
// the same time: then it stays.
Status remove_unneeded_table(NetlinkSocket* netfilter, const std::function<bool(const std::string& chain)>& needs_it);

}  // namespace runink::network::nft
