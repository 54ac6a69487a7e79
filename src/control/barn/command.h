// What may be asked of the state machine, as values and as bytes of a log entry.
//
// Applying is deterministic, so everything that differs between machines comes in the command: its time (of the leader,
// who proposes it), and who asked. Ids that the state machine gives out are made of the Raft index.
//
// Structs hold views: of the bytes decoded from, or of strings that the caller keeps while encoding.
//
// Format: version (1), type (1), flags (1: bit 0, a session mark follows), time (8, little endian), then the mark and
// the body; numbers as LEB128 varints, byte strings with their length before them. Every count and length is checked
// against the bytes that are there. See docs/internals/barn.md.
//
// Errors of decode_command have kinds, because the difference matters. A node stops on each of them, since to skip
// what the other replicas may have carried out is to differ from them:
//   barn.command.unknown  version, type or flag that this program does not know (kUnimplemented): a newer one must run
//   barn.command.damaged  not a command (kDataLoss)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "control/barn/chunk_reference.h"
#include "control/barn/ids.h"
#include "control/barn/limits.h"

namespace runink::barn {

// ---- keys and values

struct Put {
  std::string_view key, value;
  LeaseId lease;               // the key goes when the lease goes; none: it belongs to no lease (any more)
  bool keep_lease = false;     // leave it with the lease it has; `lease` must be none
  bool chunk = false;          // the value is a reference to a chunk: 32 bytes SHA-256, 8 bytes size, little endian
  bool want_previous = false;  // the answer carries what was there
};
struct Delete {
  std::string_view key;
  bool want_previous = false;
};
// The first keys of the range, in order, up to the limit (0: all, refused where there are more than one command may
// delete). The answer says how many, and whether there are more.
struct DeleteRange {
  std::string_view from, to;
  uint64_t limit = 0;
};

// ---- transactions

enum class CompareTarget : uint8_t { kExists = 1, kCreateIndex, kModifyIndex, kVersion, kValue, kLease };
enum class CompareIs : uint8_t { kEqual = 1, kNotEqual, kLess, kGreater };
// Of a key that does not exist: indexes and version are 0, it has no lease, and a comparison of its value is false.
struct Compare {
  CompareTarget target = CompareTarget::kExists;
  CompareIs is = CompareIs::kEqual;  // kExists and kLease know only equal and not equal
  std::string_view key;
  uint64_t number = 0;     // indexes, version; kExists: 1 or 0
  std::string_view value;  // kValue
  LeaseId lease;           // kLease
};
struct TxnGet {
  std::string_view key;
};
struct TxnRange {
  std::string_view from, to;
  uint64_t limit = 0;  // 0: all, as far as an answer may hold
  bool keys_only = false;
};
using TxnOp = std::variant<TxnGet, TxnRange, Put, Delete, DeleteRange>;
// If all comparisons hold, then_ops, else else_ops, in order; an operation sees those before it. A key may be written
// once. Where one operation cannot be carried out, none is.
struct Txn {
  std::vector<Compare> compares;
  std::vector<TxnOp> then_ops, else_ops;
};

// ---- leases. Time to live is the leader's business (lease_timers.h): it proposes that a lease expires, and names the
// renewal that it saw last, so that a renewal which came before in the log wins.

struct LeaseGrant {
  int64_t ttl_micros = 0;
};
struct LeaseKeepAlive {  // recorded; leaders may also keep it to themselves, since a new one starts every lease afresh
  LeaseId lease;
};
struct LeaseRevoke {
  LeaseId lease;
};
struct Lapse {
  Token what;
  Index seen = 0;  // of a lease the index of the last renewal, of a session the index of the last use
};
struct LeaseExpire {
  std::vector<Lapse> leases;
};

// ---- sessions

struct SessionRegister {};
struct SessionClose {
  SessionId session;
};
struct SessionExpire {
  std::vector<Lapse> sessions;
};

// ---- the cluster

struct Compact {  // events up to this index are forgotten
  Index through = 0;
};
struct Settings {
  Limits limits;
};
enum class AlarmKind : uint8_t { kNoSpace = 1, kReadOnly = 2 };
// While any alarm is set, writes are refused and deletions are allowed.
struct AlarmChange {
  AlarmKind kind = AlarmKind::kNoSpace;
  raft::NodeId node = 0;  // who has no space; 0 for the cluster
  bool set = false;
};
struct ScrubMark {  // every replica hashes its state as of this entry (scrub.h)
  uint64_t id = 0;
};

using Body = std::variant<Put, Delete, DeleteRange, Txn, LeaseGrant, LeaseKeepAlive, LeaseRevoke, LeaseExpire,
                          SessionRegister, SessionClose, SessionExpire, Compact, Settings, AlarmChange, ScrubMark>;

struct Command {
  int64_t unix_micros = 0;  // of the leader that proposed it; what is applied takes it as never going back
  std::optional<SessionMark> mark;
  Body body;
};

constexpr uint8_t kCommandVersion = 1;

std::string encode_command(const Command& command);
Result<Command> decode_command(std::string_view bytes);

// What a leader refuses before it proposes: kInvalidArgument, or kResourceExhausted for what is too large. The state
// machine checks again when it applies, since limits may have changed on the way.
Status check_command(const Command& command, size_t encoded_bytes, const Limits& limits);

// What its puts refer to, each once, ascending.
std::vector<ChunkReference> chunk_references(const Command& command);

// The one door to the log: checks, encodes, and reads back what it encoded, because an entry that cannot be decoded
// stops every member for good. Errors as of check_command.
Result<std::string> prepare_command(const Command& command, const Limits& limits);

}  // namespace runink::barn
