// Sets and counters: nothing acknowledged is lost, nothing that was never attempted is there. Weaker than
// linearizability, and enough for millions of operations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "testing/checkers/history.h"

namespace runink::testing {

struct SetAdd {
  int64_t element = 0;  // each is added once
  Time start = 0;
  Time end = kOpen;      // kOpen: nobody knows whether it was added
  bool refused = false;  // known not to have been added
};

struct SetRead {
  Time start = 0, end = kOpen;
  std::vector<int64_t> elements;
};

// One line for each fault, at most 16: elements that were acknowledged before a read and are missing in it, that were
// there and are not any more, that nobody added or that were refused, that are there twice, or that a read saw before
// they were added.
std::vector<std::string> check_set(const std::vector<SetAdd>& adds, const std::vector<SetRead>& reads);

struct CounterAdd {
  int64_t amount = 1;  // not 0
  Time start = 0;
  Time end = kOpen;
};

struct CounterRead {
  Time start = 0, end = kOpen;
  int64_t value = 0;
};

// Each value must lie between what all that was acknowledged before gives and what all that was attempted could give.
std::vector<std::string> check_counter(const std::vector<CounterAdd>& adds, const std::vector<CounterRead>& reads);

}  // namespace runink::testing
