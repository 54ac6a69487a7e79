// Reading a journal's folder without changing anything in it: for an operator, and for opening, which begins with the
// same reading (scan.h). Safe on a folder that is in use, but may then see a batch half written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/journal/disk.h"
#include "control/journal/format.h"

namespace runink::journal {

struct BatchInfo {
  uint64_t offset = 0, stored_bytes = 0;
  BatchHeader header;
};

struct SegmentInfo {
  std::string name;
  uint64_t number = 0;
  uint64_t size = 0;                    // of the file, in bytes
  std::optional<SegmentHeader> header;  // none: damaged
  std::vector<BatchInfo> batches;       // the good ones before the first that is not
  uint64_t end = 0;                     // of the last good batch
};

struct Damage {
  std::string file;
  uint64_t offset = 0;
  std::string what;
  raft::Index first_lost = 0;  // entries from here on are lost
  std::string to_string() const;
};

struct Inspection {
  std::optional<HardStateSlot> hard_state;  // the newer of the good slots
  std::string hard_state_fault;             // of one slot or of both; empty if both are good
  std::optional<Bounds> bounds;
  std::vector<SegmentInfo> segments;  // those that count, in order
  std::vector<std::string> ignored;   // leftovers, lost-…, and files that are not the journal's
  raft::Index first_index = 1, last_index = 0;
  uint64_t entries = 0;                 // that are in force
  bool sealed = false, decoded = true;  // false: sealed and no key was given: entries were not looked into
  std::string vote_lost;                // the marker's text
  // Where something was lost, now or before: the end of all that this member ever acknowledged, if that is known. Its
  // log may have ended there or further on.
  std::optional<raft::LogEnd> lost_end;
  std::optional<Damage> damage;  // the first
  std::optional<Damage> torn;    // a write that was cut short at the end: not damage
};

// What is there. `key` may be none also for a sealed journal. An error only where the folder or a file cannot be read.
Result<Inspection> inspect(Disk& disk, const std::optional<crypto::SealingKey>& key = {});

// OK if opening it would find all that was acknowledged; else kDataLoss with file and offset. A torn tail is OK.
Status verify(Disk& disk, const std::optional<crypto::SealingKey>& key = {});

}  // namespace runink::journal
