#include "client/sdk/operation.h"

#include <array>

#include "base/check.h"

namespace runink::sdk {
namespace {

template <typename M>
concept Marked = requires(M m) {
  m.mutable_mark();
};

// An answer without values, and one of which nobody knows how long it will be.
constexpr size_t kShortAnswer = 64, kAnswerWithValues = 8 << 10;

bool reads_values(const v1::TxnRequest& txn) {
  const auto reads = [](const v1::TxnOp& op) {
    return op.has_get() || op.has_range() || (op.has_put() && op.put().want_previous()) ||
           (op.has_delete_() && op.delete_().want_previous());
  };
  for (const auto& op : txn.then_ops()) {
    if (reads(op)) return true;
  }
  for (const auto& op : txn.else_ops()) {
    if (reads(op)) return true;
  }
  return false;
}

}  // namespace

bool is_write(const Request& request) {
  return std::visit([]<typename M>(const M&) { return Marked<M>; }, request);
}

bool is_packable(const Request& request) { return request.index() <= 5; }

bool is_serializable(const Request& request) {
  if (const auto* get = std::get_if<v1::GetRequest>(&request)) return get->serializable();
  if (const auto* range = std::get_if<v1::RangeRequest>(&request)) return range->serializable();
  return false;
}

size_t answer_bytes(const Request& request) {
  if (const auto* txn = std::get_if<v1::TxnRequest>(&request)) {
    const auto parts = static_cast<size_t>(txn->then_ops_size() + txn->else_ops_size());
    return reads_values(*txn) ? kAnswerWithValues : kShortAnswer + 4 * parts;
  }
  bool previous = false;
  if (const auto* put = std::get_if<v1::PutRequest>(&request)) previous = put->want_previous();
  if (const auto* remove = std::get_if<v1::DeleteRequest>(&request)) previous = remove->want_previous();
  return previous ? kAnswerWithValues : kShortAnswer;
}

size_t request_bytes(const Request& request) {
  return std::visit([](const auto& message) { return message.ByteSizeLong() + 64; }, request);
}

const char* name_of(const Request& request) {
  static constexpr std::array kNames = {"get",          "range",        "put",          "delete",
                                        "delete range", "transaction",  "lease grant",  "lease revoke",
                                        "lease keep",   "open session", "close session"};
  return kNames[request.index()];
}

v1::SessionMark* mark_of(Request& request) {
  return std::visit(
      []<typename M>(M& message) -> v1::SessionMark* {
        if constexpr (Marked<M>) return message.mutable_mark();
        RUNINK_CHECK(false);
      },
      request);
}

v1::RangeRequest probe_request(bool serializable) {
  v1::RangeRequest request;
  request.set_from("\x01");  // before it are the system's keys
  request.set_to(std::string("\x01\0", 2));
  request.set_count_only(true);
  request.set_want_members(true);
  request.set_serializable(serializable);
  return request;
}

void pack(const Request& request, v1::PackRequest::Operation* out) {
  switch (request.index()) {
    case 0:
      *out->mutable_get() = std::get<0>(request);
      return;
    case 1:
      *out->mutable_range() = std::get<1>(request);
      return;
    case 2:
      *out->mutable_put() = std::get<2>(request);
      return;
    case 3:
      *out->mutable_delete_() = std::get<3>(request);
      return;
    case 4:
      *out->mutable_delete_range() = std::get<4>(request);
      return;
    case 5:
      *out->mutable_txn() = std::get<5>(request);
      return;
    default:
      RUNINK_CHECK(false);
  }
}

}  // namespace runink::sdk
