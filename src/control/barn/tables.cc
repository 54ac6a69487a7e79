#include "control/barn/tables.h"

namespace runink::barn::tables {
namespace {

constexpr uint8_t kRowChunk = 1, kRowLease = 2;

Status unreadable(const char* what) { return data_loss("the stored {} cannot be read", what); }

// Head and cluster begin with their format.
Status check_format(Decoder& in, const char* what) {
  const uint8_t format = in.u8();
  if (!in.ok()) return unreadable(what);
  if (format == kFormat) return {};
  return unimplemented("the stored {} has format {}, and this program knows format {}", what, format, kFormat)
      .with_hint("a newer version of Runink wrote it: start this member with that version");
}

}  // namespace

std::string event_key(Index index) {
  std::string out(1, kEvents);
  append_sortable(out, index);
  return out;
}

std::string token_key(char table, const Token& token) {
  std::string out(1, table);
  append_sortable(out, token.incarnation);
  append_sortable(out, token.index);
  return out;
}

std::string attachment_key(const LeaseId& lease, std::string_view user_key) {
  std::string out;
  out.reserve(kAttachmentHead + user_key.size());
  out.push_back(kAttachments);
  append_sortable(out, lease.incarnation);
  append_sortable(out, lease.index);
  out.append(user_key);
  return out;
}

Index event_index(std::string_view key) { return key.size() == 9 ? sortable_at(key.data() + 1) : 0; }

Token token_of(std::string_view key) {
  if (key.size() < kAttachmentHead) return {};
  return {sortable_at(key.data() + 1), sortable_at(key.data() + 9)};
}

std::string range_begin(std::string_view from) { return key(kKeys, from); }
std::string range_end(std::string_view to) { return to.empty() ? std::string(1, kKeys + 1) : key(kKeys, to); }

void append_row(std::string& out, const Row& row) {
  append_u8(out, static_cast<uint8_t>((row.chunk ? kRowChunk : 0) | (row.lease.none() ? 0 : kRowLease)));
  append_varint(out, row.create_index);
  append_varint(out, row.modify_index);
  append_varint(out, row.version);
  if (!row.lease.none()) append_token(out, row.lease);
  out.append(row.value);
}

Result<Row> decode_row(std::string_view bytes) {
  Decoder in(bytes);
  Row row;
  const uint8_t flags = in.u8();
  row.chunk = (flags & kRowChunk) != 0;
  row.create_index = in.varint();
  row.modify_index = in.varint();
  row.version = in.varint();
  if ((flags & kRowLease) != 0) row.lease = in.token();
  if (!in.ok() || (flags & ~(kRowChunk | kRowLease)) != 0) return unreadable("row of a key");
  row.value = in.rest();
  return row;
}

KeyValue key_value(std::string_view user_key, const Row& row) {
  return {std::string(user_key),
          std::string(row.value),
          row.create_index,
          row.modify_index,
          row.version,
          row.lease,
          row.chunk};
}

std::string encode_lease(const Lease& lease) {
  std::string out;
  append_u64(out, static_cast<uint64_t>(lease.ttl_micros));
  append_u64(out, static_cast<uint64_t>(lease.granted_micros));
  append_varint(out, lease.renewed);
  append_varint(out, lease.keys);
  return out;
}

Result<Lease> decode_lease(std::string_view bytes) {
  Decoder in(bytes);
  Lease lease;
  lease.ttl_micros = static_cast<int64_t>(in.u64());
  lease.granted_micros = static_cast<int64_t>(in.u64());
  lease.renewed = in.varint();
  lease.keys = in.varint();
  if (!in.finished()) return unreadable("lease");
  return lease;
}

std::string encode_session(const Session& session) {
  std::string out;
  append_varint(out, session.used);
  append_varint(out, session.floor);
  append_varint(out, session.answers.size());
  for (const auto& [sequence, answer] : session.answers) {
    append_varint(out, sequence);
    append_bytes(out, answer);
  }
  return out;
}

Result<Session> decode_session(std::string_view bytes) {
  Decoder in(bytes);
  Session session;
  session.used = in.varint();
  session.floor = in.varint();
  const size_t answers = in.count(2);
  for (size_t i = 0; i < answers && in.ok(); ++i) {
    const uint64_t sequence = in.varint();
    const std::string_view answer = in.bytes();
    session.answers.emplace_hint(session.answers.end(), sequence, answer);
    session.answer_bytes += answer.size();
  }
  if (!in.finished() || session.answers.size() != answers) return unreadable("session");
  return session;
}

std::string encode_head(const Head& head) {
  std::string out;
  append_u8(out, kFormat);
  append_varint(out, head.position.index);
  append_varint(out, head.position.term);
  append_u64(out, head.position.digest.high);
  append_u64(out, head.position.digest.low);
  append_u64(out, static_cast<uint64_t>(head.unix_micros));
  append_varint(out, head.row_bytes);
  append_varint(out, head.event_written);
  append_varint(out, head.event_freed);
  return out;
}

Result<Head> decode_head(std::string_view bytes) {
  Decoder in(bytes);
  RUNINK_RETURN_IF_ERROR(check_format(in, "position"));
  Head head;
  head.position.index = in.varint();
  head.position.term = in.varint();
  head.position.digest.high = in.u64();
  head.position.digest.low = in.u64();
  head.unix_micros = static_cast<int64_t>(in.u64());
  head.row_bytes = in.varint();
  head.event_written = in.varint();
  head.event_freed = in.varint();
  if (!in.finished() || head.event_freed > head.event_written) return unreadable("position");
  return head;
}

std::string encode_cluster(const Cluster& cluster) {
  std::string out;
  append_u8(out, kFormat);
  append_varint(out, cluster.beginnings.size());
  for (const Beginning& beginning : cluster.beginnings) {
    append_varint(out, beginning.incarnation);
    append_varint(out, beginning.after);
  }
  append_varint(out, cluster.compacted);
  append_limits(out, cluster.limits);
  append_varint(out, cluster.alarms.size());
  for (const Alarm& alarm : cluster.alarms) {
    append_u8(out, static_cast<uint8_t>(alarm.kind));
    append_varint(out, alarm.node);
  }
  append_bytes(out, cluster.membership);
  return out;
}

Result<Cluster> decode_cluster(std::string_view bytes) {
  Decoder in(bytes);
  RUNINK_RETURN_IF_ERROR(check_format(in, "description of the cluster"));
  Cluster cluster;
  cluster.beginnings.resize(in.count(2));
  for (Beginning& beginning : cluster.beginnings) {
    beginning.incarnation = in.varint();
    beginning.after = in.varint();
  }
  cluster.compacted = in.varint();
  cluster.limits = decode_limits(in);
  const size_t alarms = in.count(2);
  for (size_t i = 0; i < alarms && in.ok(); ++i) {
    const auto kind = static_cast<AlarmKind>(in.u8());
    cluster.alarms.insert({kind, in.varint()});
  }
  cluster.membership = in.bytes();
  if (!in.finished() || cluster.beginnings.empty()) return unreadable("description of the cluster");
  return cluster;
}

}  // namespace runink::barn::tables
