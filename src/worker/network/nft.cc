#include "worker/network/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include <algorithm>
#include <array>

namespace runink::network::nft {
namespace {

// Every value goes through this one of the registers that rules load into.
constexpr uint32_t kRegister = NFT_REG_1;
// What nft(8) calls this type of a key; the kernel only hands it back.
constexpr uint32_t kInterfaceNameType = 41;

constexpr uint16_t message_type(int message) { return static_cast<uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message); }

void begin(Messages* out, int message, uint16_t flags, std::string says) {
  out->begin(message_type(message), flags, std::move(says));
  out->put_header(nfgenmsg{.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0, .res_id = 0});
}

void border(Messages* out, uint16_t type) {
  out->begin(type, 0, "change the rules of nf_tables");
  out->put_header(nfgenmsg{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)});
}

void put_value(Messages* out, uint16_t type, const void* data, size_t size) {
  out->nest(type, [&] { out->put(NFTA_DATA_VALUE, data, size); });
}

void put_verdict(Messages* out, uint16_t type, int32_t code, const std::string& chain) {
  out->nest(type, [&] {
    out->nest(NFTA_DATA_VERDICT, [&] {
      out->put_be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code));
      if (!chain.empty()) out->put_text(NFTA_VERDICT_CHAIN, chain);
    });
  });
}

std::array<char, IFNAMSIZ> interface_key(const std::string& name) {
  std::array<char, IFNAMSIZ> key{};
  std::copy_n(name.begin(), std::min(name.size(), key.size() - 1), key.begin());
  return key;
}

void begin_element(Messages* out, int message, uint16_t flags, const std::string& map, const std::string& says) {
  begin(out, message, flags, says);
  out->put_text(NFTA_SET_ELEM_LIST_TABLE, kTable);
  out->put_text(NFTA_SET_ELEM_LIST_SET, map);
}

}  // namespace

template <typename Fill>
void Expressions::expression(const char* name, Fill fill) {
  out_->nest(NFTA_LIST_ELEM, [&] {
    out_->put_text(NFTA_EXPR_NAME, name);
    out_->nest(NFTA_EXPR_DATA, fill);
  });
}

void Expressions::load_meta(uint32_t key) {
  expression("meta", [&] {
    out_->put_be32(NFTA_META_KEY, key);
    out_->put_be32(NFTA_META_DREG, kRegister);
  });
}

void Expressions::compare(bool equal, const void* data, size_t size) {
  expression("cmp", [&] {
    out_->put_be32(NFTA_CMP_SREG, kRegister);
    out_->put_be32(NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_value(out_, NFTA_CMP_DATA, data, size);
  });
}

void Expressions::mask(const uint8_t* bits, size_t size) {
  const std::array<uint8_t, 16> zero{};
  expression("bitwise", [&] {
    out_->put_be32(NFTA_BITWISE_SREG, kRegister);
    out_->put_be32(NFTA_BITWISE_DREG, kRegister);
    out_->put_be32(NFTA_BITWISE_LEN, static_cast<uint32_t>(size));
    put_value(out_, NFTA_BITWISE_MASK, bits, size);
    put_value(out_, NFTA_BITWISE_XOR, zero.data(), size);
  });
}

Expressions& Expressions::interface(bool from, const std::string& name) {
  load_meta(from ? NFT_META_IIFNAME : NFT_META_OIFNAME);
  if (name.ends_with("*")) {
    compare(true, name.data(), name.size() - 1);
  } else {
    compare(true, interface_key(name).data(), IFNAMSIZ);
  }
  return *this;
}

Expressions& Expressions::family(bool v6) {
  const uint8_t number = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
  load_meta(NFT_META_NFPROTO);
  compare(true, &number, sizeof number);
  return *this;
}

Expressions& Expressions::protocol(uint8_t number) {
  load_meta(NFT_META_L4PROTO);
  compare(true, &number, sizeof number);
  return *this;
}

Expressions& Expressions::address(bool source, const model::IpPrefix& prefix, bool inside) {
  family(prefix.v6);
  if (prefix.length == 0) return *this;
  const auto size = static_cast<size_t>(prefix.bytes());
  const uint32_t offset = prefix.v6 ? (source ? 8 : 24) : (source ? 12 : 16);  // in the header of IPv6, IPv4
  expression("payload", [&] {
    out_->put_be32(NFTA_PAYLOAD_DREG, kRegister);
    out_->put_be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    out_->put_be32(NFTA_PAYLOAD_OFFSET, offset);
    out_->put_be32(NFTA_PAYLOAD_LEN, static_cast<uint32_t>(size));
  });
  if (!prefix.single()) {
    const std::array<uint8_t, 16> ones = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                          0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    mask(model::ip_prefix(prefix.v6, ones.data(), prefix.length).address.data(), size);
  }
  compare(inside, prefix.address.data(), size);
  return *this;
}

Expressions& Expressions::port_is(uint32_t offset, uint16_t port) {
  const uint16_t value = htons(port);
  expression("payload", [&] {
    out_->put_be32(NFTA_PAYLOAD_DREG, kRegister);
    out_->put_be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    out_->put_be32(NFTA_PAYLOAD_OFFSET, offset);
    out_->put_be32(NFTA_PAYLOAD_LEN, sizeof value);
  });
  compare(true, &value, sizeof value);
  return *this;
}

Expressions& Expressions::icmp_type(uint8_t type) {
  expression("payload", [&] {
    out_->put_be32(NFTA_PAYLOAD_DREG, kRegister);
    out_->put_be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    out_->put_be32(NFTA_PAYLOAD_OFFSET, 0);
    out_->put_be32(NFTA_PAYLOAD_LEN, sizeof type);
  });
  compare(true, &type, sizeof type);
  return *this;
}

Expressions& Expressions::connection_state(uint32_t bit) {
  const uint32_t zero = 0;
  expression("ct", [&] {
    out_->put_be32(NFTA_CT_KEY, NFT_CT_STATE);
    out_->put_be32(NFTA_CT_DREG, kRegister);
  });
  mask(reinterpret_cast<const uint8_t*>(&bit), sizeof bit);
  compare(false, &zero, sizeof zero);
  return *this;
}

Expressions& Expressions::answers_connection() {
  connection_state(NF_CT_STATE_BIT(IP_CT_ESTABLISHED));
  const uint8_t reply = IP_CT_DIR_REPLY;
  expression("ct", [&] {
    out_->put_be32(NFTA_CT_KEY, NFT_CT_DIRECTION);
    out_->put_be32(NFTA_CT_DREG, kRegister);
  });
  compare(true, &reply, sizeof reply);
  return *this;
}

Expressions& Expressions::related_to_connection() { return connection_state(NF_CT_STATE_BIT(IP_CT_RELATED)); }

Expressions& Expressions::from_zone(uint16_t zone) {
  expression("ct", [&] {
    out_->put_be32(NFTA_CT_KEY, NFT_CT_ZONE);
    out_->put_u8(NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
    out_->put_be32(NFTA_CT_DREG, kRegister);
  });
  compare(true, &zone, sizeof zone);
  return *this;
}

void Expressions::set_zone(uint16_t zone) {
  expression("immediate", [&] {
    out_->put_be32(NFTA_IMMEDIATE_DREG, kRegister);
    put_value(out_, NFTA_IMMEDIATE_DATA, &zone, sizeof zone);
  });
  expression("ct", [&] {
    out_->put_be32(NFTA_CT_KEY, NFT_CT_ZONE);
    out_->put_u8(NFTA_CT_DIRECTION, IP_CT_DIR_ORIGINAL);
    out_->put_be32(NFTA_CT_SREG, kRegister);
  });
}

void Expressions::verdict(Verdict verdict) {
  expression("immediate", [&] {
    out_->put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    put_verdict(out_, NFTA_IMMEDIATE_DATA, verdict == Verdict::kAccept ? NF_ACCEPT : NF_DROP, "");
  });
}

void Expressions::count_and_drop() {
  expression("counter", [] {});
  drop();
}

void Expressions::jump(const std::string& chain) {
  expression("immediate", [&] {
    out_->put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    put_verdict(out_, NFTA_IMMEDIATE_DATA, NFT_JUMP, chain);
  });
}

void Expressions::jump_by(bool source, const std::string& map) {
  load_meta(source ? NFT_META_IIFNAME : NFT_META_OIFNAME);
  expression("lookup", [&] {
    out_->put_text(NFTA_LOOKUP_SET, map);
    out_->put_be32(NFTA_LOOKUP_SREG, kRegister);
    out_->put_be32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
  });
}

void Expressions::reset_tcp() {
  expression("reject", [&] { out_->put_be32(NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST); });
}

void Expressions::reject() {
  expression("reject", [&] {
    out_->put_be32(NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
    out_->put_u8(NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
  });
}

void Expressions::masquerade() {
  expression("masq", [] {});
}

void begin_batch(Messages* out) { border(out, NFNL_MSG_BATCH_BEGIN); }
void end_batch(Messages* out) { border(out, NFNL_MSG_BATCH_END); }

void add_table(Messages* out) {
  begin(out, NFT_MSG_NEWTABLE, NLM_F_CREATE, "make the nf_tables table inet runink");
  out->put_text(NFTA_TABLE_NAME, kTable);
}

void add_base_chain(Messages* out, const std::string& chain, const Hook& hook) {
  begin(out, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "make the nf_tables chain " + chain);
  out->put_text(NFTA_CHAIN_TABLE, kTable);
  out->put_text(NFTA_CHAIN_NAME, chain);
  out->nest(NFTA_CHAIN_HOOK, [&] {
    out->put_be32(NFTA_HOOK_HOOKNUM, hook.number);
    out->put_be32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(hook.priority));
  });
  out->put_be32(NFTA_CHAIN_POLICY, hook.drops ? NF_DROP : NF_ACCEPT);
  out->put_text(NFTA_CHAIN_TYPE, hook.type);
}

void add_chain(Messages* out, const std::string& chain) {
  begin(out, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "make the nf_tables chain " + chain);
  out->put_text(NFTA_CHAIN_TABLE, kTable);
  out->put_text(NFTA_CHAIN_NAME, chain);
}

void flush_chain(Messages* out, const std::string& chain) {
  begin(out, NFT_MSG_DELRULE, 0, "empty the nf_tables chain " + chain);
  out->put_text(NFTA_RULE_TABLE, kTable);
  out->put_text(NFTA_RULE_CHAIN, chain);
}

void delete_chain(Messages* out, const std::string& chain) {
  begin(out, NFT_MSG_DELCHAIN, 0, "remove the nf_tables chain " + chain);
  out->put_text(NFTA_CHAIN_TABLE, kTable);
  out->put_text(NFTA_CHAIN_NAME, chain);
}

void add_interface_map(Messages* out, const std::string& map) {
  begin(out, NFT_MSG_NEWSET, NLM_F_CREATE, "make the nf_tables map " + map);
  out->put_text(NFTA_SET_TABLE, kTable);
  out->put_text(NFTA_SET_NAME, map);
  out->put_be32(NFTA_SET_FLAGS, NFT_SET_MAP);
  out->put_be32(NFTA_SET_KEY_TYPE, kInterfaceNameType);
  out->put_be32(NFTA_SET_KEY_LEN, IFNAMSIZ);
  out->put_be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
  // Any number that is not 0: nothing in the batch speaks of it, but the kernel wants one.
  out->put_be32(NFTA_SET_ID, 1);
}

void add_jump(Messages* out, const std::string& map, const std::string& interface, const std::string& chain) {
  begin_element(out, NFT_MSG_NEWSETELEM, NLM_F_CREATE, map, "put " + interface + " into the nf_tables map " + map);
  out->nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
    out->nest(NFTA_LIST_ELEM, [&] {
      put_value(out, NFTA_SET_ELEM_KEY, interface_key(interface).data(), IFNAMSIZ);
      put_verdict(out, NFTA_SET_ELEM_DATA, NFT_JUMP, chain);
    });
  });
}

void delete_jump(Messages* out, const std::string& map, const std::string& interface) {
  begin_element(out, NFT_MSG_DELSETELEM, 0, map, "take " + interface + " out of the nf_tables map " + map);
  out->nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
    out->nest(NFTA_LIST_ELEM, [&] { put_value(out, NFTA_SET_ELEM_KEY, interface_key(interface).data(), IFNAMSIZ); });
  });
}

void add_rule(Messages* out, const std::string& chain, const std::function<void(Expressions&)>& fill) {
  begin(out, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "add a rule to the nf_tables chain " + chain);
  out->put_text(NFTA_RULE_TABLE, kTable);
  out->put_text(NFTA_RULE_CHAIN, chain);
  out->nest(NFTA_RULE_EXPRESSIONS, [&] {
    Expressions expressions(out);
    fill(expressions);
  });
}

Result<std::vector<std::string>> list_chains(NetlinkSocket* netfilter) {
  Messages question;
  begin(&question, NFT_MSG_GETCHAIN, NLM_F_DUMP, "list the nf_tables chains");
  std::vector<std::string> chains;
  RUNINK_RETURN_IF_ERROR(netfilter->dump(&question, [&](const Answer& answer) {
    if (answer.type != message_type(NFT_MSG_NEWCHAIN)) return;
    std::string table, chain;
    for_each_attribute(behind_header(answer.body, sizeof(nfgenmsg)), [&](uint16_t type, Bytes value) {
      if (type == NFTA_CHAIN_TABLE) table = read_text(value);
      if (type == NFTA_CHAIN_NAME) chain = read_text(value);
    });
    if (table == kTable) chains.push_back(std::move(chain));
  }));
  return chains;
}

Status remove_unneeded_table(NetlinkSocket* netfilter, const std::function<bool(const std::string&)>& needs_it) {
  // The number of the last change, before the look: the kernel refuses a batch for another.
  Messages question;
  begin(&question, NFT_MSG_GETGEN, 0, "ask nf_tables for its generation");
  const auto answer = RUNINK_TRY(netfilter->ask(&question, {}));
  uint32_t generation = 0;
  if (answer) {
    for_each_attribute(behind_header(*answer, sizeof(nfgenmsg)), [&](uint16_t type, Bytes value) {
      if (type == NFTA_GEN_ID) generation = ntohl(read_u32(value));
    });
  }
  const std::vector<std::string> chains = RUNINK_TRY(list_chains(netfilter));
  if (chains.empty() || std::any_of(chains.begin(), chains.end(), needs_it)) return {};
  Messages removal;
  begin_batch(&removal);
  removal.put_be32(NFNL_BATCH_GENID, generation);
  begin(&removal, NFT_MSG_DELTABLE, 0, "remove the nf_tables table inet runink");
  removal.put_text(NFTA_TABLE_NAME, kTable);
  end_batch(&removal);
  return netfilter->send(&removal);
}

}  // namespace runink::network::nft
