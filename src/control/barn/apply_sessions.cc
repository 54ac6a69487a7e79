// Sessions, by which a retry is applied once, and leases.
#include <algorithm>

#include "base/text.h"
#include "base/zoo.h"
#include "control/barn/machine.h"

namespace runink::barn {
namespace {

void drop_answer(Session& session, std::map<uint64_t, std::string>::iterator at) {
  session.answer_bytes -= at->second.size();
  session.answers.erase(at);
}

}  // namespace

// ---- sessions

Status StateMachine::Impl::with_session(const Command& command, size_t bytes, Answer& answer, bool& repeated) {
  const SessionMark& mark = *command.mark;
  const auto at = sessions.find(mark.session);
  if (at == sessions.end()) return refuse(answer, Refusal::kSessionUnknown), Status();
  Session& session = at->second;
  if (mark.sequence == 0 || mark.lowest_unanswered > mark.sequence)
    return refuse(answer, Refusal::kBadSequence), Status();
  session.used = index;
  touch_session(mark.session);
  while (!session.answers.empty() && session.answers.begin()->first < mark.lowest_unanswered) {
    drop_answer(session, session.answers.begin());
  }
  session.floor = std::max(session.floor, mark.lowest_unanswered);
  auto first = session.answers.find(mark.sequence);
  if (zoo(Zoo::kRetriesAreApplied) && first != session.answers.end()) {
    drop_answer(session, first);
    first = session.answers.end();
  }
  if (first != session.answers.end()) {
    answer = RUNINK_TRY(decode_answer(first->second));
    repeated = true;
    return {};
  }
  if (mark.sequence < session.floor) return refuse(answer, Refusal::kSessionForgotten, session.floor), Status();
  RUNINK_RETURN_IF_ERROR(execute(command, bytes, answer));
  // The command may have closed its own session.
  const auto still = sessions.find(mark.session);
  if (still != sessions.end()) remember(still->second, mark.sequence, answer);
  return {};
}

void StateMachine::Impl::remember(Session& session, uint64_t sequence, const Answer& answer) {
  const Limits& limits = cluster.limits;
  std::string bytes;
  append_answer(bytes, answer);
  if (bytes.size() > limits.session_answer_bytes) {
    Answer note;
    note.refusal = Refusal::kAnswerForgotten;
    note.index = answer.index;
    bytes.clear();
    append_answer(bytes, note);
  }
  session.answer_bytes += bytes.size();
  session_bytes += bytes.size() + 16;
  session.answers.emplace(sequence, std::move(bytes));
  while (session.answers.size() > limits.session_answers || session.answer_bytes > limits.session_answer_bytes) {
    session.floor = session.answers.begin()->first + 1;
    drop_answer(session, session.answers.begin());
  }
}

void StateMachine::Impl::session_register(Answer& answer) {
  if (sessions.size() >= cluster.limits.sessions) {
    refuse(answer, Refusal::kSessionLimit, cluster.limits.sessions);
    return;
  }
  answer.token = {cluster.beginnings.back().incarnation, index};
  Session session;
  session.used = index;
  sessions.emplace(answer.token, std::move(session));
  touch_session(answer.token);
}

void StateMachine::Impl::end_session(SessionId id) {
  sessions.erase(id);
  touch_session(id);
}

void StateMachine::Impl::session_close(const SessionClose& close, Answer& answer) {
  if (!sessions.contains(close.session)) {
    refuse(answer, Refusal::kSessionUnknown);
    return;
  }
  end_session(close.session);
}

void StateMachine::Impl::session_expire(const SessionExpire& expire) {
  for (const Lapse& lapse : expire.sessions) {
    const auto at = sessions.find(lapse.what);
    if (at != sessions.end() && at->second.used == lapse.seen) end_session(lapse.what);
  }
}

// ---- leases

void StateMachine::Impl::lease_grant(const LeaseGrant& grant, Answer& answer) {
  if (grant.ttl_micros < kLeaseMicrosMin || grant.ttl_micros > kLeaseMicrosMax) {
    refuse(answer, Refusal::kLeaseTtl);
    return;
  }
  if (leases.size() >= cluster.limits.leases) {
    refuse(answer, Refusal::kLeaseLimit, cluster.limits.leases);
    return;
  }
  answer.token = {cluster.beginnings.back().incarnation, index};
  leases.emplace(answer.token, Lease{grant.ttl_micros, index, head.unix_micros, 0});
  touch_lease(answer.token);
}

void StateMachine::Impl::lease_keep_alive(const LeaseKeepAlive& keep, Answer& answer) {
  const auto at = leases.find(keep.lease);
  if (at == leases.end()) {
    refuse(answer, Refusal::kLeaseUnknown);
    return;
  }
  at->second.renewed = index;
  touch_lease(keep.lease);
}

// Deletes the keys of the lease, in order, and the lease.
Result<uint64_t> StateMachine::Impl::end_lease(LeaseId lease) {
  std::vector<std::string> keys;
  {
    const std::string from = tables::token_key(tables::kAttachments, lease);
    const auto at = overlay.iterate(from, prefix_range(from).to);
    for (; at->valid(); at->next()) keys.emplace_back(at->key().substr(tables::kAttachmentHead));
    RUNINK_RETURN_IF_ERROR(at->status());
  }
  for (const std::string& key : keys) {
    tables::Row row;
    if (!RUNINK_TRY(row_of(key, old_row, row)) || row.lease != lease) {
      return data_loss("key \"{}\" belongs to lease {}.{} in one table and not in the other", escape_control(key),
                       lease.incarnation, lease.index);
    }
    RUNINK_RETURN_IF_ERROR(remove_row(key, row, old_row.size()));
  }
  leases.erase(lease);
  touch_lease(lease);
  return keys.size();
}

Status StateMachine::Impl::lease_revoke(const LeaseRevoke& revoke, Answer& answer) {
  if (!leases.contains(revoke.lease)) return refuse(answer, Refusal::kLeaseUnknown), Status();
  answer.ops.emplace_back().deleted = RUNINK_TRY(end_lease(revoke.lease));
  return {};
}

// One entry deletes the keys of some leases; those that are left over are proposed again.
Status StateMachine::Impl::lease_expire(const LeaseExpire& expire, Answer& answer) {
  uint64_t deleted = 0;
  for (const Lapse& lapse : expire.leases) {
    if (deleted >= cluster.limits.delete_keys) break;
    const auto at = leases.find(lapse.what);
    if (at == leases.end() || at->second.renewed != lapse.seen) continue;
    deleted += RUNINK_TRY(end_lease(lapse.what));
  }
  answer.ops.emplace_back().deleted = deleted;
  return {};
}

}  // namespace runink::barn
