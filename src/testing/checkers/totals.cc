#include "testing/checkers/totals.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

namespace runink::testing {
namespace {

constexpr size_t kMostFaults = 16;

class Faults {
 public:
  void add(std::string text) {
    if (lines_.size() < kMostFaults) lines_.push_back(std::move(text));
  }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> check_set(const std::vector<SetAdd>& adds, const std::vector<SetRead>& reads) {
  Faults faults;
  struct Known {
    const SetAdd* add;
    Time seen_by = kOpen;  // when the first read that saw it had ended
    size_t read = 0;       // the number, from 1, of the read that saw it last
  };
  std::unordered_map<int64_t, Known> known;
  for (const SetAdd& a : adds) {
    if (!known.emplace(a.element, Known{&a}).second)
      faults.add(fmt::format("element {} was added twice by the test itself", a.element));
  }
  std::vector<const SetRead*> ordered;
  for (const SetRead& r : reads) ordered.push_back(&r);
  std::stable_sort(ordered.begin(), ordered.end(), [](const SetRead* a, const SetRead* b) { return a->end < b->end; });
  for (size_t i = 0; i < ordered.size(); ++i) {
    const SetRead& r = *ordered[i];
    for (int64_t element : r.elements) {
      const auto found = known.find(element);
      if (found == known.end()) {
        faults.add(fmt::format("element {} was never added, the read [{}, {}] has it", element, r.start, r.end));
        continue;
      }
      Known& k = found->second;
      if (k.add->refused)
        faults.add(fmt::format("element {} was refused, the read [{}, {}] has it", element, r.start, r.end));
      if (k.add->start > r.end)
        faults.add(fmt::format("element {} was added from {} on, the read [{}, {}] has it", element, k.add->start,
                               r.start, r.end));
      if (k.read == i + 1) faults.add(fmt::format("element {} is twice in the read [{}, {}]", element, r.start, r.end));
      k.read = i + 1;
    }
    for (auto& [element, k] : known) {
      if (k.read != i + 1) {
        if (!k.add->refused && k.add->end < r.start) {
          faults.add(fmt::format("element {} was acknowledged at {}, the read [{}, {}] lacks it", element, k.add->end,
                                 r.start, r.end));
        } else if (k.seen_by < r.start) {
          faults.add(
              fmt::format("element {} was read by {}, the read [{}, {}] lacks it", element, k.seen_by, r.start, r.end));
        }
      } else {
        k.seen_by = std::min(k.seen_by, r.end);
      }
    }
  }
  return faults.take();
}

std::vector<std::string> check_counter(const std::vector<CounterAdd>& adds, const std::vector<CounterRead>& reads) {
  Faults faults;
  for (const CounterRead& r : reads) {
    int64_t least = 0, most = 0;
    for (const CounterAdd& a : adds) {
      if (a.start > r.end) continue;
      const bool certain = a.end < r.start;
      if (certain || a.amount < 0) least += a.amount;
      if (certain || a.amount > 0) most += a.amount;
    }
    if (r.value < least || r.value > most) {
      faults.add(fmt::format("the read [{}, {}] gave {}, between {} and {} would be right", r.start, r.end, r.value,
                             least, most));
    }
  }
  return faults.take();
}

}  // namespace runink::testing
