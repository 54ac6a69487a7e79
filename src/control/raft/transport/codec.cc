#include "control/raft/transport/codec.h"

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "base/zoo.h"
#include "platform/net/bytes.h"

namespace runink::raft {

using net::ByteReader;
using net::put_byte;
using net::put_bytes;
using net::put_number;

namespace {

constexpr uint8_t kReject = 1, kForce = 2, kOwnTermCommitted = 4, kRejoining = 8, kHasEntries = 16, kHasMembership = 32,
                  kAllFlags = 63;

constexpr uint8_t kEntryKindMask = 3, kEntryHasData = 4;
constexpr size_t kLeastEntryBytes = 2;     // kind, term
constexpr size_t kMostEntryOverhead = 21;  // kind, term and length with ten bytes each
constexpr size_t kMostHeadBytes = 160;     // all of a message but entries and membership
constexpr size_t kMaxMembershipBytes = 1 + 2 * 8 + 1000 * 8;
constexpr size_t kMaxErrorBytes = 512;

Status damaged(std::string_view what) { return invalid_argument("{} from a peer cannot be read", what); }

uint8_t flags_of(const Message& m) {
  return (m.reject ? kReject : 0) | (m.force ? kForce : 0) | (m.own_term_committed ? kOwnTermCommitted : 0) |
         (m.rejoining ? kRejoining : 0) | (m.entries.empty() ? 0 : kHasEntries) |
         (m.membership == Membership() ? 0 : kHasMembership);
}

void encode_entries(const Message& m, std::string& out) {
  put_number(out, m.entries.size());
  Index index = m.index;
  Term term = m.log_term;
  for (const Entry& entry : m.entries) {
    RUNINK_CHECK(entry.index == ++index && entry.term >= term);
    put_byte(out, static_cast<uint8_t>(static_cast<uint8_t>(entry.kind) | (entry.data != nullptr ? kEntryHasData : 0)));
    put_number(out, entry.term - term);
    if (entry.data != nullptr) put_bytes(out, *entry.data);
    term = entry.term;
  }
}

bool decode_entry(ByteReader& reader, Entry* entry) {
  const uint8_t head = reader.byte();
  const uint8_t kind = head & kEntryKindMask;
  if (kind > static_cast<uint8_t>(EntryKind::kMembership) || (head & ~(kEntryKindMask | kEntryHasData)) != 0)
    return false;
  entry->kind = static_cast<EntryKind>(kind);
  const uint64_t rise = reader.number();
  if (rise > UINT64_MAX - entry->term) return false;
  entry->term += rise;
  if ((head & kEntryHasData) != 0) entry->data = std::make_shared<const std::string>(reader.bytes(kMaxFrameBytes));
  return !reader.failed();
}

bool decode_entries(ByteReader& reader, Message* m) {
  const uint64_t most = zoo(Zoo::kCountsAreBelieved) ? UINT64_MAX : std::min(kMaxEntries, reader.left() / kLeastEntryBytes);
  const uint64_t count = reader.number_at_most(most);
  if (count == 0 || count > UINT64_MAX - m->index) return false;
  m->entries.reserve(count);
  Index index = m->index;
  Term term = m->log_term;
  for (uint64_t i = 0; i < count; ++i) {
    Entry entry{.index = ++index, .term = term, .kind = EntryKind::kCommand, .data = nullptr};
    if (!decode_entry(reader, &entry) || entry.term > m->term) return false;
    term = entry.term;
    m->entries.push_back(std::move(entry));
  }
  return true;
}

bool known(MessageKind kind) { return kind >= MessageKind::kPreVote && kind <= MessageKind::kTimeoutNow; }

}  // namespace

bool fits(const Message& message) {
  if (message.entries.size() > kMaxEntries) return false;
  size_t bytes = kMostHeadBytes + kMaxMembershipBytes;
  for (const Entry& entry : message.entries)
    bytes += kMostEntryOverhead + (entry.data != nullptr ? entry.data->size() : 0);
  return bytes <= kMaxFrameBytes;
}

void encode(const Message& m, std::string& out) {
  put_byte(out, static_cast<uint8_t>(m.kind));
  put_byte(out, flags_of(m));
  for (uint64_t field : {m.from, m.to, m.term, m.index, m.log_term, m.commit, m.hint_index, m.hint_term, m.read_round,
                         m.incarnation, m.echo}) {
    put_number(out, field);
  }
  if (!m.entries.empty()) encode_entries(m, out);
  if (!(m.membership == Membership())) put_bytes(out, encode(m.membership));
}

Result<Message> decode_message(std::string_view payload) {
  ByteReader reader(payload);
  Message m;
  m.kind = static_cast<MessageKind>(reader.byte());
  const uint8_t flags = reader.byte();
  if (!known(m.kind) || (flags & ~kAllFlags) != 0) return damaged("a message");
  m.reject = (flags & kReject) != 0;
  m.force = (flags & kForce) != 0;
  m.own_term_committed = (flags & kOwnTermCommitted) != 0;
  m.rejoining = (flags & kRejoining) != 0;
  for (uint64_t* field : {&m.from, &m.to, &m.term, &m.index, &m.log_term, &m.commit, &m.hint_index, &m.hint_term,
                          &m.read_round, &m.incarnation, &m.echo}) {
    *field = reader.number();
  }
  for (const uint64_t number : {m.term, m.index, m.log_term, m.commit, m.hint_index, m.hint_term}) {
    if (number > kMaxTermOrIndex) return damaged("a message");
  }
  if ((flags & kHasEntries) != 0 && (m.kind != MessageKind::kAppend || !decode_entries(reader, &m)))
    return damaged("a message's entries");
  if ((flags & kHasMembership) != 0) {
    if (m.kind != MessageKind::kSnapshotOffer) return damaged("a message");
    m.membership = RUNINK_TRY(decode_membership(reader.bytes(kMaxMembershipBytes)));
  }
  if (!reader.at_end() || m.from == 0 || m.to == 0) return damaged("a message");
  return m;
}

void encode(const Hello& hello, std::string& out) {
  put_byte(out, hello.oldest);
  put_byte(out, hello.newest);
  put_byte(out, static_cast<uint8_t>(hello.kind));
  put_number(out, hello.from);
  put_number(out, hello.to);
}

Result<Hello> decode_hello(std::string_view payload) {
  ByteReader reader(payload);
  Hello hello;
  hello.oldest = reader.byte();
  hello.newest = reader.byte();
  hello.kind = static_cast<ChannelKind>(reader.byte());
  hello.from = reader.number();
  hello.to = reader.number();
  const bool kind_known = hello.kind == ChannelKind::kControl || hello.kind == ChannelKind::kBulk;
  // Later versions may say more; what they do say first stays as it is.
  if (reader.failed() || hello.oldest == 0 || hello.oldest > hello.newest || !kind_known) return damaged("a hello");
  if (hello.newest == 1 && !reader.at_end()) return damaged("a hello");
  return hello;
}

bool fits(const BulkRequest& request) {
  return request.name.size() <= kMaxBulkNameBytes && request.size <= kMaxChunkBytes &&
         request.body.size() <= kMaxChunkBytes;
}

void encode(uint64_t id, const BulkRequest& request, std::string& out) {
  RUNINK_CHECK(fits(request));
  put_number(out, id);
  put_byte(out, static_cast<uint8_t>(request.kind));
  put_number(out, request.index);
  put_number(out, request.term);
  put_bytes(out, request.name);
  put_number(out, request.offset);
  put_number(out, request.size);
  put_bytes(out, request.body);
}

Result<NumberedBulkRequest> decode_bulk_request(std::string_view payload) {
  ByteReader reader(payload);
  NumberedBulkRequest out;
  out.id = reader.number();
  out.request.kind = static_cast<BulkKind>(reader.byte());
  out.request.index = reader.number();
  out.request.term = reader.number();
  out.request.name = reader.bytes(kMaxBulkNameBytes);
  out.request.offset = reader.number();
  out.request.size = static_cast<uint32_t>(reader.number_at_most(kMaxChunkBytes));
  out.request.body = reader.bytes(kMaxChunkBytes);
  const bool kind_known = out.request.kind >= BulkKind::kManifest && out.request.kind <= BulkKind::kIntegrity;
  if (!reader.at_end() || !kind_known) return damaged("a bulk request");
  return out;
}

void encode(uint64_t id, const Result<std::string>& answer, std::string& out) {
  put_number(out, id);
  if (answer.ok() && answer->size() <= kMaxManifestBytes) {
    put_byte(out, 0);
    put_bytes(out, *answer);
    return;
  }
  const Status status =
      answer.ok() ? internal_error("a bulk answer of {} bytes is too large", answer->size()) : answer.status();
  put_byte(out, static_cast<uint8_t>(status.code()));
  put_bytes(out, std::string_view(status.message()).substr(0, kMaxErrorBytes));
}

Result<NumberedBulkAnswer> decode_bulk_answer(std::string_view payload) {
  ByteReader reader(payload);
  const uint64_t id = reader.number();
  const uint8_t code = reader.byte();
  if (code == 0) {
    std::string bytes(reader.bytes(kMaxManifestBytes));
    if (reader.at_end()) return NumberedBulkAnswer{id, std::move(bytes)};
  } else if (code <= static_cast<uint8_t>(Code::kUnauthenticated)) {
    std::string message(reader.bytes(kMaxErrorBytes));
    if (reader.at_end()) return NumberedBulkAnswer{id, Status(static_cast<Code>(code), std::move(message))};
  }
  return damaged("a bulk answer");
}

}  // namespace runink::raft
