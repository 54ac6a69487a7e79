#include "control/cluster/records.h"

#include <fmt/format.h>

namespace runink::cluster {

namespace {

constexpr std::string_view kMemberPrefix{"\0member/", 8}, kTokenPrefix{"\0token/", 7};
constexpr uint64_t kMostRecords = 10'000;

template <typename Record>
Result<Stored<Record>> parse(const barn::KeyValue& item) {
  Stored<Record> out;
  if (!out.record.ParseFromString(item.value))
    return data_loss("the record under {} cannot be read", item.key.substr(1)).with_kind("barn.record.damaged");
  out.modified = item.modify_index;
  return out;
}

template <typename Record>
Result<std::optional<Stored<Record>>> find(const barn::StateMachine& machine, const std::string& key) {
  const std::optional<barn::KeyValue> item = RUNINK_TRY(machine.get(key));
  if (!item) return std::optional<Stored<Record>>();
  return std::optional(RUNINK_TRY(parse<Record>(*item)));
}

Result<std::vector<barn::KeyValue>> all(const barn::StateMachine& machine, const barn::KeyRange& range) {
  barn::RangeOptions options;
  options.limit = kMostRecords;
  options.max_bytes = 16 << 20;
  return std::move(RUNINK_TRY(machine.range(range, options)).items);
}

}  // namespace

std::string cluster_key() { return std::string("\0cluster", 8); }
std::string authority_key() { return std::string("\0authority", 10); }
std::string member_key(raft::NodeId node) { return fmt::format("{}{:020}", kMemberPrefix, node); }
std::string token_key(std::string_view id) { return fmt::format("{}{}", kTokenPrefix, id); }
barn::KeyRange member_range() { return barn::prefix_range(kMemberPrefix); }
barn::KeyRange token_range() { return barn::prefix_range(kTokenPrefix); }

Result<std::optional<Stored<v1::ClusterRecord>>> find_cluster(const barn::StateMachine& machine) {
  return find<v1::ClusterRecord>(machine, cluster_key());
}
Result<std::optional<Stored<v1::AuthorityRecord>>> find_authority(const barn::StateMachine& machine) {
  return find<v1::AuthorityRecord>(machine, authority_key());
}
Result<std::optional<Stored<v1::MemberRecord>>> find_member(const barn::StateMachine& machine, raft::NodeId node) {
  return find<v1::MemberRecord>(machine, member_key(node));
}
Result<std::optional<Stored<v1::TokenRecord>>> find_token(const barn::StateMachine& machine, std::string_view id) {
  return find<v1::TokenRecord>(machine, token_key(id));
}

Result<std::map<raft::NodeId, Stored<v1::MemberRecord>>> all_members(const barn::StateMachine& machine) {
  std::map<raft::NodeId, Stored<v1::MemberRecord>> out;
  for (const barn::KeyValue& item : RUNINK_TRY(all(machine, member_range()))) {
    Stored<v1::MemberRecord> stored = RUNINK_TRY(parse<v1::MemberRecord>(item));
    out.emplace(stored.record.node(), std::move(stored));
  }
  return out;
}

Result<std::map<std::string, Stored<v1::TokenRecord>>> all_tokens(const barn::StateMachine& machine) {
  std::map<std::string, Stored<v1::TokenRecord>> out;
  for (const barn::KeyValue& item : RUNINK_TRY(all(machine, token_range())))
    out.emplace(item.key.substr(kTokenPrefix.size()), RUNINK_TRY(parse<v1::TokenRecord>(item)));
  return out;
}

}  // namespace runink::cluster
