#include "testing/checkers/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "base/check.h"
#include "base/text.h"
#include "testing/checkers/models.h"

namespace runink::testing {
namespace {

constexpr size_t kShownPrefix = 12;  // of the order that can be explained, its last operations

uint64_t mix(uint64_t x) {  // splitmix64's finisher
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

struct Hash128 {
  uint64_t a = 0, b = 0;
  bool operator==(const Hash128&) const = default;
};
struct TakeFirst {
  size_t operator()(const Hash128& h) const { return h.a; }
};

// The search over one key. Operations are numbered: completed ones first, by start, then open ones, by start.
template <typename Model>
class Search {
 public:
  Search(const std::vector<const Operation*>& operations, const SearchLimits& limits)
      : model_(operations), limits_(limits) {
    for (const Operation* o : operations) {
      if (!o->open()) operations_.push_back(o);
    }
    completed_ = operations_.size();
    for (const Operation* o : operations) {
      if (o->open() && !model_.negligible(*o)) operations_.push_back(o);
    }
    const auto by_start = [](const Operation* x, const Operation* y) { return x->start < y->start; };
    const auto border = operations_.begin() + static_cast<std::ptrdiff_t>(completed_);
    std::stable_sort(operations_.begin(), border, by_start);
    std::stable_sort(border, operations_.end(), by_start);
    placed_.resize(operations_.size());
  }

  Verdict::Outcome run() {
    frames_.push_back(open_frame());
    while (!frames_.empty()) {
      if (placed_completed_ == completed_) return Verdict::Outcome::kGood;
      if (seen_.size() > limits_.max_configurations) return Verdict::Outcome::kGaveUp;
      if (!advance()) retreat();
    }
    return Verdict::Outcome::kBad;
  }

  uint64_t configurations() const { return seen_.size(); }

  std::string explain() const {
    std::string out;
    const size_t from = best_.size() > kShownPrefix ? best_.size() - kShownPrefix : 0;
    out += fmt::format("of {} operations with a known answer, {} can be put in order", completed_, best_completed_);
    out += from > 0 ? fmt::format("; the last {} of them:\n", best_.size() - from) : ":\n";
    for (size_t i = from; i < best_.size(); ++i) out += "  " + describe(*operations_[best_[i]]) + "\n";
    out += "then " + model_.show(best_state_) + ", and none of these can come next:\n";
    for (uint32_t i : best_stuck_) out += "  " + describe(*operations_[i]) + "\n";
    return out;
  }

 private:
  using State = typename Model::State;
  struct Frame {
    std::vector<uint32_t> candidates;
    size_t next = 0;
    State state;
    uint32_t first;     // completed operations before this one are placed
    int64_t placed_by;  // the operation whose placing led here; -1 at the root
  };

  // What may come next: operations that begin before any that is not placed yet has ended.
  Frame open_frame(int64_t placed_by = -1) {
    Frame frame;
    frame.state = state_;
    frame.placed_by = placed_by;
    while (first_ < completed_ && placed_[first_]) ++first_;
    frame.first = first_;
    Time bound = kOpen;
    for (uint32_t i = first_; i < completed_ && operations_[i]->start <= bound; ++i) {
      if (placed_[i]) continue;
      bound = std::min(bound, operations_[i]->end);
      frame.candidates.push_back(i);
    }
    std::erase_if(frame.candidates, [&](uint32_t i) { return operations_[i]->start > bound; });
    // One that changes nothing wherever it stands, and may stand here, does no harm here.
    for (uint32_t i : frame.candidates) {
      if (Model::only_looks(*operations_[i]) && model_.step(state_, *operations_[i])) {
        frame.candidates.assign(1, i);
        return frame;
      }
    }
    std::sort(frame.candidates.begin(), frame.candidates.end(),
              [&](uint32_t x, uint32_t y) { return operations_[x]->end < operations_[y]->end; });
    for (uint32_t i = static_cast<uint32_t>(completed_); i < operations_.size() && operations_[i]->start <= bound;
         ++i) {
      if (!placed_[i]) frame.candidates.push_back(i);
    }
    return frame;
  }

  // Places one more operation; false if none of the last frame's fits.
  bool advance() {
    while (frames_.back().next < frames_.back().candidates.size()) {
      const uint32_t i = frames_.back().candidates[frames_.back().next++];
      const auto after = model_.step(state_, *operations_[i]);
      if (!after || (i >= completed_ && *after == state_)) continue;
      const Hash128 set = {set_.a ^ mix(2 * i + 1), set_.b ^ mix(~uint64_t{2 * i})};
      const uint64_t state_hash = model_.hash(*after);
      if (!seen_.insert({mix(set.a ^ state_hash), mix(set.b + 3 * state_hash)}).second) continue;
      set_ = set;
      state_ = *after;
      placed_[i] = true;
      placed_completed_ += i < completed_;
      frames_.push_back(open_frame(i));
      return true;
    }
    return false;
  }

  void retreat() {
    if (best_stuck_.empty() || placed_completed_ > best_completed_) remember();
    const int64_t placed_by = frames_.back().placed_by;
    frames_.pop_back();
    if (frames_.empty()) return;
    const auto i = static_cast<uint32_t>(placed_by);
    placed_[i] = false;
    placed_completed_ -= i < completed_;
    set_ = {set_.a ^ mix(2 * i + 1), set_.b ^ mix(~uint64_t{2 * i})};
    state_ = frames_.back().state;
    first_ = frames_.back().first;
  }

  void remember() {
    best_completed_ = placed_completed_;
    best_.clear();
    for (const Frame& frame : frames_) {
      if (frame.placed_by >= 0) best_.push_back(static_cast<uint32_t>(frame.placed_by));
    }
    best_state_ = state_;
    best_stuck_ = frames_.back().candidates;
    std::erase_if(best_stuck_, [&](uint32_t i) { return i >= completed_; });
  }

  Model model_;
  SearchLimits limits_;
  std::vector<const Operation*> operations_;
  size_t completed_ = 0;
  std::vector<bool> placed_;
  size_t placed_completed_ = 0;
  uint32_t first_ = 0;
  State state_{};
  Hash128 set_;
  std::unordered_set<Hash128, TakeFirst> seen_;
  std::vector<Frame> frames_;

  std::vector<uint32_t> best_, best_stuck_;
  size_t best_completed_ = 0;
  State best_state_{};
};

template <typename Model>
Verdict check(const History& history, const SearchLimits& limits) {
  std::map<std::string_view, std::vector<const Operation*>> keys;
  for (const Operation& o : history) {
    RUNINK_CHECK(Model::knows(o.kind) && o.start <= o.end);
    keys[o.key].push_back(&o);
  }
  Verdict verdict;
  for (const auto& [key, operations] : keys) {
    Search<Model> search(operations, limits);
    const Verdict::Outcome outcome = search.run();
    verdict.configurations += search.configurations();
    if (outcome == Verdict::Outcome::kGood) continue;
    if (outcome == Verdict::Outcome::kGaveUp && verdict.outcome == Verdict::Outcome::kGaveUp) continue;
    verdict.outcome = outcome;
    verdict.key = key;
    verdict.explanation =
        outcome == Verdict::Outcome::kBad
            ? fmt::format("key {} is not linearizable: {}", json_quote(key), search.explain())
            : fmt::format("key {}: gave up after {} configurations\n", json_quote(key), search.configurations());
    if (outcome == Verdict::Outcome::kBad) break;
  }
  return verdict;
}

}  // namespace

Verdict check_registers(const History& history, const SearchLimits& limits) {
  return check<RegisterModel>(history, limits);
}
Verdict check_locks(const History& history, const SearchLimits& limits) { return check<LockModel>(history, limits); }

}  // namespace runink::testing
