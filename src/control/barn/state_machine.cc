#include "control/barn/state_machine.h"

#include <algorithm>

#include "base/zoo.h"
#include "control/barn/machine.h"

namespace runink::barn {
namespace {

const std::vector<Token>& each_once(std::vector<Token>& tokens) {
  std::sort(tokens.begin(), tokens.end());
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

}  // namespace

StateMachine::StateMachine(StateStore* store, MachineOptions options) : impl_(std::make_unique<Impl>(store, options)) {}
StateMachine::~StateMachine() = default;

Result<std::unique_ptr<StateMachine>> StateMachine::open(StateStore* store, MachineOptions options) {
  std::unique_ptr<StateMachine> machine(new StateMachine(store, options));
  Status status = machine->impl_->load();
  if (!status.ok()) return std::move(status).with_context("open the state");
  return machine;
}

// ---- what is stored

Status StateMachine::Impl::load() {
  std::string bytes;
  if (!RUNINK_TRY(store->get(tables::kHeadKey, &bytes))) {
    const auto at = store->iterate("", tables::kEnd);
    if (at->valid())
      return data_loss("the store holds records but not the one that says up to which entry they were applied");
    return at->status();
  }
  head = RUNINK_TRY(tables::decode_head(bytes));
  if (RUNINK_TRY(store->get(tables::kClusterKey, &bytes))) cluster = RUNINK_TRY(tables::decode_cluster(bytes));
  auto at = store->iterate(std::string(1, tables::kLeases), std::string(1, tables::kLeases + 1));
  for (; at->valid(); at->next()) {
    leases.emplace_hint(leases.end(), tables::token_of(at->key()), RUNINK_TRY(tables::decode_lease(at->value())));
  }
  RUNINK_RETURN_IF_ERROR(at->status());
  at = store->iterate(std::string(1, tables::kSessions), std::string(1, tables::kSessions + 1));
  for (; at->valid(); at->next()) {
    sessions.emplace_hint(sessions.end(), tables::token_of(at->key()), RUNINK_TRY(tables::decode_session(at->value())));
  }
  return at->status();
}

// ---- batches

Result<Applied> StateMachine::apply(std::span<const raft::Entry> entries) {
  if (!impl_->stopped.ok()) return impl_->stopped;
  Result<Applied> applied = impl_->apply(entries);
  if (!applied.ok()) impl_->stopped = applied.status();
  return applied;
}

Result<Applied> StateMachine::Impl::apply(std::span<const raft::Entry> entries) {
  Applied out;
  out.entries.reserve(entries.size());
  block = std::make_shared<EventBlock>();
  batch_events = 0;
  changed_leases.clear();
  put_chunks.clear();
  for (const raft::Entry& entry : entries) {
    AppliedEntry& applied = out.entries.emplace_back();
    Status status = apply_entry(entry, applied);
    if (!status.ok()) return std::move(status).with_context(fmt::format("apply entry {}", entry.index));
    if (scrub_wanted || pending_bytes() >= options.batch_bytes) RUNINK_RETURN_IF_ERROR(write_batch());
    if (scrub_wanted) {
      scrub = std::make_unique<Scrub>(*scrub_wanted, head.position, store->scan_view(), options.scrub_range_bytes);
      scrub_wanted.reset();
    }
  }
  RUNINK_RETURN_IF_ERROR(write_batch());
  out.events = std::move(block);
  out.leases = each_once(changed_leases);
  out.chunks = std::move(put_chunks);
  out.position = head.position;
  return out;
}

Status StateMachine::Impl::write_batch() {
  if (!head_touched) return {};
  overlay.flush(batch);
  for (const LeaseId& id : each_once(touched_leases)) {
    const auto at = leases.find(id);
    if (at == leases.end()) {
      batch.remove(tables::token_key(tables::kLeases, id));
    } else {
      batch.put(tables::token_key(tables::kLeases, id), tables::encode_lease(at->second));
    }
  }
  for (const SessionId& id : each_once(touched_sessions)) {
    const auto at = sessions.find(id);
    if (at == sessions.end()) {
      batch.remove(tables::token_key(tables::kSessions, id));
    } else {
      batch.put(tables::token_key(tables::kSessions, id), tables::encode_session(at->second));
    }
  }
  if (cluster_touched) batch.put(tables::kClusterKey, tables::encode_cluster(cluster));
  batch.put(tables::kHeadKey, tables::encode_head(head));
  Status status = store->apply(batch);
  batch.clear();
  changed_leases.insert(changed_leases.end(), touched_leases.begin(), touched_leases.end());
  touched_leases.clear();
  touched_sessions.clear();
  session_bytes = 0;
  cluster_touched = head_touched = false;
  batch_events = block->records.size();
  return std::move(status).with_context(fmt::format("write the state up to entry {}", head.position.index));
}

// ---- entries

Status StateMachine::Impl::apply_entry(const raft::Entry& entry, AppliedEntry& out) {
  if (entry.index != head.position.index + 1 || entry.term < head.position.term) {
    return failed_precondition("entry {} of term {} does not follow entry {} of term {}", entry.index, entry.term,
                               head.position.index, head.position.term);
  }
  index = entry.index;
  term = entry.term;
  out.index = index;
  out.term = term;
  out.answer.index = index;
  range_deleted = 0;
  events.clear();
  append_u64(events, head.event_written);
  const std::string_view data = entry.data ? std::string_view(*entry.data) : std::string_view();
  switch (entry.kind) {
    case raft::EntryKind::kNoop:
      break;
    case raft::EntryKind::kMembership:
      cluster.membership = data;
      touch_cluster();
      break;
    case raft::EntryKind::kCommand: {
      const Command command = RUNINK_TRY(decode_command(data));
      head.unix_micros = std::max(head.unix_micros, command.unix_micros);
      if (zoo(Zoo::kApplyReadsLocally)) head.unix_micros = zoo_local_time();
      if (command.mark) {
        RUNINK_RETURN_IF_ERROR(with_session(command, data.size(), out.answer, out.repeated));
      } else {
        RUNINK_RETURN_IF_ERROR(execute(command, data.size(), out.answer));
      }
      break;
    }
    default:
      return unimplemented("the log holds an entry of kind {} that this program does not know",
                           static_cast<unsigned>(entry.kind))
          .with_kind("barn.command.unknown")
          .with_hint("a newer version of Runink wrote it: start this member with that version");
  }
  finish_entry(entry, out.answer);
  return {};
}

Status StateMachine::Impl::execute(const Command& command, size_t bytes, Answer& answer) {
  if (bytes > cluster.limits.request_bytes)
    return refuse(answer, Refusal::kRequestTooLarge, cluster.limits.request_bytes), Status();
  struct Visitor {
    Impl& self;
    Answer& answer;
    OpAnswer& op() { return answer.ops.emplace_back(); }
    // A refused operation has no answer of its own.
    Status done(Status status) {
      if (!answer.ok()) answer.ops.clear();
      return status;
    }
    Status operator()(const Put& c) { return done(self.put(c, op(), answer)); }
    Status operator()(const Delete& c) { return done(self.remove(c, op(), answer)); }
    Status operator()(const DeleteRange& c) { return done(self.remove_range(c, op(), answer)); }
    Status operator()(const Txn& c) { return done(self.txn(c, answer)); }
    Status operator()(const LeaseGrant& c) { return self.lease_grant(c, answer), Status(); }
    Status operator()(const LeaseKeepAlive& c) { return self.lease_keep_alive(c, answer), Status(); }
    Status operator()(const LeaseRevoke& c) { return done(self.lease_revoke(c, answer)); }
    Status operator()(const LeaseExpire& c) { return self.lease_expire(c, answer); }
    Status operator()(const SessionRegister&) { return self.session_register(answer), Status(); }
    Status operator()(const SessionClose& c) { return self.session_close(c, answer), Status(); }
    Status operator()(const SessionExpire& c) { return self.session_expire(c), Status(); }
    Status operator()(const Compact& c) { return self.compact(c, answer); }
    Status operator()(const Settings& c) { return self.set_limits(c, answer), Status(); }
    Status operator()(const AlarmChange& c) { return self.set_alarm(c, answer), Status(); }
    Status operator()(const ScrubMark& c) {
      self.scrub_wanted = c.id;
      return {};
    }
  };
  return std::visit(Visitor{*this, answer}, command.body);
}

// Files the entry's events and takes its effects into the digest.
void StateMachine::Impl::finish_entry(const raft::Entry& entry, const Answer& answer) {
  scratch.clear();
  append_u64(scratch, head.position.digest.high);
  append_u64(scratch, head.position.digest.low);
  append_u64(scratch, index);
  append_u64(scratch, term);
  append_u64(scratch, static_cast<uint64_t>(head.unix_micros));
  append_u8(scratch, static_cast<uint8_t>(entry.kind));
  append_answer(scratch, answer);
  for (const LeaseId& id : entry_leases) {
    append_token(scratch, id);
    const auto at = leases.find(id);
    append_bytes(scratch, at == leases.end() ? std::string() : tables::encode_lease(at->second));
  }
  for (const SessionId& id : entry_sessions) {
    append_token(scratch, id);
    const auto at = sessions.find(id);
    append_u8(scratch, at == sessions.end() ? 0 : 1);
    if (at == sessions.end()) continue;
    append_varint(scratch, at->second.floor);
    append_varint(scratch, at->second.answers.size());
    append_varint(scratch, at->second.answer_bytes);
  }
  if (entry_cluster) append_bytes(scratch, tables::encode_cluster(cluster));
  if (events.size() > kEventRecordHead) {
    append_bytes(scratch, events);
    key_scratch.assign(1, tables::kEvents);
    append_sortable(key_scratch, index);
    batch.put(key_scratch, events);
    block->records.push_back({index, block->bytes.size(), events.size()});
    block->bytes.append(events);
    head.event_written += key_scratch.size() + events.size();
  }
  entry_leases.clear();
  entry_sessions.clear();
  entry_cluster = false;
  head.position = {index, term, hash_bytes(scratch)};
  head_touched = true;
  trail.applied(index, head.position.digest);
}

// ---- asking

const Position& StateMachine::position() const { return impl_->head.position; }
const DigestTrail& StateMachine::trail() const { return impl_->trail; }
int64_t StateMachine::unix_micros() const { return impl_->head.unix_micros; }
uint64_t StateMachine::incarnation() const { return impl_->cluster.beginnings.back().incarnation; }
const std::vector<Beginning>& StateMachine::beginnings() const { return impl_->cluster.beginnings; }
const Limits& StateMachine::limits() const { return impl_->cluster.limits; }
const std::set<Alarm>& StateMachine::alarms() const { return impl_->cluster.alarms; }
Index StateMachine::compacted() const { return impl_->cluster.compacted; }
uint64_t StateMachine::state_bytes() const { return impl_->state_bytes(); }
uint64_t StateMachine::event_bytes() const { return impl_->head.event_written - impl_->head.event_freed; }
const std::map<LeaseId, Lease>& StateMachine::leases() const { return impl_->leases; }
const std::map<SessionId, Session>& StateMachine::sessions() const { return impl_->sessions; }
const std::string& StateMachine::membership() const { return impl_->cluster.membership; }
const StateStore& StateMachine::store() const { return *impl_->store; }
Scrub* StateMachine::scrub() { return impl_->scrub.get(); }
std::unique_ptr<Scrub> StateMachine::take_scrub() { return std::move(impl_->scrub); }

Result<std::optional<KeyValue>> StateMachine::get(std::string_view key) const { return get_key(*impl_->store, key); }
Result<RangeAnswer> StateMachine::range(const KeyRange& range, const RangeOptions& options) const {
  return get_range(*impl_->store, range, options);
}

std::optional<Index> compaction_wanted(const StateMachine& machine, const EventRetention& retention) {
  const Index applied = machine.position().index, compacted = machine.compacted();
  const Index kept = applied - compacted;
  if (machine.event_bytes() > retention.bytes + retention.bytes / 8) {
    // Where in the table so many bytes lie is not known; halving comes to the right size in a few steps.
    return compacted + (kept + 1) / 2;
  }
  if (kept > retention.indexes + retention.indexes / 8) return applied - retention.indexes;
  return std::nullopt;
}

}  // namespace runink::barn
