#include "control/raft/driver/member.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/check.h"

namespace runink::raft {
namespace {

constexpr size_t kDelayedMost = 8;  // entries; more of them are load, and worth no order of their own

}  // namespace

Member::Member(MemberOptions options, Recovered recovered, Storage& storage, Transport& transport,
               Application& application)
    : options_(options),
      raft_(std::move(options.core), std::move(recovered)),
      storage_(storage),
      transport_(transport),
      application_(application),
      self_(std::make_shared<Member*>(this)) {
  transport_.set_receiver(this);
}

Member::~Member() {
  *self_ = nullptr;
  transport_.set_receiver(nullptr);
}

void Member::fail(Status status) {
  if (failed_.ok()) failed_ = std::move(status);
}

// ---- what happens

void Member::tick() {
  ++now_;
  if (Status status = storage_.failure(); !status.ok()) fail(std::move(status));
  if (!failed_.ok()) return;
  raft_.tick();
  leave_if_hindered();
  if (leads()) offer_snapshots();
}

void Member::on_message(Message message) {
  if (!failed_.ok()) return;
  if (message.kind == MessageKind::kAppend && !message.entries.empty() && !storage_.has_space()) {
    // As if the entries were lost on the way. What remains of the message is the leader's word that it lives; and the
    // first entry of its term, without which it could answer no reads, where a whole cluster's disks are full.
    const auto is_noop = [](const Entry& entry) { return entry.kind == EntryKind::kNoop; };
    const auto first = storage_.has_reserve() ? std::find_if_not(message.entries.begin(), message.entries.end(), is_noop)
                                              : message.entries.begin();
    if (first != message.entries.end()) ++counters_.appends_without_space;
    message.entries.erase(first, message.entries.end());
  }
  // Without room it could not even commit the first entry of its term: where all disks are full, whoever leads stays, and
  // answers reads.
  if (message.kind == MessageKind::kTimeoutNow && !storage_.has_space()) return;
  raft_.step(message);
}

void Member::on_peer(NodeId, PeerState) {}

// A leader that cannot write, or not in time, hands over to one that can. (It would stay leader: its heartbeats go on,
// and the followers may commit without it.)
void Member::leave_if_hindered() {
  if (!leads() || raft_.transferee() != 0) return;
  const bool slow = !writes_.empty() && now_ - writes_.front() > options_.core.election_ticks;
  if (slow || !storage_.has_space()) (void)transfer(0);
}

// ---- what is wanted

void Member::propose(std::shared_ptr<const std::string> data, std::function<void(const Proposed&)> done) {
  ++counters_.proposals;
  if (!failed_.ok()) return;
  if (leads() && !storage_.has_space()) {
    refused_.emplace_back(std::move(done), Proposed{Proposed::Outcome::kNoSpace, 0, raft_.id()});
    return;
  }
  const Proposal proposal = raft_.propose(std::move(data));
  switch (proposal.outcome) {
    case Proposal::Outcome::kAccepted:
      pending_.emplace(proposal.index, Pending{proposal.term, std::move(done)});
      return;
    case Proposal::Outcome::kNotLeader:
      refused_.emplace_back(std::move(done), Proposed{Proposed::Outcome::kNotLeader, 0, raft_.leader()});
      return;
    case Proposal::Outcome::kBusy:
      refused_.emplace_back(std::move(done), Proposed{Proposed::Outcome::kBusy, 0, raft_.leader()});
      return;
  }
}

void Member::read(std::function<void(Status)> done) {
  ++counters_.reads;
  if (!failed_.ok()) return;
  reads_.emplace(++last_read_, std::move(done));
  raft_.read_index(last_read_);
}

void Member::settle(const std::function<void(const Proposed&)>& done, const Proposed& proposed) {
  ++counters_.outcomes[static_cast<size_t>(proposed.outcome)];
  done(proposed);
}

Result<Index> Member::change_membership(const Change& change) {
  RUNINK_RETURN_IF_ERROR(failed_);
  return RUNINK_TRY(raft_.propose_change(change)).index;
}

Status Member::transfer(NodeId to) {
  RUNINK_RETURN_IF_ERROR(failed_);
  if (to != 0) return raft_.transfer(to);
  // Whoever was heard of lately and holds most; of equal ones the next in turn, since the last one may have refused.
  std::optional<Index> best;
  uint64_t heard = 0;
  for (const auto& [id, peer] : raft_.peers()) heard = std::max(heard, peer.heard_tick);
  for (const auto& [id, peer] : raft_.peers()) {
    if (!raft_.membership().votes(id) || peer.rejoining || peer.heard_tick + options_.core.election_ticks < heard)
      continue;
    const bool next_in_turn = peer.match == best && to <= last_asked_to_lead_ && id > last_asked_to_lead_;
    if (best && peer.match <= *best && !next_in_turn) continue;
    to = id;
    best = peer.match;
  }
  if (to == 0) return failed_precondition("there is no other voter to lead");
  last_asked_to_lead_ = to;
  return raft_.transfer(to);
}

void Member::snapshot() {
  if (failed_.ok()) make_snapshot();
}

// ---- what is to be done

void Member::pump() {
  note_role();
  while (failed_.ok() && raft_.has_ready()) {
    take(raft_.take_ready());
    note_role();
  }
  if (failed_.ok() && !delayed_.empty() && (writes_.empty() || leads())) {
    transport_.flush();
    apply_delayed();
  }
  if (!failed_.ok()) return;
  // Callbacks may propose and read again: that belongs to the next turn.
  std::vector<std::pair<std::function<void(const Proposed&)>, Proposed>> refused;
  refused.swap(refused_);
  for (auto& [done, outcome] : refused) settle(done, outcome);
  answer_reads();
}

void Member::note_role() {
  if (role_ == raft_.role() && role_term_ == raft_.term() && role_leader_ == raft_.leader()) return;
  const bool elected = raft_.role() == Role::kLeader && role_ != Role::kLeader;
  if (elected) ++counters_.elections;
  role_ = raft_.role();
  role_term_ = raft_.term();
  role_leader_ = raft_.leader();
  application_.on_role(role_, role_term_, role_leader_);
}

void Member::take(Ready ready) {
  // Messages first: replication goes on while the own disk writes.
  for (Message& message : ready.messages) transport_.send(std::move(message));
  write(ready);
  if (!ready.committed.empty()) {
    apply_delayed();
    if (!failed_.ok()) return;
    if (!leads() && !writes_.empty() && ready.committed.size() <= kDelayedMost) {
      delayed_ = std::move(ready.committed);
    } else {
      apply(ready.committed);
    }
  }
  if (!failed_.ok()) return;
  for (const Ready::Read& read : ready.reads) {
    const auto found = reads_.find(read.id);
    if (found == reads_.end()) continue;
    readable_.emplace(read.index, std::move(found->second));
    reads_.erase(found);
  }
  for (const ReadId id : ready.reads_refused) {
    const auto found = reads_.find(id);
    if (found == reads_.end()) continue;
    auto done = std::move(found->second);
    reads_.erase(found);
    done(unavailable("this member does not lead").with_kind("raft.not_leader"));
  }
  if (!ready.snapshots_wanted.empty()) offer_snapshots();
  if (ready.install) {
    apply_delayed();
    if (failed_.ok()) install(*ready.install, ready.install_from);
  }
}

void Member::write(Ready& ready) {
  if (!ready.hard_state && ready.append.empty() && !ready.vote_regained) return;
  if (!ready.append.empty()) settle_lost(ready.append.front().index);
  StorageWork work;
  work.hard_state = ready.hard_state;
  work.whole = ready.vote_regained;
  Index index = 0;
  Term term = 0;
  if (!ready.append.empty()) {
    index = ready.append.back().index;
    term = ready.append.back().term;
    work.append = std::move(ready.append);
  }
  const uint64_t version = ready.hard_state ? ready.hard_state_version : 0;
  writes_.push_back(now_);
  work.done = [self = self_, version, index, term](const Status& status) {
    Member* const member = *self;
    if (member == nullptr) return;
    if (!status.ok()) return member->fail(status);
    member->written(version, index, term);
  };
  storage_.submit(std::move(work));
}

void Member::written(uint64_t version, Index index, Term term) {
  writes_.pop_front();  // they end in the order in which they were begun
  if (version != 0) raft_.hard_state_persisted(version);
  if (index != 0) raft_.log_persisted(index, term);
}

// Proposals of ours at places that other entries take now. (Our own new ones are not there yet: they are noted when
// they are proposed, so a pending one of the term that the log has there is alive.)
void Member::settle_lost(Index from) {
  for (auto at = pending_.lower_bound(from); at != pending_.end();) {
    const auto term = raft_.log().term(at->first);
    if (term && *term == at->second.term) {
      ++at;
      continue;
    }
    refused_.emplace_back(std::move(at->second.done), Proposed{Proposed::Outcome::kLost, at->first, raft_.leader()});
    at = pending_.erase(at);
  }
}

void Member::apply(const std::vector<Entry>& entries) {
  if (Status status = application_.apply(entries); !status.ok()) {
    return fail(std::move(status).with_context("apply entries from " + std::to_string(entries.front().index)));
  }
  const Index last = entries.back().index;
  raft_.applied(last);
  counters_.applied += entries.size();
  for (const Entry& entry : entries) bytes_since_snapshot_ += entry.bytes();
  auto at = pending_.begin();
  while (at != pending_.end() && at->first <= last) {
    const Index index = at->first;
    const bool here = index >= entries.front().index;
    const bool ours = here && entries[index - entries.front().index].term == at->second.term;
    const auto outcome = ours   ? Proposed::Outcome::kApplied
                         : here ? Proposed::Outcome::kLost
                                : Proposed::Outcome::kUnknown;
    auto done = std::move(at->second.done);
    at = pending_.erase(at);
    settle(done, Proposed{outcome, index, raft_.leader()});
  }
  const auto snapshot = application_.newest_snapshot();
  const Index newest = std::max(raft_.log().base(), snapshot ? snapshot->index : 0);
  if (last - std::min(last, newest) >= options_.snapshot_entries || bytes_since_snapshot_ >= options_.snapshot_bytes)
    make_snapshot();
}

void Member::apply_delayed() {
  if (!delayed_.empty()) apply(std::exchange(delayed_, {}));
}

void Member::answer_reads() {
  while (!readable_.empty() && readable_.begin()->first <= raft_.applied()) {
    auto done = std::move(readable_.begin()->second);
    readable_.erase(readable_.begin());
    done(Status());
  }
}

// ---- snapshots

void Member::make_snapshot() {
  const Index index = raft_.applied(), base = raft_.log().base();
  if (snapshot_under_way_ || installing_ || index < base) return;
  // Of the base itself, too, where there is none: a log that was begun anew behind the state (journal_storage.h) may have
  // to bring that state to a majority before it can commit anything more.
  const auto newest = application_.newest_snapshot();
  if (index == base && (base == 0 || (newest && newest->index >= base))) return;
  if (now_ < snapshot_not_before_) return;
  snapshot_under_way_ = true;
  bytes_since_snapshot_ = 0;
  const SnapshotMeta meta{index, *raft_.log().term(index), raft_.membership_at(index)};
  application_.make_snapshot(meta, [self = self_, index](const Status& status) {
    Member* const member = *self;
    if (member == nullptr || !member->failed_.ok()) return;
    member->snapshot_under_way_ = false;
    if (!status.ok()) {
      member->snapshot_not_before_ = member->now_ + member->options_.core.election_ticks;
      return;
    }
    ++member->counters_.snapshots_made;
    member->compact(index);
    member->offer_snapshots();
  });
}

void Member::compact(Index snapshot) {
  const Log& log = raft_.log();
  if (snapshot <= log.base()) return;  // a snapshot of somebody else has come in between
  // What stays behind the snapshot, for members that lag.
  Index through = snapshot;
  uint64_t kept = 0;
  while (through > log.base() && snapshot - through < options_.keep_entries) {
    kept += log.at(through).bytes();
    if (kept > options_.keep_bytes) break;
    --through;
  }
  if (through <= log.base()) return;
  const LogBase base{through, *log.term(through), raft_.membership_at(through)};
  raft_.compact(through);
  StorageWork work;
  work.compact = base;
  work.done = [self = self_](const Status& status) {
    if (*self != nullptr && !status.ok()) (*self)->fail(status);
  };
  storage_.submit(std::move(work));
}

// To whoever needs entries that are gone: always the newest, since an older one will not be kept for long. The core
// repeats the offer until it is taken up; a peer that fetches one already goes on with that.
void Member::offer_snapshots() {
  const auto newest = application_.newest_snapshot();
  for (const auto& [id, peer] : raft_.peers()) {
    if (peer.state != Progress::State::kSnapshot) continue;
    if (!newest || newest->index < raft_.log().base()) return make_snapshot();
    if (peer.offer != newest) raft_.offer_snapshot(id, *newest);
  }
}

void Member::install(const SnapshotMeta& meta, NodeId from) {
  installing_ = true;
  application_.install_snapshot(from, meta, [self = self_, meta](const Status& status) {
    Member* member = *self;
    if (member == nullptr || !member->failed_.ok()) return;
    if (!status.ok()) {
      member->installing_ = false;
      member->raft_.snapshot_failed(meta);
      return;
    }
    // The state is in place. Now the log has to begin where it ends.
    StorageWork work;
    work.reset = LogBase{meta.index, meta.term, meta.membership};
    work.done = [self, meta](const Status& written) {
      Member* const then = *self;
      if (then == nullptr) return;
      if (!written.ok()) return then->fail(written);
      then->installing_ = false;
      then->bytes_since_snapshot_ = 0;
      ++then->counters_.snapshots_installed;
      then->raft_.snapshot_installed(meta);
      then->settle_lost(meta.index + 1);
      // Of those that the snapshot covers nobody can say.
      for (auto at = then->pending_.begin(); at != then->pending_.end() && at->first <= meta.index;) {
        then->refused_.emplace_back(std::move(at->second.done),
                                    Proposed{Proposed::Outcome::kUnknown, at->first, then->raft_.leader()});
        at = then->pending_.erase(at);
      }
    };
    member->storage_.submit(std::move(work));
  });
}

}  // namespace runink::raft
