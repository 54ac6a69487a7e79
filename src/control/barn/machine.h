// The inside of the state machine. state_machine.cc: the life of a batch; apply_keys.cc, apply_sessions.cc,
// apply_cluster.cc: what the commands do.
//
// Where something lies while a batch is put together:
//   rows and attachments   in the overlay, since later entries of the batch read them
//   events, compaction     in the batch itself, in order; the block has the events for the watch hub
//   leases, sessions       in memory always; those touched are written when the batch is closed
//   head and cluster       likewise
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/barn/overlay.h"
#include "control/barn/state_machine.h"
#include "control/barn/tables.h"

namespace runink::barn {

struct StateMachine::Impl {
  Impl(StateStore* s, MachineOptions o) : store(s), options(o), trail(o.digest_every), overlay(s, o.cache_bytes) {}

  // state_machine.cc
  Status load();
  Result<Applied> apply(std::span<const raft::Entry> entries);
  Status apply_entry(const raft::Entry& entry, AppliedEntry& out);
  void finish_entry(const raft::Entry& entry, const Answer& answer);
  Status write_batch();
  size_t pending_bytes() const { return batch.bytes() + overlay.bytes() + session_bytes; }
  uint64_t state_bytes() const { return head.row_bytes + head.event_written - head.event_freed; }

  // What one command does. A Status is a reason to stop; what a client did wrong is in the answer.
  Status execute(const Command& command, size_t bytes, Answer& answer);

  // apply_keys.cc
  Status put(const Put& put, OpAnswer& out, Answer& answer);
  Status remove(const Delete& remove, OpAnswer& out, Answer& answer);
  Status remove_range(const DeleteRange& remove, OpAnswer& out, Answer& answer);
  Status remove_row(std::string_view user_key, const tables::Row& row, size_t row_bytes);
  Status txn(const Txn& txn, Answer& answer);
  Status run(const TxnOp& op, OpAnswer& out, Answer& answer, uint64_t& read_bytes);
  Result<bool> holds(const Compare& compare);
  Result<bool> row_of(std::string_view user_key, std::string& bytes, tables::Row& row);
  bool written_by_this_txn(std::string_view user_key);
  void attach(Lease& lease, const LeaseId& id, std::string_view user_key);
  Status detach(const LeaseId& lease, std::string_view user_key);

  // apply_sessions.cc
  Status with_session(const Command& command, size_t bytes, Answer& answer, bool& repeated);
  void remember(Session& session, uint64_t sequence, const Answer& answer);
  void session_register(Answer& answer);
  void session_close(const SessionClose& close, Answer& answer);
  void session_expire(const SessionExpire& expire);
  void end_session(SessionId id);
  void lease_grant(const LeaseGrant& grant, Answer& answer);
  void lease_keep_alive(const LeaseKeepAlive& keep, Answer& answer);
  Status lease_revoke(const LeaseRevoke& revoke, Answer& answer);
  Status lease_expire(const LeaseExpire& expire, Answer& answer);
  Result<uint64_t> end_lease(LeaseId lease);

  // apply_cluster.cc
  Status compact(const Compact& compact, Answer& answer);
  void set_limits(const Settings& settings, Answer& answer);
  void set_alarm(const AlarmChange& alarm, Answer& answer);

  static bool refuse(Answer& answer, Refusal refusal, uint64_t detail = 0) {
    answer.refusal = refusal;
    answer.detail = detail;
    return false;
  }

  StateStore* store;
  MachineOptions options;
  Status stopped;  // why nothing is applied any more

  tables::Head head;
  tables::Cluster cluster;
  std::map<LeaseId, Lease> leases;
  std::map<SessionId, Session> sessions;
  DigestTrail trail;
  std::unique_ptr<Scrub> scrub;

  // Of the batch.
  Overlay overlay;
  WriteBatch batch;
  std::vector<LeaseId> touched_leases;  // may repeat
  std::vector<SessionId> touched_sessions;
  std::vector<LeaseId> changed_leases;  // of the call
  std::vector<std::string> put_chunks;  // likewise
  size_t session_bytes = 0;             // about what writing the touched ones will add
  bool cluster_touched = false, head_touched = false;
  size_t batch_events = 0;  // the first record in `block` that is of this batch
  std::shared_ptr<EventBlock> block;

  // Of the entry.
  Index index = 0;
  Term term = 0;
  std::string events;                 // the event record
  uint64_t range_deleted = 0;         // keys that its ranges deleted
  std::vector<LeaseId> entry_leases;  // touched, in order; may repeat
  std::vector<SessionId> entry_sessions;
  bool entry_cluster = false;
  std::optional<uint64_t> scrub_wanted;

  // Of a transaction, to be taken back with it.
  bool in_txn = false;
  std::set<std::string, std::less<>> txn_keys;
  std::vector<std::pair<LeaseId, int>> txn_lease_keys;

  std::string scratch, row_scratch, old_row, key_scratch;

  void touch_lease(const LeaseId& lease) {
    touched_leases.push_back(lease);
    entry_leases.push_back(lease);
  }
  void touch_session(const SessionId& session) {
    touched_sessions.push_back(session);
    entry_sessions.push_back(session);
  }
  void touch_cluster() { cluster_touched = entry_cluster = true; }
};

}  // namespace runink::barn
