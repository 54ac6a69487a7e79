#include "control/barn/answer.h"

#include "control/barn/coding.h"
#include "control/barn/limits.h"

namespace runink::barn {
namespace {

constexpr uint8_t kFailed = 1, kToken = 2, kOps = 4,
                  kKnown = kFailed | kToken | kOps;  // kFailed: comparisons did not hold

void append_item(std::string& out, const KeyValue& item) {
  append_u8(out, static_cast<uint8_t>((item.chunk ? 1 : 0) | (item.lease.none() ? 0 : 2)));
  append_bytes(out, item.key);
  append_bytes(out, item.value);
  append_varint(out, item.create_index);
  append_varint(out, item.modify_index);
  append_varint(out, item.version);
  if (!item.lease.none()) append_token(out, item.lease);
}

KeyValue read_item(Decoder& in) {
  KeyValue item;
  const uint8_t flags = in.u8();
  if (flags > 3) in.fail();
  item.chunk = (flags & 1) != 0;
  item.key = in.bytes();
  item.value = in.bytes();
  item.create_index = in.varint();
  item.modify_index = in.varint();
  item.version = in.varint();
  if ((flags & 2) != 0) item.lease = in.token();
  return item;
}

}  // namespace

Status to_status(const Answer& answer) {
  const uint64_t n = answer.detail;
  switch (answer.refusal) {
    case Refusal::kNone:
      return {};
    case Refusal::kKeyEmpty:
      return invalid_argument("the key is empty").with_kind("barn.key");
    case Refusal::kKeyTooLong:
      return invalid_argument("the key is longer than {} bytes", kKeyBytesMax).with_kind("barn.key");
    case Refusal::kRequestTooLarge:
      return resource_exhausted("the request is larger than {} bytes", n)
          .with_kind("barn.request_too_large")
          .with_hint("large values are stored as chunks, and the key holds a reference");
    case Refusal::kStateFull:
      return resource_exhausted("the state has reached its limit of {} bytes", n)
          .with_kind("barn.state_full")
          .with_hint("delete keys that are not needed and compact old events, or raise the limit state_bytes");
    case Refusal::kAlarm:
      return resource_exhausted("writes are refused while an alarm is set")
          .with_kind("barn.alarm")
          .with_hint("`runi barn status` shows it; deletions are allowed");
    case Refusal::kLeaseUnknown:
      return not_found("there is no such lease: it expired, was revoked, or never was").with_kind("barn.lease_unknown");
    case Refusal::kLeaseTtl:
      return invalid_argument("a lease lives between {} ms and {} days", kLeaseMicrosMin / 1000,
                              kLeaseMicrosMax / 86'400'000'000)
          .with_kind("barn.lease_ttl");
    case Refusal::kLeaseLimit:
      return resource_exhausted("there are {} leases already", n).with_kind("barn.lease_limit");
    case Refusal::kLeaseKeyLimit:
      return resource_exhausted("{} keys belong to the lease already", n).with_kind("barn.lease_key_limit");
    case Refusal::kSessionUnknown:
      return failed_precondition("there is no such session: whether this command was applied before is not known")
          .with_kind("barn.session_unknown")
          .with_hint("register a new session, and read before writing again");
    case Refusal::kSessionForgotten:
      return failed_precondition(
                 "the answer is already forgotten, as are all below sequence {}: whether this command was "
                 "applied is not known",
                 n)
          .with_kind("barn.session_forgotten")
          .with_hint("keep fewer commands of one session open at a time");
    case Refusal::kAnswerForgotten:
      return failed_precondition("the command was applied once, at index {}; its answer was too large to be kept",
                                 answer.index)
          .with_kind("barn.answer_forgotten");
    case Refusal::kSessionLimit:
      return resource_exhausted("there are {} sessions already", n).with_kind("barn.session_limit");
    case Refusal::kDeleteTooMany:
      return resource_exhausted("the range holds more than {} keys", n)
          .with_kind("barn.delete_too_many")
          .with_hint("delete it in parts: give a limit, and repeat while the answer says that there are more");
    case Refusal::kAnswerTooLarge:
      return resource_exhausted("the transaction would read more than {} bytes", n).with_kind("barn.answer_too_large");
    case Refusal::kDuplicateKey:
      return invalid_argument("a transaction may write a key once").with_kind("barn.duplicate_key");
    case Refusal::kCompactFuture:
      return out_of_range("index {} is the newest there is to compact", n).with_kind("barn.compact_future");
    case Refusal::kBadLimits:
      return invalid_argument("limits out of bounds").with_kind("barn.bad_limits");
    case Refusal::kBadChunk:
      return invalid_argument("a chunk reference has {} bytes", kChunkReferenceBytes).with_kind("barn.bad_chunk");
    case Refusal::kBadSequence:
      return invalid_argument("a sequence must be above 0 and not below the lowest unanswered one")
          .with_kind("barn.bad_sequence");
    case Refusal::kBadRange:
      return invalid_argument("the range ends before it begins").with_kind("barn.bad_range");
    case Refusal::kBadPut:
      return invalid_argument("keep_lease and a lease exclude each other").with_kind("barn.bad_put");
    case Refusal::kTxnTooLong:
      return invalid_argument("a transaction has at most {} comparisons and {} operations in each list", kTxnPartsMax,
                              kTxnPartsMax)
          .with_kind("barn.txn_too_long");
    case Refusal::kAlarmLimit:
      return resource_exhausted("{} alarms are set already", n).with_kind("barn.alarm_limit");
  }
  return internal_error("refused for reason {}, which this program does not know",
                        static_cast<unsigned>(answer.refusal))
      .with_kind("barn.refused");
}

void append_answer(std::string& out, const Answer& answer) {
  uint8_t flags = 0;
  if (!answer.succeeded) flags |= kFailed;
  if (!answer.token.none()) flags |= kToken;
  if (!answer.ops.empty()) flags |= kOps;
  append_u8(out, static_cast<uint8_t>(answer.refusal));
  append_u8(out, flags);
  append_varint(out, answer.index);
  if (!answer.ok()) append_varint(out, answer.detail);
  if (!answer.token.none()) append_token(out, answer.token);
  if (answer.ops.empty()) return;
  append_varint(out, answer.ops.size());
  for (const OpAnswer& op : answer.ops) {
    append_u8(out, op.more ? 1 : 0);
    append_varint(out, op.deleted);
    append_varint(out, op.items.size());
    for (const KeyValue& item : op.items) append_item(out, item);
  }
}

Result<Answer> decode_answer(std::string_view bytes) {
  Decoder in(bytes);
  Answer answer;
  answer.refusal = static_cast<Refusal>(in.u8());
  const uint8_t flags = in.u8();
  if ((flags & ~kKnown) != 0) in.fail();
  answer.succeeded = (flags & kFailed) == 0;
  answer.index = in.varint();
  if (!answer.ok()) answer.detail = in.varint();
  if ((flags & kToken) != 0) answer.token = in.token();
  if ((flags & kOps) != 0) {
    answer.ops.resize(in.count(3));
    for (OpAnswer& op : answer.ops) {
      op.more = in.boolean();
      op.deleted = in.varint();
      const size_t items = in.count(6);
      for (size_t i = 0; i < items && in.ok(); ++i) op.items.push_back(read_item(in));
    }
  }
  if (!in.finished()) return data_loss("a kept answer of {} bytes cannot be read", bytes.size());
  return answer;
}

}  // namespace runink::barn
