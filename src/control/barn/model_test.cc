// Random commands against a naive model, against the same machine in other batches, and against a machine that is
// closed and opened again all the time.
#include <deque>
#include <random>

#include "control/barn/harness_test.h"

namespace runink::barn {
namespace {

using test::contents;
using test::Harness;

// ---- the naive model: what the commands mean, written as plainly as can be

struct Model {
  struct Lease {
    Index renewed = 0;
  };
  std::map<std::string, KeyValue> rows;
  std::map<LeaseId, Lease> leases;
  std::map<SessionId, std::map<uint64_t, Answer>> sessions;
  std::vector<std::string> events;  // of the last entry: "put k" or "delete k"
  Limits limits;
  uint64_t incarnation = 1;

  OpAnswer erase(const std::string& key, bool want_previous) {
    OpAnswer out;
    const auto at = rows.find(key);
    if (at == rows.end()) return out;
    if (want_previous) out.items.push_back(at->second);
    rows.erase(at);
    events.push_back("delete " + key);
    out.deleted = 1;
    return out;
  }
  std::optional<OpAnswer> put(const Put& put, Index index, Answer& answer) {
    KeyValue old;
    const auto at = rows.find(std::string(put.key));
    if (at != rows.end()) old = at->second;
    const LeaseId lease = put.keep_lease ? old.lease : put.lease;
    if (!lease.none() && !leases.contains(lease)) {
      answer.refusal = Refusal::kLeaseUnknown;
      return std::nullopt;
    }
    OpAnswer out;
    if (at != rows.end() && put.want_previous) out.items.push_back(old);
    KeyValue& row = rows[std::string(put.key)];
    row = {std::string(put.key),
           std::string(put.value),
           at != rows.end() ? old.create_index : index,
           index,
           old.version + 1,
           lease,
           put.chunk};
    events.push_back("put " + row.key);
    return out;
  }
  void end_lease(LeaseId lease) {
    std::vector<std::string> keys;
    for (const auto& [key, row] : rows) {
      if (row.lease == lease) keys.push_back(key);
    }
    for (const std::string& key : keys) erase(key, false);
    leases.erase(lease);
  }
  bool holds(const Compare& c) const {
    const auto at = rows.find(std::string(c.key));
    const KeyValue row = at == rows.end() ? KeyValue() : at->second;
    const auto is = [&](auto a, auto b) {
      switch (c.is) {
        case CompareIs::kEqual:
          return a == b;
        case CompareIs::kNotEqual:
          return a != b;
        case CompareIs::kLess:
          return a < b;
        default:
          return a > b;
      }
    };
    switch (c.target) {
      case CompareTarget::kExists:
        return is(at == rows.end() ? uint64_t{0} : uint64_t{1}, c.number);
      case CompareTarget::kCreateIndex:
        return is(row.create_index, c.number);
      case CompareTarget::kModifyIndex:
        return is(row.modify_index, c.number);
      case CompareTarget::kVersion:
        return is(row.version, c.number);
      case CompareTarget::kValue:
        return at != rows.end() && is(row.value, std::string(c.value));
      default:
        return is(row.lease, c.lease);
    }
  }
  Answer txn(const Txn& txn, Index index) {
    Answer answer;
    answer.index = index;
    for (const Compare& compare : txn.compares) answer.succeeded = answer.succeeded && holds(compare);
    const Model before = *this;
    std::set<std::string> written;
    const auto once = [&](std::string_view key) {
      if (written.emplace(key).second) return true;
      answer.refusal = Refusal::kDuplicateKey;
      return false;
    };
    for (const TxnOp& op : answer.succeeded ? txn.then_ops : txn.else_ops) {
      OpAnswer out;
      if (const auto* get = std::get_if<TxnGet>(&op)) {
        if (rows.contains(std::string(get->key))) out.items.push_back(rows.at(std::string(get->key)));
      } else if (const auto* range = std::get_if<TxnRange>(&op)) {
        for (const auto& [key, row] : rows) {
          if (key < range->from || (!range->to.empty() && key >= range->to)) continue;
          if (range->limit != 0 && out.items.size() == range->limit) {
            out.more = true;
            break;
          }
          out.items.push_back(row);
          if (range->keys_only) out.items.back().value.clear();
        }
      } else if (const auto* p = std::get_if<Put>(&op)) {
        const auto done = leases.contains(p->lease) || p->lease.none()
                              ? (once(p->key) ? put(*p, index, answer) : std::nullopt)
                              : put(*p, index, answer);
        if (done) out = *done;
      } else if (const auto* d = std::get_if<Delete>(&op)) {
        if (once(d->key)) out = erase(std::string(d->key), d->want_previous);
      } else {
        out = delete_range(std::get<DeleteRange>(op), once);
      }
      answer.ops.push_back(out);
      if (!answer.ok()) break;
    }
    if (!answer.ok()) {
      *this = before;
      answer.ops.clear();
    }
    return answer;
  }
  template <typename Once>
  OpAnswer delete_range(const DeleteRange& d, Once&& once) {
    OpAnswer out;
    std::vector<std::string> keys;
    for (const auto& [key, row] : rows) {
      if (key < d.from || (!d.to.empty() && key >= d.to)) continue;
      if (d.limit != 0 && keys.size() == d.limit) {
        out.more = true;
        break;
      }
      keys.push_back(key);
    }
    for (const std::string& key : keys) {
      if (!once(key)) return out;
      erase(key, false);
    }
    out.deleted = keys.size();
    return out;
  }

  Answer execute(const Body& body, Index index) {
    Answer answer;
    answer.index = index;
    if (const auto* p = std::get_if<Put>(&body)) {
      if (const auto out = put(*p, index, answer)) answer.ops.push_back(*out);
    } else if (const auto* d = std::get_if<Delete>(&body)) {
      answer.ops.push_back(erase(std::string(d->key), d->want_previous));
    } else if (const auto* r = std::get_if<DeleteRange>(&body)) {
      answer.ops.push_back(delete_range(*r, [](std::string_view) { return true; }));
    } else if (const auto* t = std::get_if<Txn>(&body)) {
      return txn(*t, index);
    } else if (std::holds_alternative<LeaseGrant>(body)) {
      answer.token = {incarnation, index};
      leases[answer.token] = {index};
    } else if (const auto* k = std::get_if<LeaseKeepAlive>(&body)) {
      if (leases.contains(k->lease)) {
        leases[k->lease].renewed = index;
      } else {
        answer.refusal = Refusal::kLeaseUnknown;
      }
    } else if (const auto* v = std::get_if<LeaseRevoke>(&body)) {
      if (!leases.contains(v->lease)) {
        answer.refusal = Refusal::kLeaseUnknown;
      } else {
        const size_t rows_before = rows.size();
        end_lease(v->lease);
        answer.ops.emplace_back().deleted = rows_before - rows.size();
      }
    } else if (const auto* e = std::get_if<LeaseExpire>(&body)) {
      const size_t rows_before = rows.size();
      for (const Lapse& lapse : e->leases) {
        if (leases.contains(lapse.what) && leases[lapse.what].renewed == lapse.seen) end_lease(lapse.what);
      }
      answer.ops.emplace_back().deleted = rows_before - rows.size();
    } else if (std::holds_alternative<SessionRegister>(body)) {
      answer.token = {incarnation, index};
      sessions[answer.token];
    }
    return answer;
  }
  Answer apply(const Command& command, Index index) {
    events.clear();
    if (!command.mark) return execute(command.body, index);
    const auto& answers = sessions.at(command.mark->session);
    const auto first = answers.find(command.mark->sequence);
    if (first != answers.end()) return first->second;
    const Answer answer = execute(command.body, index);  // may put everything back in its place, sessions too
    return sessions.at(command.mark->session)[command.mark->sequence] = answer;
  }
};

// ---- random commands. Strings live in the generator, which must outlive the commands.

struct Generator {
  std::mt19937_64 random;
  std::deque<std::string> texts;
  std::vector<LeaseId> leases;
  std::vector<SessionId> sessions;
  std::map<SessionId, uint64_t> sequences;

  uint64_t pick(uint64_t n) { return random() % n; }
  std::string_view text(std::string s) { return texts.emplace_back(std::move(s)); }
  std::string_view key() {
    std::string out(1, static_cast<char>('a' + pick(3)));
    if (pick(20) == 0) out += std::string("\0\xff", 2);
    return text(out + std::to_string(pick(12)));
  }
  LeaseId lease() {
    if (leases.empty() || pick(15) == 0) return {1, 1 + pick(5)};
    return leases[pick(leases.size())];
  }
  Put put() {
    Put out{key(), text(std::string(pick(40), static_cast<char>('a' + pick(26)))), {}, false, false, pick(4) == 0};
    if (pick(4) == 0) out.lease = lease();
    if (out.lease.none()) out.keep_lease = pick(4) == 0;
    if (pick(10) == 0) {
      out.chunk = true;
      out.value = text(std::string(kChunkReferenceBytes, '#'));
    }
    return out;
  }
  std::pair<std::string_view, std::string_view> range() {
    std::string_view a = key(), b = key();
    if (b < a) std::swap(a, b);
    if (a == b || pick(10) == 0) return {a, ""};
    return {a, b};
  }
  TxnOp op() {
    const auto [from, to] = range();
    switch (pick(8)) {
      case 0:
        return TxnGet{key()};
      case 1:
        return TxnRange{from, to, pick(5), pick(2) == 0};
      case 2:
        return Delete{key(), pick(2) == 0};
      case 3:
        return DeleteRange{from, to, 1 + pick(3)};
      default:
        return put();
    }
  }
  Txn txn(Index index) {
    Txn out;
    for (uint64_t n = pick(3); n > 0; --n) {
      Compare c;
      c.target = static_cast<CompareTarget>(1 + pick(6));
      const bool equality = c.target == CompareTarget::kExists || c.target == CompareTarget::kLease;
      c.is = static_cast<CompareIs>(1 + pick(equality ? 2 : 4));
      c.key = key();
      c.number = c.target == CompareTarget::kExists    ? pick(2)
                 : c.target == CompareTarget::kVersion ? pick(4)
                                                       : pick(index + 1);
      if (c.target == CompareTarget::kValue) c.value = text(std::string(pick(40), 'm'));
      if (c.target == CompareTarget::kLease) c.lease = pick(2) == 0 ? LeaseId() : lease();
      out.compares.push_back(c);
    }
    for (uint64_t n = pick(5); n > 0; --n) out.then_ops.push_back(op());
    for (uint64_t n = pick(3); n > 0; --n) out.else_ops.push_back(op());
    return out;
  }
  Command command(Index index, const Model& model) {
    Command out;
    out.unix_micros = static_cast<int64_t>(1'000'000 + pick(1000) * index);
    const auto [from, to] = range();
    switch (pick(24)) {
      case 0:
        out.body = Delete{key(), pick(2) == 0};
        break;
      case 1:
        out.body = DeleteRange{from, to, pick(4)};
        break;
      case 2:
        out.body = LeaseGrant{10'000'000};
        break;
      case 3:
        out.body = LeaseKeepAlive{lease()};
        break;
      case 4:
        out.body = pick(3) == 0 ? Body(LeaseRevoke{lease()}) : Body(Delete{key(), false});
        break;
      case 5: {
        LeaseExpire expire;
        for (uint64_t n = pick(3); n > 0; --n) {
          const LeaseId id = lease();
          const bool known = model.leases.contains(id) && pick(3) != 0;
          expire.leases.push_back({id, known ? model.leases.at(id).renewed : pick(index)});
        }
        out.body = expire;
        break;
      }
      case 6:
        out.body = sessions.size() < 5 ? Body(SessionRegister{}) : Body(put());
        break;
      case 7:
        out.body = Compact{index > 40 ? index - pick(40) : 0};
        break;
      case 8:
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
        out.body = txn(index);
        break;
      default:
        out.body = put();
    }
    if (!sessions.empty() && pick(3) == 0) {
      SessionMark mark;
      mark.session = sessions[pick(sessions.size())];
      uint64_t& last = sequences[mark.session];
      mark.sequence = last > 0 && pick(4) == 0 ? 1 + pick(last) : ++last;  // now and then a retry
      out.mark = mark;
    }
    return out;
  }
};

struct History {
  Generator generator;
  std::vector<raft::Entry> entries;
  std::vector<Answer> answers;  // of the model
  std::vector<std::vector<std::string>> events;
  Model model;
};

History history(uint64_t seed, size_t size) {
  History h;
  h.generator.random.seed(seed);
  for (Index index = 1; index <= size; ++index) {
    if (index % 97 == 0) {
      h.entries.push_back({index, 1 + index / 97, raft::EntryKind::kNoop, nullptr});
      Answer none;
      none.index = index;
      h.answers.push_back(none);
      h.events.emplace_back();
      continue;
    }
    const Command command = h.generator.command(index, h.model);
    h.entries.push_back(test::entry_of(index, command, 1 + index / 97));
    h.answers.push_back(h.model.apply(command, index));
    h.events.push_back(h.model.events);
    const Answer& answer = h.answers.back();
    if (!answer.token.none() && answer.index == index) {
      (std::holds_alternative<LeaseGrant>(command.body) ? h.generator.leases : h.generator.sessions)
          .push_back(answer.token);
    }
  }
  return h;
}

TEST(Model, RandomCommandsMeanWhatTheModelSays) {
  uint64_t refused = 0, repeated = 0, failed = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const History history_ = history(seed, 1500);
    Harness h;
    for (size_t i = 0; i < history_.entries.size(); ++i) {
      const Result<Applied> applied = h.apply({history_.entries[i]});
      ASSERT_TRUE(applied.ok()) << applied.status().to_string();
      ASSERT_EQ(applied->entries[0].answer, history_.answers[i]) << "entry " << i + 1;
      std::vector<std::string> events;
      for (const auto& record : applied->events->records) {
        ASSERT_TRUE(for_each_event(applied->events->record(record), [&](const Event& event) {
                      events.push_back((event.kind == EventKind::kPut ? "put " : "delete ") + std::string(event.key));
                    }).ok());
      }
      ASSERT_EQ(events, history_.events[i]) << "entry " << i + 1;
      refused += !history_.answers[i].ok();
      failed += !history_.answers[i].succeeded;
      repeated += applied->entries[0].repeated;
    }
    RangeOptions all;
    all.limit = 0;
    const RangeAnswer range = *h.machine->range(whole_range(), all);
    ASSERT_EQ(range.items.size(), history_.model.rows.size());
    for (const KeyValue& item : range.items) EXPECT_EQ(item, history_.model.rows.at(item.key));
    EXPECT_EQ(h.machine->leases().size(), history_.model.leases.size());
  }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(failed, 100u);
  EXPECT_GT(repeated, 100u);
}

TEST(Model, HowEntriesAreCutIntoBatchesChangesNothing) {
  for (uint64_t seed = 11; seed <= 14; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const History history_ = history(seed, 1200);
    std::mt19937_64 random(seed);
    Harness one({.digest_every = 1}), cut({.batch_bytes = 3000, .digest_every = 1, .cache_bytes = 2000}),
        restarted({.digest_every = 1, .cache_bytes = 0});
    for (const raft::Entry& entry : history_.entries) ASSERT_TRUE(one.apply({entry}).ok());
    const auto& entries = history_.entries;
    const auto in_pieces = [&](Harness& h, bool reopen) {
      for (size_t at = 0; at < entries.size();) {
        const size_t n = std::min<size_t>(1 + random() % 200, entries.size() - at);
        const Result<Applied> applied = h.machine->apply(std::span(entries).subspan(at, n));
        ASSERT_TRUE(applied.ok()) << applied.status().to_string();
        for (size_t i = 0; i < n; ++i) ASSERT_EQ(applied->entries[i].answer, history_.answers[at + i]);
        at += n;
        ASSERT_EQ(applied->position, h.machine->position());
        const auto digest = one.machine->trail().at(at);
        ASSERT_TRUE(!digest || *digest == h.machine->position().digest) << at;
        if (reopen) h.reopen({.digest_every = 1});
      }
    };
    in_pieces(cut, false);
    in_pieces(restarted, true);
    EXPECT_EQ(cut.machine->position(), one.machine->position());
    EXPECT_EQ(restarted.machine->position(), one.machine->position());
    EXPECT_TRUE(contents(cut.store) == contents(one.store));  // thousands of rows: not to be printed
    EXPECT_TRUE(contents(restarted.store) == contents(one.store));
    EXPECT_EQ(cut.machine->state_bytes(), one.machine->state_bytes());
  }
}

// A difference in what is applied shows in the digest at once, whatever kind of effect it has.
TEST(Model, EveryDifferenceShowsInTheDigest) {
  const auto digest = [](std::vector<Body> bodies, Term term = 1, int64_t time = 5) {
    Harness h;
    const Index first = 3;
    h.run(LeaseGrant{10'000'000});
    h.run(SessionRegister{});
    for (size_t i = 0; i < bodies.size(); ++i) {
      EXPECT_TRUE(h.apply({test::entry_of(first + i, {time + 2'000'000, {}, bodies[i]}, term)}).ok());
    }
    return to_string(h.machine->position().digest);
  };
  const Put put{"k", "v", {}, false, false, false};
  std::set<std::string> seen;
  seen.insert(digest({put}));
  EXPECT_TRUE(seen.contains(digest({put})));
  EXPECT_TRUE(seen.insert(digest({Put{"k", "w", {}, false, false, false}})).second);
  EXPECT_TRUE(seen.insert(digest({Put{"l", "v", {}, false, false, false}})).second);
  EXPECT_TRUE(seen.insert(digest({Put{"k", "v", {1, 1}, false, false, false}})).second);
  EXPECT_TRUE(seen.insert(digest({put}, 2)).second);
  EXPECT_TRUE(seen.insert(digest({put}, 1, 6)).second);
  EXPECT_TRUE(seen.insert(digest({Delete{"k", false}})).second);
  EXPECT_TRUE(seen.insert(digest({put, Delete{"k", false}})).second);
  EXPECT_TRUE(seen.insert(digest({put, put})).second);
  EXPECT_TRUE(seen.insert(digest({LeaseGrant{10'000'000}})).second);
  EXPECT_TRUE(seen.insert(digest({LeaseGrant{10'000'001}})).second);
  EXPECT_TRUE(seen.insert(digest({LeaseKeepAlive{{1, 1}}})).second);
  EXPECT_TRUE(seen.insert(digest({LeaseRevoke{{1, 1}}})).second);
  EXPECT_TRUE(seen.insert(digest({SessionRegister{}})).second);
  EXPECT_TRUE(seen.insert(digest({SessionClose{{1, 2}}})).second);
  EXPECT_TRUE(seen.insert(digest({Compact{1}})).second);
  EXPECT_TRUE(seen.insert(digest({AlarmChange{AlarmKind::kNoSpace, 1, true}})).second);
  EXPECT_TRUE(seen.insert(digest({AlarmChange{AlarmKind::kReadOnly, 1, true}})).second);
}

}  // namespace
}  // namespace runink::barn
