// Where a member's log begins: the entry before its first one, and who was in the cluster as of that entry. The journal
// keeps whole segments, so it may hold older entries; they count for nothing. A file of its own beside the journal's,
// replaced whole before the entries it covers may go.
//
// Format 1: magic "RNKBASE1", index, term, number of bytes of the membership (each 8 bytes, little endian), the
// membership (membership.h; none where it has no voters: a member that waits to be added), CRC32C of all before it. It
// stands in the file twice, each time at a multiple of 4,096 bytes, so that one damaged block loses nothing.
#pragma once

#include <optional>

#include "base/status.h"
#include "control/journal/disk.h"
#include "control/raft/core/membership.h"
#include "control/raft/core/types.h"

namespace runink::raft {

struct LogBase {
  Index index = 0;
  Term term = 0;
  Membership membership;
  bool operator==(const LogBase&) const = default;
};

std::string encode(const LogBase& base);
Result<LogBase> decode_log_base(std::string_view bytes);  // what follows it is not looked at

// Durable when it returns.
Status write_log_base(journal::Disk& disk, const LogBase& base);
// kNotFound: there is none; kDataLoss: it is damaged.
Result<LogBase> read_log_base(journal::Disk& disk);

}  // namespace runink::raft
