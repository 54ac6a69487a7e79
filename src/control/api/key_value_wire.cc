#include "control/api/key_value_wire.h"

#include "control/api/user_keys.h"

namespace runink::api {
namespace {

void set_mark(const v1::SessionMark& mark, bool present, barn::Command* command) {
  if (present) command->mark = barn::SessionMark{from_wire(mark.session()), mark.sequence(), mark.lowest_unanswered()};
}

// PutRequest and TxnOp::Put have the same fields.
template <typename Message>
barn::Put put_of(const Message& m) {
  barn::Put put;
  put.key = m.key();
  put.value = m.value();
  put.lease = from_wire(m.lease());
  put.keep_lease = m.keep_lease();
  put.chunk = m.chunk();
  put.want_previous = m.want_previous();
  return put;
}
template <typename Message>
barn::Delete delete_of(const Message& m) {
  barn::Delete out;
  out.key = m.key();
  out.want_previous = m.want_previous();
  return out;
}
template <typename Message>
barn::DeleteRange delete_range_of(const Message& m) {
  barn::DeleteRange out;
  out.from = m.from();
  out.to = m.to();
  out.limit = m.limit();
  return out;
}

Result<barn::Compare> compare_of(const v1::Compare& m) {
  barn::Compare out;
  switch (m.target()) {
    case v1::Compare::EXISTS:
      out.target = barn::CompareTarget::kExists;
      break;
    case v1::Compare::CREATE_INDEX:
      out.target = barn::CompareTarget::kCreateIndex;
      break;
    case v1::Compare::MODIFY_INDEX:
      out.target = barn::CompareTarget::kModifyIndex;
      break;
    case v1::Compare::VERSION:
      out.target = barn::CompareTarget::kVersion;
      break;
    case v1::Compare::VALUE:
      out.target = barn::CompareTarget::kValue;
      break;
    case v1::Compare::LEASE:
      out.target = barn::CompareTarget::kLease;
      break;
    default:
      return invalid_argument("a comparison of target {} is not known", static_cast<int>(m.target()));
  }
  switch (m.is()) {
    case v1::Compare::EQUAL:
      out.is = barn::CompareIs::kEqual;
      break;
    case v1::Compare::NOT_EQUAL:
      out.is = barn::CompareIs::kNotEqual;
      break;
    case v1::Compare::LESS:
      out.is = barn::CompareIs::kLess;
      break;
    case v1::Compare::GREATER:
      out.is = barn::CompareIs::kGreater;
      break;
    default:
      return invalid_argument("a comparison {} is not known", static_cast<int>(m.is()));
  }
  out.key = m.key();
  out.number = m.number();
  out.value = m.value();
  out.lease = from_wire(m.lease());
  return out;
}

Result<barn::TxnOp> op_of(const v1::TxnOp& m) {
  switch (m.op_case()) {
    case v1::TxnOp::kGet:
      return barn::TxnOp(barn::TxnGet{m.get().key()});
    case v1::TxnOp::kRange:
      return barn::TxnOp(barn::TxnRange{m.range().from(), m.range().to(), m.range().limit(), m.range().keys_only()});
    case v1::TxnOp::kPut:
      return barn::TxnOp(put_of(m.put()));
    case v1::TxnOp::kDelete:
      return barn::TxnOp(delete_of(m.delete_()));
    case v1::TxnOp::kDeleteRange:
      return barn::TxnOp(delete_range_of(m.delete_range()));
    case v1::TxnOp::OP_NOT_SET:
      break;
  }
  return invalid_argument("an operation of the transaction is empty, or of a kind that is not known");
}

}  // namespace

barn::Token from_wire(const v1::Token& token) { return {token.incarnation(), token.index()}; }

barn::Command to_command(const v1::PutRequest& request) {
  barn::Command command;
  set_mark(request.mark(), request.has_mark(), &command);
  command.body = put_of(request);
  return command;
}
barn::Command to_command(const v1::DeleteRequest& request) {
  barn::Command command;
  set_mark(request.mark(), request.has_mark(), &command);
  command.body = delete_of(request);
  return command;
}
barn::Command to_command(const v1::DeleteRangeRequest& request) {
  barn::Command command;
  set_mark(request.mark(), request.has_mark(), &command);
  command.body = delete_range_of(request);
  return command;
}
Result<barn::Command> to_command(const v1::TxnRequest& request) {
  barn::Command command;
  set_mark(request.mark(), request.has_mark(), &command);
  barn::Txn txn;
  txn.compares.reserve(static_cast<size_t>(request.compares_size()));
  for (const auto& compare : request.compares()) txn.compares.push_back(RUNINK_TRY(compare_of(compare)));
  for (const auto& op : request.then_ops()) txn.then_ops.push_back(RUNINK_TRY(op_of(op)));
  for (const auto& op : request.else_ops()) txn.else_ops.push_back(RUNINK_TRY(op_of(op)));
  command.body = std::move(txn);
  return command;
}
barn::Command to_command(const v1::OpenSessionRequest&) {
  barn::Command command;
  command.body = barn::SessionRegister{};
  return command;
}
barn::Command to_command(const v1::CloseSessionRequest& request) {
  barn::Command command;
  command.body = barn::SessionClose{from_wire(request.session())};
  return command;
}
barn::Command to_command(const v1::GrantLeaseRequest& request) {
  barn::Command command;
  set_mark(request.mark(), request.has_mark(), &command);
  command.body = barn::LeaseGrant{request.ttl_micros()};
  return command;
}
barn::Command to_command(const v1::RevokeLeaseRequest& request) {
  barn::Command command;
  set_mark(request.mark(), request.has_mark(), &command);
  command.body = barn::LeaseRevoke{from_wire(request.lease())};
  return command;
}

void to_wire(const barn::Token& token, v1::Token* out) {
  out->set_incarnation(token.incarnation);
  out->set_index(token.index);
}

void to_wire(barn::KeyValue&& item, v1::KeyValuePair* out) {
  out->set_key(std::move(item.key));
  out->set_value(std::move(item.value));
  out->set_create_index(item.create_index);
  out->set_modify_index(item.modify_index);
  out->set_version(item.version);
  if (!item.lease.none()) to_wire(item.lease, out->mutable_lease());
  out->set_chunk(item.chunk);
}

void to_wire(barn::Answer&& answer, v1::WriteResponse* out) {
  out->set_index(answer.index);
  out->set_succeeded(answer.succeeded);
  for (barn::OpAnswer& op : answer.ops) {
    v1::OpResult* const result = out->add_ops();
    for (barn::KeyValue& item : op.items) to_wire(std::move(item), result->add_items());
    result->set_deleted(op.deleted);
    result->set_more(op.more);
  }
}

void to_wire(barn::RangeAnswer&& answer, barn::Index index, v1::RangeResponse* out) {
  out->set_index(index);
  for (barn::KeyValue& item : answer.items) to_wire(std::move(item), out->add_items());
  out->set_count(answer.count);
  out->set_more(answer.more);
}

void to_wire(barn::WatchAnswer&& answer, uint64_t incarnation, v1::WatchResponse* out) {
  for (barn::WatchAnswer::AtIndex& change : answer.changes) {
    auto* const at = out->add_changes();
    at->set_index(change.index);
    for (barn::WatchEvent& event : change.events) {
      v1::WatchEvent* const wire = at->add_events();
      wire->set_deleted(event.kind == barn::EventKind::kDelete);
      to_wire(std::move(event.item), wire->mutable_item());
    }
  }
  out->set_through(answer.through);
  out->set_incarnation(incarnation);
}

void to_wire(const Status& status, v1::Failure* out) {
  out->set_code(static_cast<int>(status.code()));
  out->set_message(status.to_string());
  out->set_kind(status.kind());
  out->set_hint(status.hint());
  for (const std::string& detail : status.details()) out->add_details(detail);
}

barn::RangeOptions range_options(const v1::RangeRequest& request) {
  barn::RangeOptions options;
  if (request.limit() > 0) options.limit = request.limit();
  options.keys_only = request.keys_only();
  options.count_only = request.count_only();
  return options;
}

barn::WatchRequest watch_request(const v1::WatchRequest& request) {
  barn::WatchRequest out;
  out.range = keep_to_user_keys({request.from(), request.to()});
  out.from = request.from_index();
  out.incarnation = request.incarnation();
  out.puts = !request.without_puts();
  out.deletes = !request.without_deletes();
  out.values = !request.without_values();
  return out;
}

}  // namespace runink::api
