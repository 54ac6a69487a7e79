// What a member says of its own state when another asks (BulkKind::kIntegrity). Bytes: a version, then numbers as
// varints and digests as 16 bytes, little endian; see the .cc. From a peer: counts are checked against what is there,
// nothing is believed but that it is the peer who says so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/digest.h"

namespace runink::server {

inline constexpr size_t kReportedDigests = 64;   // points of the digest trail
inline constexpr size_t kReportedScrubs = 4;     // the newest
inline constexpr size_t kReportedRanges = 4096;  // of one scrub: 64 GiB of state at the usual size of a range

struct ScrubReport {
  uint64_t id = 0;
  barn::DigestPoint total;           // at the mark's entry
  std::vector<barn::Digest> ranges;  // in key order; those of the newest scrub only, and not more than are allowed
  bool operator==(const ScrubReport&) const = default;
};

struct IntegrityReport {
  bool serving = false;   // it is at work
  bool in_doubt = false;  // and differs from others without knowing who is right
  bool votes = false;     // it has its vote: none while it fetches what it lost
  bool scrub_under_way = false;
  uint64_t incarnation = 0;                // of the cluster: only states of the same one can be compared
  std::vector<barn::DigestPoint> digests;  // ascending; the last one may be where it stands now
  std::vector<ScrubReport> scrubs;         // ascending by entry
  bool operator==(const IntegrityReport&) const = default;
};

std::string encode(const IntegrityReport& report);
Result<IntegrityReport> decode_integrity_report(std::string_view bytes);  // kDataLoss

}  // namespace runink::server
