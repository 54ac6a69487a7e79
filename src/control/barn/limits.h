// What one cluster holds at most. Part of the replicated state: all members refuse the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace runink::barn {

// Fixed: a program that changes one of these is a new command version.
constexpr size_t kKeyBytesMax = 4096;
constexpr size_t kRequestBytesCeiling = 1 << 20;  // of an encoded command
constexpr size_t kChunkReferenceBytes = 40;
constexpr size_t kTxnPartsMax = 1024;  // comparisons, and operations of each list
constexpr int64_t kLeaseMicrosMin = 100'000, kLeaseMicrosMax = 366LL * 86'400 * 1'000'000;

struct Limits {
  uint64_t request_bytes = 256 << 10;      // one encoded command; what is larger belongs into chunks
  uint64_t answer_bytes = 1 << 20;         // what one transaction may read
  uint64_t state_bytes_warn = 2ULL << 30;  // keys, values and events
  uint64_t state_bytes = 8ULL << 30;       // beyond it writes are refused, deletions allowed
  uint64_t delete_keys = 10'000;           // by one command
  uint64_t sessions = 4096;
  uint64_t session_answers = 1024;           // kept for one session until the client says that it has them
  uint64_t session_answer_bytes = 64 << 10;  // and their bytes
  uint64_t leases = 65'536;
  uint64_t lease_keys = 10'000;  // attached to one lease
  bool operator==(const Limits&) const = default;
};

// kInvalidArgument, naming the field, where a limit is zero or beyond what the program can keep.
Status check_limits(const Limits& limits);

}  // namespace runink::barn
