// What the state machine answers to a command. Answers are part of the replicated state (sessions keep them for
// retries), so they hold numbers and bytes; the words for a person are made when they are shown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/ids.h"

namespace runink::barn {

// Stored and sent: numbers never change their meaning.
enum class Refusal : uint8_t {
  kNone = 0,
  kKeyEmpty = 1,
  kKeyTooLong = 2,
  kRequestTooLarge = 3,
  kStateFull = 4,          // the state has reached its size limit
  kAlarm = 5,              // an alarm is set
  kLeaseUnknown = 6,       // never granted, revoked, or expired
  kLeaseTtl = 7,           // time to live out of bounds
  kLeaseLimit = 8,         // too many leases
  kLeaseKeyLimit = 9,      // too many keys on one lease
  kSessionUnknown = 10,    // never registered, closed, or expired: whether earlier tries were applied is not known
  kSessionForgotten = 11,  // older than what is kept: whether it was applied is not known
  kAnswerForgotten = 12,   // was applied, once; the answer was too large to keep
  kSessionLimit = 13,
  kDeleteTooMany = 14,
  kAnswerTooLarge = 15,
  kDuplicateKey = 16,  // a transaction writes a key twice
  kCompactFuture = 17,
  kBadLimits = 18,
  kBadChunk = 19,
  kBadSequence = 20,  // a sequence of 0, or below the client's own lowest unanswered one
  kBadRange = 21,     // ends before it begins
  kBadPut = 22,       // keep_lease together with a lease
  kAlarmLimit = 23,
  kTxnTooLong = 24,  // too many comparisons or operations
};

struct KeyValue {
  std::string key, value;
  Index create_index = 0, modify_index = 0;
  uint64_t version = 0;  // 1 when created, one more with each put
  LeaseId lease;
  bool chunk = false;  // value is a chunk reference
  bool operator==(const KeyValue&) const = default;
};

struct OpAnswer {               // of one operation of a transaction
  std::vector<KeyValue> items;  // get: none or one; range; previous value of put and delete where wanted
  uint64_t deleted = 0;
  bool more = false;  // a range had more than the limit
  bool operator==(const OpAnswer&) const = default;
};

struct Answer {
  Refusal refusal = Refusal::kNone;
  uint64_t detail = 0;        // of a refusal: the limit, or the oldest that would have done
  Index index = 0;            // at which the command was applied first; a retry gets the first answer
  bool succeeded = true;      // transactions: the comparisons held
  Token token;                // of a grant: the lease; of a registration: the session
  std::vector<OpAnswer> ops;  // put, delete, delete range: one; transactions: one for each operation
  bool ok() const { return refusal == Refusal::kNone; }
  bool operator==(const Answer&) const = default;
};

// The refusal as a Status with a stable kind ("barn.state_full", …); OK where there is none.
Status to_status(const Answer& answer);

void append_answer(std::string& out, const Answer& answer);
Result<Answer> decode_answer(std::string_view bytes);

}  // namespace runink::barn
