#include "control/journal/format.h"

#include <fmt/format.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "base/little_endian.h"
#include "base/text.h"
#include "platform/crypto/crc32c.h"

namespace runink::journal {
namespace {

using crypto::crc32c;

constexpr std::string_view kSegmentMagic = "RNKSEG1\n", kBatchMagic = "RNKB", kHardStateMagic = "RNKHARD1",
                           kBoundsMagic = "RNKBNDS1";
constexpr std::string_view kLogEndLine = "the log ended with entry ";
constexpr uint32_t kAnew = 1, kSealed = 2, kRecycled = 4;

template <typename T>
void put(std::string& out, T value) {
  append_little_endian(out, value);
}
template <size_t N>
void put(std::string& out, const std::array<uint8_t, N>& bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), N);
}
template <typename T>
T get(std::string_view in, size_t at) {
  return load_little_endian<T>(in.data() + at);
}
template <size_t N>
std::array<uint8_t, N> get_bytes(std::string_view in, size_t at) {
  std::array<uint8_t, N> bytes;
  std::memcpy(bytes.data(), in.data() + at, N);
  return bytes;
}

// Adds the checksum of what is there, and zeros up to a block.
std::string checked_block(std::string out) {
  put<uint32_t>(out, crc32c(out));
  out.resize(kBlock);
  return out;
}
bool intact(std::string_view in, std::string_view magic, size_t covered) {
  return in.size() >= covered + 4 && in.starts_with(magic) &&
         get<uint32_t>(in, covered) == crc32c(in.substr(0, covered));
}

// A batch belongs to one place in one file.
uint32_t header_checksum(std::string_view header, const FileId& file, uint64_t offset) {
  char place[24];
  std::memcpy(place, file.data(), file.size());
  store_little_endian(place + file.size(), offset);
  return crc32c(header.substr(0, kBatchHeaderBytes - 4), crc32c({place, sizeof place}));
}

// What a sealed payload is bound to: its place, and what its header says of it (but for what follows from the payload).
std::string associated_data(const BatchHeader& h, const FileId& file, uint64_t offset) {
  std::string out;
  put(out, file);
  for (uint64_t v : {offset, h.number, h.first_index, h.first_term, h.last_term}) put(out, v);
  for (uint32_t v : {h.count, h.payload_bytes, h.chain_before}) put(out, v);
  return out;
}

}  // namespace

std::string encode(const SegmentHeader& h) {
  std::string out(kSegmentMagic);
  put(out, h.format);
  put(out, (h.anew ? kAnew : 0) | (h.sealed ? kSealed : 0) | (h.recycled ? kRecycled : 0));
  put(out, h.cluster);
  for (uint64_t v : {h.node, h.incarnation, h.number, h.first_batch, h.first_index}) put(out, v);
  put(out, h.file);
  put(out, h.key);
  put(out, h.chain);
  return checked_block(std::move(out));
}

std::optional<SegmentHeader> decode_segment_header(std::string_view in) {
  if (!intact(in, kSegmentMagic, 100)) return std::nullopt;
  SegmentHeader h;
  h.format = get<uint32_t>(in, 8);
  const auto flags = get<uint32_t>(in, 12);
  h.anew = flags & kAnew;
  h.sealed = flags & kSealed;
  h.recycled = flags & kRecycled;
  h.cluster = get_bytes<16>(in, 16);
  h.node = get<uint64_t>(in, 32);
  h.incarnation = get<uint64_t>(in, 40);
  h.number = get<uint64_t>(in, 48);
  h.first_batch = get<uint64_t>(in, 56);
  h.first_index = get<uint64_t>(in, 64);
  h.file = get_bytes<16>(in, 72);
  h.key = get_bytes<8>(in, 88);
  h.chain = get<uint32_t>(in, 96);
  if (h.format == kFormat && (h.first_batch == 0 || h.first_index == 0)) return std::nullopt;
  return h;
}

std::optional<BatchHeader> decode_batch_header(std::string_view in, const FileId& file, uint64_t offset) {
  if (in.size() < kBatchHeaderBytes || !in.starts_with(kBatchMagic)) return std::nullopt;
  if (get<uint32_t>(in, 60) != header_checksum(in, file, offset)) return std::nullopt;
  BatchHeader h;
  h.count = get<uint32_t>(in, 4);
  h.number = get<uint64_t>(in, 8);
  h.first_index = get<uint64_t>(in, 16);
  h.first_term = get<uint64_t>(in, 24);
  h.last_term = get<uint64_t>(in, 32);
  h.payload_bytes = get<uint32_t>(in, 40);
  h.chain_before = get<uint32_t>(in, 44);
  h.chain = get<uint32_t>(in, 48);
  // No writer of this format makes others: their checksum is right by accident or by intent.
  const bool sane = h.count > 0 && h.count <= h.payload_bytes / kEntryHeaderBytes && h.first_index > 0 &&
                    h.first_index + h.count > h.first_index && h.first_term <= h.last_term &&
                    h.payload_bytes <= kMaxSegmentBytes;
  return sane ? std::optional(h) : std::nullopt;
}

uint64_t payload_bytes(std::span<const raft::Entry> entries, bool sealed) {
  uint64_t bytes = sealed ? crypto::kSealOverhead : 0;
  for (const raft::Entry& e : entries) bytes += kEntryHeaderBytes + (e.data ? e.data->size() : 0);
  return bytes;
}

uint64_t stored_bytes(uint64_t payload) { return (kBatchHeaderBytes + payload + kBlock - 1) / kBlock * kBlock; }

SegmentFile segment_file(const SegmentHeader& header, const crypto::SealingKey* member_key) {
  SegmentFile file{header.file, std::nullopt};
  if (header.sealed && member_key) {
    file.key = member_key->derive("journal", {reinterpret_cast<const char*>(header.file.data()), header.file.size()});
  }
  return file;
}

void encode_batch(BatchHeader& h, std::span<const raft::Entry> entries, const SegmentFile& file, uint64_t offset,
                  char* out, std::string& scratch) {
  h.count = static_cast<uint32_t>(entries.size());
  h.first_index = entries.front().index;
  h.first_term = entries.front().term;
  h.last_term = entries.back().term;
  h.payload_bytes = static_cast<uint32_t>(payload_bytes(entries, file.key.has_value()));
  char* const payload = out + kBatchHeaderBytes;
  if (file.key) scratch.resize(h.payload_bytes - crypto::kSealOverhead);
  char* at = file.key ? scratch.data() : payload;
  for (const raft::Entry& e : entries) {
    const size_t size = e.data ? e.data->size() : 0;
    store_little_endian(at, e.term);
    store_little_endian(at + 8, static_cast<uint32_t>(size));
    at[12] = static_cast<char>(e.kind);
    at[13] = e.data != nullptr;
    at[14] = at[15] = 0;
    if (size > 0) std::memcpy(at + kEntryHeaderBytes, e.data->data(), size);
    at += kEntryHeaderBytes + size;
  }
  if (file.key) file.key->seal(scratch, associated_data(h, file.id, offset), payload);
  h.chain = crc32c({payload, h.payload_bytes}, h.chain_before);
  std::string header(kBatchMagic);
  put(header, h.count);
  for (uint64_t v : {h.number, h.first_index, h.first_term, h.last_term}) put(header, v);
  for (uint32_t v : {h.payload_bytes, h.chain_before, h.chain}) put(header, v);
  header.resize(kBatchHeaderBytes - 4);
  put(header, header_checksum(header, file.id, offset));
  std::memcpy(out, header.data(), kBatchHeaderBytes);
  std::memset(payload + h.payload_bytes, 0, h.stored_bytes() - kBatchHeaderBytes - h.payload_bytes);
}

bool payload_intact(const BatchHeader& h, std::string_view payload) {
  return payload.size() == h.payload_bytes && crc32c(payload, h.chain_before) == h.chain;
}

Result<std::vector<raft::Entry>> decode_payload(const BatchHeader& h, const SegmentFile& file, uint64_t offset,
                                                std::string_view payload) {
  std::string opened;
  std::string_view rest = payload;
  if (file.key) {
    opened = RUNINK_TRY(file.key->open(payload, associated_data(h, file.id, offset)));
    rest = opened;
  }
  std::vector<raft::Entry> out;
  out.reserve(h.count);  // bounded by the payload's size: decode_batch_header
  for (uint32_t i = 0; i < h.count; ++i) {
    if (rest.size() < kEntryHeaderBytes) return data_loss("entry {} is cut off", h.first_index + i);
    const auto size = get<uint32_t>(rest, 8);
    const auto kind = static_cast<uint8_t>(rest[12]), has_data = static_cast<uint8_t>(rest[13]);
    if (size > rest.size() - kEntryHeaderBytes)
      return data_loss("entry {} is larger than its batch", h.first_index + i);
    if (kind > static_cast<uint8_t>(raft::EntryKind::kMembership))
      return data_loss("entry {} is of the unknown kind {}", h.first_index + i, kind);
    if (has_data > 1 || (has_data == 0 && size > 0))
      return data_loss("entry {} has an impossible header", h.first_index + i);
    raft::Entry e;
    e.index = h.first_index + i;
    e.term = get<uint64_t>(rest, 0);
    e.kind = static_cast<raft::EntryKind>(kind);
    if (has_data) e.data = std::make_shared<const std::string>(rest.substr(kEntryHeaderBytes, size));
    rest.remove_prefix(kEntryHeaderBytes + size);
    if (!out.empty() && e.term < out.back().term)
      return data_loss("entry {} has an older term than the one before", e.index);
    out.push_back(std::move(e));
  }
  if (!rest.empty() || out.front().term != h.first_term || out.back().term != h.last_term) {
    return data_loss("its entries are not those that its header announces");
  }
  return out;
}

std::string encode(const HardStateSlot& s) {
  std::string out(kHardStateMagic);
  put(out, s.cluster);
  for (uint64_t v : {s.node, s.sequence, s.incarnation, s.state.term, s.state.vote, s.state.commit}) put(out, v);
  return checked_block(std::move(out));
}

std::optional<HardStateSlot> decode_hard_state(std::string_view in) {
  if (!intact(in, kHardStateMagic, 72)) return std::nullopt;
  HardStateSlot s;
  s.cluster = get_bytes<16>(in, 8);
  s.node = get<uint64_t>(in, 24);
  s.sequence = get<uint64_t>(in, 32);
  s.incarnation = get<uint64_t>(in, 40);
  s.state = {get<uint64_t>(in, 48), get<uint64_t>(in, 56), get<uint64_t>(in, 64)};
  return s;
}

std::string encode(const VoteLost& lost) {
  std::string out = lost.why;
  if (!out.empty() && out.back() != '\n') out += '\n';
  if (!lost.end) return out;
  out += fmt::format("{}{} of term {} in incarnation {}; checksum ", kLogEndLine, lost.end->index, lost.end->term,
                     lost.incarnation);
  return out + fmt::format("{}\n", crypto::crc32c(out));
}

VoteLost decode_vote_lost(std::string_view text) {
  const size_t at = text.rfind(kLogEndLine);
  if (at != std::string_view::npos && (at == 0 || text[at - 1] == '\n')) {
    uint64_t index = 0, term = 0, incarnation = 0;
    uint32_t sum = 0;
    const std::string line(text.substr(at + kLogEndLine.size()));
    if (std::sscanf(line.c_str(), "%" SCNu64 " of term %" SCNu64 " in incarnation %" SCNu64 "; checksum %" SCNu32,
                    &index, &term, &incarnation, &sum) == 4) {
      VoteLost out{std::string(text.substr(0, at)), raft::LogEnd{term, index}, incarnation};
      if (encode(out) == text) return out;
    }
  }
  return {std::string(text), std::nullopt};
}

std::string encode(const Bounds& b) {
  std::string out(kBoundsMagic);
  for (uint64_t v : {b.sequence, b.first_segment, b.last_segment, b.batch, b.last_index, b.last_term, b.incarnation})
    put(out, v);
  put(out, b.chain);
  return checked_block(std::move(out));
}

std::optional<Bounds> decode_bounds(std::string_view in) {
  if (!intact(in, kBoundsMagic, 68)) return std::nullopt;
  Bounds b;
  b.sequence = get<uint64_t>(in, 8);
  b.first_segment = get<uint64_t>(in, 16);
  b.last_segment = get<uint64_t>(in, 24);
  b.batch = get<uint64_t>(in, 32);
  b.last_index = get<uint64_t>(in, 40);
  b.last_term = get<uint64_t>(in, 48);
  b.incarnation = get<uint64_t>(in, 56);
  b.chain = get<uint32_t>(in, 64);
  return b;
}

namespace {

constexpr std::string_view kSegmentPrefix = "segment-", kLostPrefix = "lost-";

}  // namespace

std::string segment_name(uint64_t number) { return fmt::format("{}{:016x}", kSegmentPrefix, number); }

std::optional<uint64_t> segment_number(std::string_view name) {
  if (name.size() != kSegmentPrefix.size() + 16 || !name.starts_with(kSegmentPrefix)) return std::nullopt;
  uint64_t number = 0;
  for (char c : name.substr(kSegmentPrefix.size())) {
    const size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    number = number << 4 | digit;
  }
  return number;
}

std::string lost_name(uint64_t number) { return fmt::format("{}{:016x}", kLostPrefix, number); }
bool is_lost_name(std::string_view name) { return name.starts_with(kLostPrefix); }

std::string hex(std::span<const uint8_t> bytes) {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace runink::journal
