#include "control/barn/command.h"

#include <algorithm>

#include "base/zoo.h"
#include "control/barn/coding.h"

namespace runink::barn {
namespace {

// Numbers of the format: never used again for anything else. A type's number is its place in Body plus one, which the
// checks below hold fast.
enum class Type : uint8_t {
  kPut = 1,
  kDelete = 2,
  kDeleteRange = 3,
  kTxn = 4,
  kLeaseGrant = 5,
  kLeaseKeepAlive = 6,
  kLeaseRevoke = 7,
  kLeaseExpire = 8,
  kSessionRegister = 9,
  kSessionClose = 10,
  kSessionExpire = 11,
  kCompact = 12,
  kSettings = 13,
  kAlarmChange = 14,
  kScrubMark = 15,
};
template <Type type, typename T>
constexpr bool kStandsAt = std::is_same_v<std::variant_alternative_t<static_cast<size_t>(type) - 1, Body>, T>;
static_assert(kStandsAt<Type::kPut, Put> && kStandsAt<Type::kDelete, Delete> && kStandsAt<Type::kTxn, Txn> &&
              kStandsAt<Type::kDeleteRange, DeleteRange> && kStandsAt<Type::kLeaseGrant, LeaseGrant> &&
              kStandsAt<Type::kLeaseKeepAlive, LeaseKeepAlive> && kStandsAt<Type::kLeaseRevoke, LeaseRevoke> &&
              kStandsAt<Type::kLeaseExpire, LeaseExpire> && kStandsAt<Type::kSessionRegister, SessionRegister> &&
              kStandsAt<Type::kSessionClose, SessionClose> && kStandsAt<Type::kSessionExpire, SessionExpire> &&
              kStandsAt<Type::kCompact, Compact> && kStandsAt<Type::kSettings, Settings> &&
              kStandsAt<Type::kAlarmChange, AlarmChange> && kStandsAt<Type::kScrubMark, ScrubMark>);

constexpr uint8_t kFlagMark = 1;
constexpr uint8_t kPutLease = 1, kPutKeepLease = 2, kPutChunk = 4, kPutPrevious = 8;
constexpr uint8_t kPutKnown = kPutLease | kPutKeepLease | kPutChunk | kPutPrevious;

// ---- writing

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void operator()(const Put& put) {
    uint8_t flags = 0;
    if (!put.lease.none()) flags |= kPutLease;
    if (put.keep_lease) flags |= kPutKeepLease;
    if (put.chunk) flags |= kPutChunk;
    if (put.want_previous) flags |= kPutPrevious;
    append_u8(out_, flags);
    append_bytes(out_, put.key);
    if (!put.lease.none()) append_token(out_, put.lease);
    append_bytes(out_, put.value);
  }
  void operator()(const Delete& remove) {
    append_u8(out_, remove.want_previous ? 1 : 0);
    append_bytes(out_, remove.key);
  }
  void operator()(const DeleteRange& remove) {
    append_bytes(out_, remove.from);
    append_bytes(out_, remove.to);
    append_varint(out_, remove.limit);
  }
  void operator()(const TxnGet& get) { append_bytes(out_, get.key); }
  void operator()(const TxnRange& range) {
    append_u8(out_, range.keys_only ? 1 : 0);
    append_bytes(out_, range.from);
    append_bytes(out_, range.to);
    append_varint(out_, range.limit);
  }
  void operator()(const Txn& txn) {
    append_varint(out_, txn.compares.size());
    for (const Compare& compare : txn.compares) {
      append_u8(out_, static_cast<uint8_t>(compare.target));
      append_u8(out_, static_cast<uint8_t>(compare.is));
      append_bytes(out_, compare.key);
      if (compare.target == CompareTarget::kValue) {
        append_bytes(out_, compare.value);
      } else if (compare.target == CompareTarget::kLease) {
        append_token(out_, compare.lease);
      } else {
        append_varint(out_, compare.number);
      }
    }
    ops(txn.then_ops);
    ops(txn.else_ops);
  }
  void operator()(const LeaseGrant& grant) { append_u64(out_, static_cast<uint64_t>(grant.ttl_micros)); }
  void operator()(const LeaseKeepAlive& keep) { append_token(out_, keep.lease); }
  void operator()(const LeaseRevoke& revoke) { append_token(out_, revoke.lease); }
  void operator()(const LeaseExpire& expire) { lapses(expire.leases); }
  void operator()(const SessionRegister&) {}
  void operator()(const SessionClose& close) { append_token(out_, close.session); }
  void operator()(const SessionExpire& expire) { lapses(expire.sessions); }
  void operator()(const Compact& compact) { append_varint(out_, compact.through); }
  void operator()(const Settings& settings) { append_limits(out_, settings.limits); }
  void operator()(const AlarmChange& alarm) {
    append_u8(out_, static_cast<uint8_t>(alarm.kind));
    append_u8(out_, alarm.set ? 1 : 0);
    append_varint(out_, alarm.node);
  }
  void operator()(const ScrubMark& mark) { append_varint(out_, mark.id); }

 private:
  void ops(const std::vector<TxnOp>& ops) {
    append_varint(out_, ops.size());
    for (const TxnOp& op : ops) {
      append_u8(out_, static_cast<uint8_t>(op.index() + 1));
      std::visit(*this, op);
    }
  }
  void lapses(const std::vector<Lapse>& lapses) {
    append_varint(out_, lapses.size());
    for (const Lapse& lapse : lapses) {
      append_token(out_, lapse.what);
      append_varint(out_, lapse.seen);
    }
  }

  std::string& out_;
};

// ---- reading

Put read_put(Decoder& in) {
  Put put;
  const uint8_t flags = in.u8();
  if ((flags & ~kPutKnown) != 0) in.fail();
  put.key = in.bytes();
  if ((flags & kPutLease) != 0) put.lease = in.token();
  put.value = in.bytes();
  put.keep_lease = (flags & kPutKeepLease) != 0;
  put.chunk = (flags & kPutChunk) != 0;
  put.want_previous = (flags & kPutPrevious) != 0;
  return put;
}

Delete read_delete(Decoder& in) {
  Delete remove;
  remove.want_previous = in.boolean();
  remove.key = in.bytes();
  return remove;
}

DeleteRange read_delete_range(Decoder& in) {
  DeleteRange remove;
  remove.from = in.bytes();
  remove.to = in.bytes();
  remove.limit = in.varint();
  return remove;
}

TxnRange read_range(Decoder& in) {
  TxnRange range;
  range.keys_only = in.boolean();
  range.from = in.bytes();
  range.to = in.bytes();
  range.limit = in.varint();
  return range;
}

Compare read_compare(Decoder& in) {
  Compare compare;
  compare.target = static_cast<CompareTarget>(in.u8());
  compare.is = static_cast<CompareIs>(in.u8());
  compare.key = in.bytes();
  if (compare.target < CompareTarget::kExists || compare.target > CompareTarget::kLease) in.fail();
  if (compare.is < CompareIs::kEqual || compare.is > CompareIs::kGreater) in.fail();
  if (compare.target == CompareTarget::kValue) {
    compare.value = in.bytes();
  } else if (compare.target == CompareTarget::kLease) {
    compare.lease = in.token();
  } else {
    compare.number = in.varint();
  }
  const bool only_equality = compare.target == CompareTarget::kExists || compare.target == CompareTarget::kLease;
  if (only_equality && compare.is != CompareIs::kEqual && compare.is != CompareIs::kNotEqual) in.fail();
  if (compare.target == CompareTarget::kExists && compare.number > 1) in.fail();
  return compare;
}

TxnOp read_op(Decoder& in) {
  switch (in.u8()) {
    case 1:
      return TxnGet{in.bytes()};
    case 2:
      return read_range(in);
    case 3:
      return read_put(in);
    case 4:
      return read_delete(in);
    case 5:
      return read_delete_range(in);
    default:
      in.fail();
      return TxnGet{};
  }
}

Txn read_txn(Decoder& in) {
  Txn txn;
  const size_t compares = in.count(4);
  txn.compares.reserve(compares);
  for (size_t i = 0; i < compares && in.ok(); ++i) txn.compares.push_back(read_compare(in));
  for (auto* ops : {&txn.then_ops, &txn.else_ops}) {
    const size_t count = in.count(2);
    ops->reserve(count);
    for (size_t i = 0; i < count && in.ok(); ++i) ops->push_back(read_op(in));
  }
  return txn;
}

std::vector<Lapse> read_lapses(Decoder& in) {
  std::vector<Lapse> out(in.count(3));
  for (Lapse& lapse : out) {
    lapse.what = in.token();
    lapse.seen = in.varint();
  }
  return out;
}

AlarmChange read_alarm(Decoder& in) {
  AlarmChange alarm;
  alarm.kind = static_cast<AlarmKind>(in.u8());
  if (alarm.kind < AlarmKind::kNoSpace || alarm.kind > AlarmKind::kReadOnly) in.fail();
  alarm.set = in.boolean();
  alarm.node = in.varint();
  return alarm;
}

bool read_body(Decoder& in, Type type, Body* body) {
  switch (type) {
    case Type::kPut:
      *body = read_put(in);
      return true;
    case Type::kDelete:
      *body = read_delete(in);
      return true;
    case Type::kDeleteRange:
      *body = read_delete_range(in);
      return true;
    case Type::kTxn:
      *body = read_txn(in);
      return true;
    case Type::kLeaseGrant:
      *body = LeaseGrant{static_cast<int64_t>(in.u64())};
      return true;
    case Type::kLeaseKeepAlive:
      *body = LeaseKeepAlive{in.token()};
      return true;
    case Type::kLeaseRevoke:
      *body = LeaseRevoke{in.token()};
      return true;
    case Type::kLeaseExpire:
      *body = LeaseExpire{read_lapses(in)};
      return true;
    case Type::kSessionRegister:
      *body = SessionRegister{};
      return true;
    case Type::kSessionClose:
      *body = SessionClose{in.token()};
      return true;
    case Type::kSessionExpire:
      *body = SessionExpire{read_lapses(in)};
      return true;
    case Type::kCompact:
      *body = Compact{in.varint()};
      return true;
    case Type::kSettings:
      *body = Settings{decode_limits(in)};
      return true;
    case Type::kAlarmChange:
      *body = read_alarm(in);
      return true;
    case Type::kScrubMark:
      *body = ScrubMark{in.varint()};
      return true;
  }
  return false;
}

Status unknown(const char* what, unsigned number) {
  return unimplemented("the log holds a command whose {} {} this program does not know", what, number)
      .with_kind("barn.command.unknown")
      .with_hint("a newer version of Runink wrote it: start this member with that version");
}

Status damaged(std::string_view bytes) {
  return data_loss("the log holds {} bytes that are not a command", bytes.size()).with_kind("barn.command.damaged");
}

Status check_key(std::string_view key) {
  if (key.empty()) return invalid_argument("the key is empty");
  if (key.size() > kKeyBytesMax) {
    return invalid_argument("the key has {} bytes, and {} are allowed", key.size(), kKeyBytesMax);
  }
  return {};
}

Status check_range(std::string_view from, std::string_view to) {
  if (from.size() > kKeyBytesMax || to.size() > kKeyBytesMax + 1) {
    return invalid_argument("an end of the range is longer than a key, which is {} bytes at most", kKeyBytesMax);
  }
  if (!to.empty() && to <= from) return invalid_argument("the range ends before it begins");
  return {};
}

struct Checker {
  Status operator()(const Put& put) const {
    if (put.keep_lease && !put.lease.none()) return invalid_argument("keep_lease and a lease exclude each other");
    if (put.chunk && put.value.size() != kChunkReferenceBytes) {
      return invalid_argument("a chunk reference has {} bytes, not {}", kChunkReferenceBytes, put.value.size());
    }
    return check_key(put.key);
  }
  Status operator()(const Delete& remove) const { return check_key(remove.key); }
  Status operator()(const DeleteRange& remove) const { return check_range(remove.from, remove.to); }
  Status operator()(const TxnGet& get) const { return check_key(get.key); }
  Status operator()(const TxnRange& range) const { return check_range(range.from, range.to); }
  Status operator()(const Txn& txn) const {
    if (std::max({txn.compares.size(), txn.then_ops.size(), txn.else_ops.size()}) > kTxnPartsMax) {
      return invalid_argument("a transaction has at most {} comparisons and {} operations in each list", kTxnPartsMax,
                              kTxnPartsMax);
    }
    for (const Compare& compare : txn.compares) RUNINK_RETURN_IF_ERROR(check_key(compare.key));
    for (const auto* ops : {&txn.then_ops, &txn.else_ops}) {
      for (const TxnOp& op : *ops) RUNINK_RETURN_IF_ERROR(std::visit(*this, op));
    }
    return {};
  }
  Status operator()(const LeaseGrant& grant) const {
    if (grant.ttl_micros >= kLeaseMicrosMin && grant.ttl_micros <= kLeaseMicrosMax) return {};
    return invalid_argument("a lease lives between {} ms and {} days", kLeaseMicrosMin / 1000,
                            kLeaseMicrosMax / 86'400'000'000);
  }
  Status operator()(const Settings& settings) const { return check_limits(settings.limits); }
  template <typename T>
  Status operator()(const T&) const {
    return {};
  }
};

}  // namespace

std::string encode_command(const Command& command) {
  std::string out;
  if (const auto* put = std::get_if<Put>(&command.body)) out.reserve(64 + put->key.size() + put->value.size());
  append_u8(out, kCommandVersion);
  append_u8(out, static_cast<uint8_t>(command.body.index() + 1));
  append_u8(out, command.mark ? kFlagMark : 0);
  append_u64(out, static_cast<uint64_t>(command.unix_micros));
  if (command.mark) {
    append_token(out, command.mark->session);
    append_varint(out, command.mark->sequence);
    append_varint(out, command.mark->lowest_unanswered);
  }
  std::visit(Encoder(out), command.body);
  return out;
}

Result<Command> decode_command(std::string_view bytes) {
  Decoder in(bytes);
  const uint8_t version = in.u8();
  if (in.ok() && version != kCommandVersion) return unknown("version", version);
  const uint8_t type = in.u8();
  const uint8_t flags = in.u8();
  if (!in.ok()) return damaged(bytes);
  if ((flags & ~kFlagMark) != 0) return unknown("flags", flags);
  if (bytes.size() > kRequestBytesCeiling) return damaged(bytes);
  Command command;
  command.unix_micros = static_cast<int64_t>(in.u64());
  if ((flags & kFlagMark) != 0) {
    SessionMark mark;
    mark.session = in.token();
    mark.sequence = in.varint();
    mark.lowest_unanswered = in.varint();
    command.mark = mark;
  }
  if (!read_body(in, static_cast<Type>(type), &command.body)) return unknown("type", type);
  if (!in.finished()) return damaged(bytes);
  return command;
}

Status check_command(const Command& command, size_t encoded_bytes, const Limits& limits) {
  if (encoded_bytes > limits.request_bytes && !zoo(Zoo::kLimitNotChecked)) {
    return resource_exhausted("the request has {} bytes, and {} are allowed", encoded_bytes, limits.request_bytes)
        .with_kind("barn.request_too_large")
        .with_hint("large values are stored as chunks, and the key holds a reference");
  }
  if (command.mark && (command.mark->sequence == 0 || command.mark->lowest_unanswered > command.mark->sequence)) {
    return invalid_argument("sequence {} of a session whose lowest unanswered one is {}", command.mark->sequence,
                            command.mark->lowest_unanswered);
  }
  return std::visit(Checker{}, command.body);
}

std::vector<ChunkReference> chunk_references(const Command& command) {
  std::vector<ChunkReference> out;
  const auto add = [&out](const Put& put) {
    if (!put.chunk) return;
    if (const auto reference = decode_chunk_reference(put.value)) out.push_back(*reference);
  };
  if (const auto* put = std::get_if<Put>(&command.body)) add(*put);
  if (const auto* txn = std::get_if<Txn>(&command.body)) {
    for (const auto* ops : {&txn->then_ops, &txn->else_ops}) {
      for (const TxnOp& op : *ops) {
        if (const auto* put = std::get_if<Put>(&op)) add(*put);
      }
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::string> prepare_command(const Command& command, const Limits& limits) {
  std::string bytes = encode_command(command);
  RUNINK_RETURN_IF_ERROR(check_command(command, bytes.size(), limits));
  if (!decode_command(bytes).ok()) return invalid_argument("the request holds a value that no command can have");
  return bytes;
}

}  // namespace runink::barn
