// Isolation of transactions, from lists that are only appended to (Kingsbury and Alvaro, "Elle", VLDB 2020). A read of
// a list shows every append to it in order, so the order of versions is known, and with it which transaction depends on
// which: ww (my append stands behind yours), wr (I read your append), rw (I read what was before your append), rt (I
// began after you had your answer). A cycle of these is what no strictly serializable store shows. Names of anomalies
// are those of Adya (1999).
//
// Every appended element is unique in its list. Time and memory are linear in the operations, for a bounded number of
// anomalies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "testing/checkers/history.h"

namespace runink::testing {

struct ListOperation {
  enum class Kind : uint8_t { kAppend, kRead };
  Kind kind = Kind::kRead;
  uint64_t list = 0;
  int64_t element = 0;            // kAppend
  std::vector<int64_t> elements;  // kRead: what it saw, in a committed transaction
};

struct Transaction {
  enum class Outcome : uint8_t { kCommitted, kAborted, kUnknown };
  uint64_t client = 0;
  Time start = 0;
  Time end = kOpen;
  Outcome outcome = Outcome::kCommitted;
  std::vector<ListOperation> operations;
};

enum class AnomalyKind : uint8_t {
  kDuplicate,          // an element twice in one read, or appended twice by the test itself
  kNeverAppended,      // an element that nobody tried to append
  kIncompatibleOrder,  // two reads of a list, neither of which begins with the other
  kInternal,           // a transaction does not see what it did itself
  kG1a,                // read of an aborted append
  kDirtyUpdate,        // an append that builds on an aborted one
  kG1b,                // read of a state that a transaction was only passing through
  kLostUpdate,         // two transactions read the same version and both appended to it
  kG0,                 // a cycle of ww
  kG1c,                // of ww and wr
  kGSingle,            // with one rw
  kG2,                 // with several rw
};

struct Anomaly {
  AnomalyKind kind;
  bool realtime = false;  // of cycles: the order of real time is part of it
  std::string text;       // lines: what was seen, by whom
};

// "G-single", "G1c with real time" and so on.
std::string name(const Anomaly& anomaly);

// Empty if the history is strictly serializable as far as it shows. At most 16 anomalies of a kind.
std::vector<Anomaly> check_list_append(const std::vector<Transaction>& history);

}  // namespace runink::testing
