// What the journal's tests share: a model of what must be there, and work that is done on a journal and on the model
// alike.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "control/journal/journal.h"

namespace runink::journal {

inline raft::Entry entry(raft::Index index, raft::Term term, std::string data) {
  return {index, term, raft::EntryKind::kCommand, std::make_shared<const std::string>(std::move(data))};
}

inline bool same(const raft::Entry& a, const raft::Entry& b) {
  return a.index == b.index && a.term == b.term && a.kind == b.kind && (a.data != nullptr) == (b.data != nullptr) &&
         (!a.data || *a.data == *b.data);
}

inline Identity this_member() {
  Identity identity;
  for (uint8_t i = 0; i < 16; ++i) identity.cluster[i] = i;
  identity.node = 3;
  return identity;
}

// Small, so that segments change often; file ids from a counter, so that a seed gives the same bytes.
inline Options small_options(uint64_t first_file_id = 1) {
  Options options;
  options.segment_bytes = 8 * kBlock;
  options.batch_bytes = 4 * kBlock;
  options.file_id = [next = std::make_shared<uint64_t>(first_file_id)] {
    FileId id{};
    for (size_t i = 0; i < 8; ++i) id[i] = static_cast<uint8_t>(*next >> (8 * i));
    ++*next;
    return id;
  };
  return options;
}

// What is acknowledged.
struct Model {
  raft::HardState hard_state;
  std::map<raft::Index, raft::Entry> log;  // also those that a compaction may have taken
  raft::Index base = 0;                    // entries up to this one need not be there
  raft::Index last = 0;

  void append(std::span<const raft::Entry> entries) {
    if (entries.empty()) return;
    log.erase(log.lower_bound(entries.front().index), log.end());
    for (const auto& e : entries) log[e.index] = e;
    last = entries.back().index;
  }
  void reset(raft::Index first) {
    log.clear();
    base = last = first - 1;
  }
  raft::Term last_term() const { return log.empty() ? 0 : log.rbegin()->second.term; }

  // What is wrong with what was recovered; empty: nothing.
  std::string difference(const Recovered& found) const {
    if (!(found.hard_state == hard_state))
      return fmt::format("hard state of term {} and not {}", found.hard_state.term, hard_state.term);
    const raft::Index found_last = found.first_index + found.entries.size() - 1;
    if (found_last != last) return fmt::format("ends with {} and not {}", found_last, last);
    if (found.first_index > base + 1) return fmt::format("begins with {} and not {}", found.first_index, base + 1);
    for (size_t i = 0; i < found.entries.size(); ++i) {
      const raft::Entry& e = found.entries[i];
      if (e.index != found.first_index + i) return fmt::format("entry {} stands at {}", e.index, found.first_index + i);
      const auto mine = log.find(e.index);
      if (mine == log.end() ? e.index > base : !same(e, mine->second))
        return fmt::format("entry {} of term {} is another", e.index, e.term);
    }
    return "";
  }
};

// One thing that is asked of a journal.
struct Step {
  enum Kind { kAppend, kHardState, kCompact, kReset, kRest, kReserve, kWhole } kind = kRest;
  std::vector<raft::Entry> entries;
  raft::HardState hard_state;
  raft::Index index = 0;

  Status play(Journal& journal) const {
    switch (kind) {
      case kAppend:
        return journal.append(entries);
      case kHardState:
        return journal.save_hard_state(hard_state);
      case kCompact:
        return journal.compact(index);
      case kReset:
        return journal.reset(index);
      case kRest:
        return journal.rest();
      case kReserve:
        return journal.reserve();
      case kWhole:
        return journal.whole();
    }
    return {};
  }
  void play(Model& model) const {
    if (kind == kAppend) model.append(entries);
    if (kind == kHardState) model.hard_state = hard_state;
    if (kind == kCompact) model.base = std::max(model.base, index);
    if (kind == kReset) model.reset(index);
  }
  // What may be there if a crash or an error came in between.
  std::vector<Model> outcomes(const Model& before) const {
    std::vector<Model> out{before};
    for (size_t n = 1; kind == kAppend && n < entries.size(); ++n) {
      out.push_back(before);
      out.back().append(std::span(entries).first(n));
    }
    out.push_back(before);
    play(out.back());
    return out;
  }
};

// Random work that a Raft core might ask for: entries that follow or replace, compaction behind, now and then a
// snapshot.
class Work {
 public:
  explicit Work(uint64_t seed) : random_(seed) {}

  Step next(const Model& model) {
    Step step;
    const uint64_t dice = random_() % 100;
    if (dice < 60) {
      step.kind = Step::kAppend;
      const bool replaces = model.last > model.base && random_() % 6 == 0;
      const raft::Index from = replaces ? model.base + 1 + random_() % (model.last - model.base) : model.last + 1;
      if (replaces || random_() % 10 == 0) ++term_;
      for (uint64_t i = 0, n = 1 + random_() % 12; i < n; ++i) step.entries.push_back(any_entry(from + i));
    } else if (dice < 75) {
      step.kind = Step::kHardState;
      step.hard_state = {++term_, random_() % 5 + 1, model.last};
    } else if (dice < 85) {
      step.kind = Step::kCompact;
      step.index = model.base + (model.last > model.base ? random_() % (model.last - model.base + 1) : 0);
    } else if (dice < 87) {
      step.kind = Step::kReset;
      step.index = model.last + 1 + random_() % 10;
    } else {
      step.kind = dice < 95 ? Step::kRest : Step::kReserve;
    }
    return step;
  }

  uint64_t random() { return random_(); }

 private:
  raft::Entry any_entry(raft::Index index) {
    raft::Entry e;
    e.index = index;
    e.term = term_;
    const uint64_t dice = random_() % 20;
    if (dice == 0) {
      e.kind = raft::EntryKind::kNoop;
      return e;
    }
    e.kind = dice == 1 ? raft::EntryKind::kMembership : raft::EntryKind::kCommand;
    const size_t size = dice < 4 ? random_() % 9000 : random_() % 300;
    std::string data(size, '\0');
    for (char& c : data) c = static_cast<char>(random_());
    e.data = std::make_shared<const std::string>(std::move(data));
    return e;
  }

  std::mt19937_64 random_;
  raft::Term term_ = 1;
};

}  // namespace runink::journal
