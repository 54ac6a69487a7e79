// The reading that opening, inspecting and verifying a journal begin with. It changes nothing on the disk.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/journal/inspect.h"

namespace runink::journal {

struct ScanOptions {
  std::optional<crypto::SealingKey> key;
  bool must_decode = false;  // a sealed segment without a key is an error (a plain one with a key always is)
  bool keep_entries = false;
  bool keep_batches = false;
  std::function<Status(const HardStateSlot&)> check_hard_state;                  // an error ends the scan; may be empty
  std::function<Status(const std::string&, const SegmentHeader&)> check_header;  // file and header; likewise
};

struct Scan {
  Inspection seen;
  std::vector<std::string> names;                     // of the folder
  bool has_hard_state = false;                        // the file
  uint64_t hard_state_sequence = 0, incarnation = 0;  // the highest that were seen
  uint64_t lost_end_incarnation = 0;                  // of seen.lost_end: the highest when that was found
  std::vector<raft::Entry> entries;
  std::vector<raft::Index> segment_last;  // of seen.segments: the highest index that each ever held; 0: none
  std::vector<uint64_t> leftover;         // segments that are void, whole
  std::vector<uint64_t> cut_off;          // segments that lie behind damage, whole
  uint64_t highest_segment = 0;           // number of any that is there
  uint64_t next_batch = 1;
  uint32_t chain = 0;
  raft::Term last_term = 0;
  bool has(std::string_view name) const;
};

Result<Scan> scan(Disk& disk, const ScanOptions& options);

}  // namespace runink::journal
