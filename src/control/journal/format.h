// Format 1 of the journal's files, as bytes: nothing here reads or writes a disk. docs/internals/journal.md is the
// document. All numbers little endian; every checksum is CRC32C.
//
// segment-<number, 16 hexadecimal digits>: a header block of 4,096 bytes, then batches, each at a multiple of 4,096. A
// batch is what was written and synced at once: its blocks are never written again, so a torn write of the next batch
// cannot touch one that was acknowledged. A batch's checksum goes on from the one before it (also across segments), and
// its header's checksum begins with the file's random id and the batch's offset: neither a batch of an older life of
// these blocks, nor one that landed in the wrong place, nor an entry whose data looks like a batch is taken for one.
// Batches are numbered without gaps.
//
//   segment header   0 magic "RNKSEG1\n"  8 format (4)  12 flags (4): 1 begins anew, 2 sealed, 4 recycled  16 cluster
//   id (16)
//                    32 node id  40 incarnation  48 segment number  56 number of its first batch  64 index of its first
//                    entry 72 file id (16)  88 key id (8)  96 chain before it (4)  100 checksum of 0…99
//   batch header     0 magic "RNKB"  4 number of entries (4)  8 batch number  16 first index  24 first term  32 last
//   term
//                    40 payload bytes (4)  44 chain before (4)  48 chain behind (4): checksum of the payload as stored,
//                    begun with the former  52 zeros (8)  60 checksum of file id, offset, 0…59
//   payload          entries; sealed: nonce (12), encrypted entries, tag (16); then zeros up to a multiple of 4,096
//   entry            0 term  8 data bytes (4)  12 kind (1)  13 has data (1)  14 zeros (2)  16 data
//
// hard-state: two slots of 4,096 bytes, written and synced one after the other: one damaged slot takes no vote back.
//
//   slot             0 magic "RNKHARD1"  8 cluster id (16)  24 node id  32 sequence  40 incarnation  48 term  56 vote
//                    64 commit  72 checksum of 0…71
//
// bounds: what is known to be there; two equal slots of 4,096 bytes, written and synced at once.
//
//   slot             0 magic "RNKBNDS1"  8 sequence  16 first segment  24 last segment  32 batch  40 last index  48
//   last term
//                    56 incarnation in the header of the last segment  64 chain behind that batch (4)  68 checksum of
//                    0…67
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/raft/core/types.h"
#include "platform/crypto/seal.h"

namespace runink::journal {

inline constexpr uint32_t kFormat = 1;
inline constexpr size_t kBlock = 4096;
inline constexpr size_t kBatchHeaderBytes = 64;
inline constexpr size_t kEntryHeaderBytes = 16;
inline constexpr uint64_t kMaxSegmentBytes = uint64_t{1} << 30;

using ClusterId = std::array<uint8_t, 16>;
using FileId = std::array<uint8_t, 16>;
using crypto::KeyId;

struct SegmentHeader {
  uint32_t format = kFormat;
  bool anew = false;      // what lies in older segments is void: the log was replaced by a snapshot, or lost
  bool sealed = false;    // payloads are encrypted under `key`
  bool recycled = false;  // the file was another segment before: what lies behind the last batch is of no interest
  ClusterId cluster{};
  uint64_t node = 0, incarnation = 0, number = 0, first_batch = 1, first_index = 1;
  FileId file{};
  KeyId key{};
  uint32_t chain = 0;
};
std::string encode(const SegmentHeader& header);  // kBlock bytes
// None: damaged, or none at all. Of another format only `format` means anything.
std::optional<SegmentHeader> decode_segment_header(std::string_view block);

struct BatchHeader {
  uint32_t count = 0;
  uint64_t number = 0, first_index = 0, first_term = 0, last_term = 0;
  uint32_t payload_bytes = 0, chain_before = 0, chain = 0;
  // Of the whole batch on disk.
  uint64_t stored_bytes() const { return (kBatchHeaderBytes + uint64_t{payload_bytes} + kBlock - 1) / kBlock * kBlock; }
  raft::Index last_index() const { return first_index + count - 1; }
};
// `bytes`: at least kBatchHeaderBytes, as they lie at `offset` of that file.
std::optional<BatchHeader> decode_batch_header(std::string_view bytes, const FileId& file, uint64_t offset);

// What a batch of these entries takes on disk.
uint64_t payload_bytes(std::span<const raft::Entry> entries, bool sealed);
uint64_t stored_bytes(uint64_t payload);

// The file that a batch lies in. A sealed one has a key of its own, derived from the member's and its id: random nonces
// are safe for so many batches as a file holds, not for all that a member ever writes.
struct SegmentFile {
  FileId id{};
  std::optional<crypto::SealingKey> key;
};
SegmentFile segment_file(const SegmentHeader& header, const crypto::SealingKey* member_key);

// Puts header, payload and padding into `out`, which has stored_bytes(payload_bytes(entries, …)) bytes, and fills in
// `header`, whose number and chain_before are given. `entries` follow each other and are not empty. `scratch` is kept
// by the caller so that its memory is used again.
void encode_batch(BatchHeader& header, std::span<const raft::Entry> entries, const SegmentFile& file, uint64_t offset,
                  char* out, std::string& scratch);
// Is this the payload, as it was written?
bool payload_intact(const BatchHeader& header, std::string_view payload);
// The entries of an intact payload. An error says what is wrong with it: intact bytes that are no entries were not
// written by this program, or not with this key.
Result<std::vector<raft::Entry>> decode_payload(const BatchHeader& header, const SegmentFile& file, uint64_t offset,
                                                std::string_view payload);

struct HardStateSlot {
  ClusterId cluster{};
  uint64_t node = 0;
  uint64_t sequence = 0;
  uint64_t incarnation = 0;
  raft::HardState state;
};
std::string encode(const HardStateSlot& slot);  // kBlock bytes
std::optional<HardStateSlot> decode_hard_state(std::string_view block);

// Known to be there, because it was synced before this was written.
struct Bounds {
  uint64_t sequence = 0;
  uint64_t first_segment = 1, last_segment = 1;  // below the first, files are leftovers
  uint64_t batch = 0;                            // 0: none yet
  uint64_t last_index = 0, last_term = 0;        // of that batch
  // In the header of the last segment, which has this name on the disk: another file of that name is not the one.
  uint64_t incarnation = 0;
  uint32_t chain = 0;  // behind the batch
};
std::string encode(const Bounds& bounds);  // kBlock bytes
std::optional<Bounds> decode_bounds(std::string_view block);

// The file kVoteLostFile, text that operators read: why this member has no vote, and where the log ended of which it
// lost a part, if that is known. A checksum stands with the latter, since a vote rests on it.
struct VoteLost {
  std::string why;  // lines
  std::optional<raft::LogEnd> end;
  uint64_t incarnation = 0;  // with `end`: of the last opening before that
};
std::string encode(const VoteLost& lost);
VoteLost decode_vote_lost(std::string_view text);

std::string segment_name(uint64_t number);
std::optional<uint64_t> segment_number(std::string_view name);
std::string lost_name(uint64_t number);  // what was cut off a segment by damage, until it was fetched again
bool is_lost_name(std::string_view name);

// Other files of a journal's folder.
inline constexpr const char* kHardStateFile = "hard-state";
inline constexpr const char* kBoundsFile = "bounds";
inline constexpr const char* kVoteLostFile = "vote-lost";
inline constexpr const char* kSpareFile = "spare";  // the next segment, reserved and not named yet
inline constexpr const char* kCopyFile = "copy";    // something on its way to another name
inline constexpr const char* kLockFile = "lock";

std::string hex(std::span<const uint8_t> bytes);

}  // namespace runink::journal
