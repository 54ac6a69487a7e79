#include "control/api/user_keys.h"

#include "control/cluster/records.h"

namespace runink::api {

namespace {

void clamp(std::string_view& from, std::string_view& to) {
  from = std::max(from, cluster::kFirstUserKey);
  if (!to.empty()) to = std::max(to, cluster::kFirstUserKey);
}

Status keep(barn::TxnOp& op) {
  if (const auto* get = std::get_if<barn::TxnGet>(&op)) return check_user_key(get->key);
  if (const auto* put = std::get_if<barn::Put>(&op)) return check_user_key(put->key);
  if (const auto* remove = std::get_if<barn::Delete>(&op)) return check_user_key(remove->key);
  if (auto* range = std::get_if<barn::TxnRange>(&op)) clamp(range->from, range->to);
  if (auto* range = std::get_if<barn::DeleteRange>(&op)) clamp(range->from, range->to);
  return {};
}

}  // namespace

Status check_user_key(std::string_view key) {
  // An empty key is refused by the Barn itself, which says so better.
  if (key.empty() || !cluster::is_system_key(key)) return {};
  return permission_denied("keys that begin with a zero byte are the system's");
}

Status keep_to_user_keys(barn::Command& command) {
  if (const auto* put = std::get_if<barn::Put>(&command.body)) return check_user_key(put->key);
  if (const auto* remove = std::get_if<barn::Delete>(&command.body)) return check_user_key(remove->key);
  if (auto* range = std::get_if<barn::DeleteRange>(&command.body)) {
    clamp(range->from, range->to);
  } else if (auto* txn = std::get_if<barn::Txn>(&command.body)) {
    for (const barn::Compare& compare : txn->compares) RUNINK_RETURN_IF_ERROR(check_user_key(compare.key));
    for (barn::TxnOp& op : txn->then_ops) RUNINK_RETURN_IF_ERROR(keep(op));
    for (barn::TxnOp& op : txn->else_ops) RUNINK_RETURN_IF_ERROR(keep(op));
  }
  return {};
}

barn::KeyRange keep_to_user_keys(barn::KeyRange range) {
  std::string_view from = range.from, to = range.to;
  clamp(from, to);
  return {std::string(from), std::string(to)};
}

}  // namespace runink::api
