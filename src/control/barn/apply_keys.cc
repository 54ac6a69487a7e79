// Puts, deletions, transactions.
#include <algorithm>

#include "base/text.h"
#include "base/zoo.h"
#include "control/barn/machine.h"

namespace runink::barn {
namespace {

// What a row or event takes besides key and value, at most; for the size limit, which need not be exact to be the same
// everywhere.
constexpr uint64_t kRowOverhead = 128;

template <typename T>
bool compare_with(const T& a, CompareIs is, const T& b) {
  switch (is) {
    case CompareIs::kEqual:
      return a == b;
    case CompareIs::kNotEqual:
      return a != b;
    case CompareIs::kLess:
      return a < b;
    case CompareIs::kGreater:
      return a > b;
  }
  return false;
}

bool check_key(std::string_view key, Answer& answer) {
  if (key.empty()) return StateMachine::Impl::refuse(answer, Refusal::kKeyEmpty);
  if (key.size() > kKeyBytesMax) return StateMachine::Impl::refuse(answer, Refusal::kKeyTooLong);
  return true;
}

bool check_range(std::string_view from, std::string_view to, Answer& answer) {
  return to.empty() || to > from || StateMachine::Impl::refuse(answer, Refusal::kBadRange);
}

uint64_t read_size(const KeyValue& item) { return item.key.size() + item.value.size() + 32; }

}  // namespace

Result<bool> StateMachine::Impl::row_of(std::string_view user_key, std::string& bytes, tables::Row& row) {
  key_scratch.assign(1, tables::kKeys).append(user_key);
  if (!RUNINK_TRY(overlay.get(key_scratch, &bytes))) return false;
  row = RUNINK_TRY(tables::decode_row(bytes));
  return true;
}

bool StateMachine::Impl::written_by_this_txn(std::string_view user_key) {
  return in_txn && !txn_keys.emplace(user_key).second;
}

void StateMachine::Impl::attach(Lease& lease, const LeaseId& id, std::string_view user_key) {
  const std::string key = tables::attachment_key(id, user_key);
  overlay.put(key, {});
  head.row_bytes += key.size();
  ++lease.keys;
  if (in_txn) txn_lease_keys.emplace_back(id, 1);
  touch_lease(id);
}

Status StateMachine::Impl::detach(const LeaseId& id, std::string_view user_key) {
  const auto lease = leases.find(id);
  if (lease == leases.end() || lease->second.keys == 0) {
    return data_loss("key \"{}\" belongs to lease {}.{}, which does not know of it", escape_control(user_key),
                     id.incarnation, id.index);
  }
  const std::string key = tables::attachment_key(id, user_key);
  overlay.remove(key);
  head.row_bytes -= key.size();
  --lease->second.keys;
  if (in_txn) txn_lease_keys.emplace_back(id, -1);
  touch_lease(id);
  return {};
}

Status StateMachine::Impl::put(const Put& put, OpAnswer& out, Answer& answer) {
  const Limits& limits = cluster.limits;
  if (!check_key(put.key, answer)) return {};
  if (put.keep_lease && !put.lease.none()) return refuse(answer, Refusal::kBadPut), Status();
  if (put.chunk && put.value.size() != kChunkReferenceBytes) return refuse(answer, Refusal::kBadChunk), Status();
  if (!cluster.alarms.empty()) return refuse(answer, Refusal::kAlarm), Status();
  const uint64_t growth = 2 * (put.key.size() + put.value.size() + kRowOverhead);
  if (state_bytes() + events.size() + growth > limits.state_bytes) {
    return refuse(answer, Refusal::kStateFull, limits.state_bytes), Status();
  }
  tables::Row old;
  const bool existed = RUNINK_TRY(row_of(put.key, old_row, old));
  const LeaseId lease = put.keep_lease ? old.lease : put.lease;
  const auto at = leases.find(lease);
  if (!lease.none() && lease != old.lease) {
    if (at == leases.end()) return refuse(answer, Refusal::kLeaseUnknown), Status();
    if (at->second.keys >= limits.lease_keys)
      return refuse(answer, Refusal::kLeaseKeyLimit, limits.lease_keys), Status();
  }
  if (written_by_this_txn(put.key)) return refuse(answer, Refusal::kDuplicateKey), Status();

  if (existed && put.want_previous) out.items.push_back(tables::key_value(put.key, old));
  if (lease != old.lease) {
    if (!old.lease.none()) RUNINK_RETURN_IF_ERROR(detach(old.lease, put.key));
    if (!lease.none()) attach(at->second, lease, put.key);
    key_scratch.assign(1, tables::kKeys).append(put.key);
  }
  tables::Row row;
  row.create_index = existed ? old.create_index : index;
  row.modify_index = index;
  row.version = old.version + 1;
  row.lease = lease;
  row.chunk = put.chunk;
  if (put.chunk) put_chunks.emplace_back(put.value);
  row.value = put.value;
  row_scratch.clear();
  tables::append_row(row_scratch, row);
  if (existed) head.row_bytes -= key_scratch.size() + old_row.size();
  head.row_bytes += key_scratch.size() + row_scratch.size();
  overlay.put(key_scratch, row_scratch);
  append_event(events, {EventKind::kPut, put.key, put.value, row.create_index, row.version, lease, put.chunk});
  return {};
}

Status StateMachine::Impl::remove_row(std::string_view user_key, const tables::Row& row, size_t row_bytes) {
  if (!row.lease.none()) RUNINK_RETURN_IF_ERROR(detach(row.lease, user_key));
  key_scratch.assign(1, tables::kKeys).append(user_key);
  head.row_bytes -= key_scratch.size() + row_bytes;
  overlay.remove(key_scratch);
  append_event(events, {EventKind::kDelete, user_key, {}, 0, 0, {}, false});
  return {};
}

Status StateMachine::Impl::remove(const Delete& remove, OpAnswer& out, Answer& answer) {
  if (!check_key(remove.key, answer)) return {};
  tables::Row row;
  if (written_by_this_txn(remove.key)) return refuse(answer, Refusal::kDuplicateKey), Status();
  if (!RUNINK_TRY(row_of(remove.key, old_row, row))) return {};
  if (remove.want_previous) out.items.push_back(tables::key_value(remove.key, row));
  out.deleted = 1;
  return remove_row(remove.key, row, old_row.size());
}

Status StateMachine::Impl::remove_range(const DeleteRange& remove, OpAnswer& out, Answer& answer) {
  if (!check_range(remove.from, remove.to, answer)) return {};
  // Of one command: a transaction may hold many ranges.
  const uint64_t most = cluster.limits.delete_keys - std::min(range_deleted, cluster.limits.delete_keys);
  const uint64_t limit = remove.limit == 0 ? most : std::min(remove.limit, most);
  std::vector<std::string> keys;
  {
    const auto at = overlay.iterate(tables::range_begin(remove.from), tables::range_end(remove.to));
    for (; at->valid(); at->next()) {
      if (keys.size() == limit) {
        out.more = true;
        break;
      }
      keys.emplace_back(at->key().substr(1));
    }
    RUNINK_RETURN_IF_ERROR(at->status());
  }
  if (out.more && (remove.limit == 0 || keys.empty())) {
    return refuse(answer, Refusal::kDeleteTooMany, cluster.limits.delete_keys), Status();
  }
  range_deleted += keys.size();
  for (const std::string& key : keys) {
    if (written_by_this_txn(key)) return refuse(answer, Refusal::kDuplicateKey), Status();
    tables::Row row;
    if (!RUNINK_TRY(row_of(key, old_row, row))) return data_loss("key \"{}\" is there and is not", escape_control(key));
    RUNINK_RETURN_IF_ERROR(remove_row(key, row, old_row.size()));
  }
  out.deleted = keys.size();
  return {};
}

Result<bool> StateMachine::Impl::holds(const Compare& compare) {
  tables::Row row;
  const bool exists = RUNINK_TRY(row_of(compare.key, old_row, row));
  if (zoo(Zoo::kComparisonsHold) && compare.target == CompareTarget::kModifyIndex) return true;
  switch (compare.target) {
    case CompareTarget::kExists:
      return compare_with<uint64_t>(exists ? 1 : 0, compare.is, compare.number);
    case CompareTarget::kCreateIndex:
      return compare_with(row.create_index, compare.is, compare.number);
    case CompareTarget::kModifyIndex:
      return compare_with(row.modify_index, compare.is, compare.number);
    case CompareTarget::kVersion:
      return compare_with(row.version, compare.is, compare.number);
    case CompareTarget::kValue:
      return exists && compare_with(row.value, compare.is, compare.value);
    case CompareTarget::kLease:
      return compare_with(row.lease, compare.is, compare.lease);
  }
  return false;
}

Status StateMachine::Impl::run(const TxnOp& op, OpAnswer& out, Answer& answer, uint64_t& read_bytes) {
  if (const auto* get = std::get_if<TxnGet>(&op)) {
    tables::Row row;
    if (RUNINK_TRY(row_of(get->key, old_row, row))) out.items.push_back(tables::key_value(get->key, row));
  } else if (const auto* range = std::get_if<TxnRange>(&op)) {
    if (!check_range(range->from, range->to, answer)) return {};
    RangeOptions how;
    how.limit = range->limit;
    how.keys_only = range->keys_only;
    how.max_bytes = cluster.limits.answer_bytes + 1;
    RangeAnswer read = RUNINK_TRY(get_range(overlay, {std::string(range->from), std::string(range->to)}, how));
    out.more = read.more;
    out.items = std::move(read.items);
  } else if (const auto* put_op = std::get_if<Put>(&op)) {
    RUNINK_RETURN_IF_ERROR(put(*put_op, out, answer));
  } else if (const auto* delete_op = std::get_if<Delete>(&op)) {
    RUNINK_RETURN_IF_ERROR(remove(*delete_op, out, answer));
  } else {
    RUNINK_RETURN_IF_ERROR(remove_range(std::get<DeleteRange>(op), out, answer));
  }
  for (const KeyValue& item : out.items) read_bytes += read_size(item);
  if (answer.ok() && read_bytes > cluster.limits.answer_bytes) {
    refuse(answer, Refusal::kAnswerTooLarge, cluster.limits.answer_bytes);
  }
  return {};
}

Status StateMachine::Impl::txn(const Txn& txn, Answer& answer) {
  if (std::max({txn.compares.size(), txn.then_ops.size(), txn.else_ops.size()}) > kTxnPartsMax) {
    return refuse(answer, Refusal::kTxnTooLong), Status();
  }
  for (const Compare& compare : txn.compares) {
    if (!RUNINK_TRY(holds(compare))) {
      answer.succeeded = false;
      break;
    }
  }
  const std::vector<TxnOp>& ops = answer.succeeded ? txn.then_ops : txn.else_ops;
  const uint64_t rows_before = head.row_bytes;
  const size_t events_before = events.size();
  in_txn = true;
  overlay.mark();
  uint64_t read_bytes = 0;
  for (const TxnOp& op : ops) {
    RUNINK_RETURN_IF_ERROR(run(op, answer.ops.emplace_back(), answer, read_bytes));
    if (!answer.ok()) break;
  }
  if (answer.ok()) {
    overlay.release();
  } else {
    overlay.rollback();
    head.row_bytes = rows_before;
    events.resize(events_before);
    for (const auto& [lease, keys] : txn_lease_keys)
      leases.at(lease).keys -= static_cast<uint64_t>(static_cast<int64_t>(keys));
  }
  in_txn = false;
  txn_keys.clear();
  txn_lease_keys.clear();
  return {};
}

}  // namespace runink::barn
