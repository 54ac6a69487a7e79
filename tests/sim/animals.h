// The bugs of the zoo (base/zoo.h), each with the rule of the design of the Barn that it breaks and the levels of tests
// that have to notice it.
#pragma once

#include <vector>

#include "base/zoo.h"

#ifndef RUNINK_ZOO
#error "built without RUNINK_ZOO there are no animals"
#endif

namespace runink::zoo_tests {

enum class Level : unsigned {
  kExploration = 1,  // T1: small groups exhaustively (explore.h)
  kGroups = 2,       // T2: groups of cores under faults (cluster_in_test.h)
  kClusters = 4,     // T2: whole clusters under a seed (src/testing/sim)
  kTests = 8,        // T0, and T6 for what decodes: unit tests
};
constexpr unsigned operator|(Level a, Level b) { return static_cast<unsigned>(a) | static_cast<unsigned>(b); }
constexpr unsigned operator|(unsigned a, Level b) { return a | static_cast<unsigned>(b); }
constexpr bool has(unsigned levels, Level level) { return (levels & static_cast<unsigned>(level)) != 0; }

struct Animal {
  const char* rule;  // of the table in the design of the Barn; "Raft": of the protocol itself
  const char* what;  // was put back
  std::vector<Zoo> variants;
  unsigned levels;  // one of these has to notice it; the unit tests are asked besides
};

const std::vector<Animal>& animals();

// Rules whose bugs are not noticed by anything in this program.
struct Elsewhere {
  const char* rule;
  const char* what;
  const char* where;
};
const std::vector<Elsewhere>& elsewhere();

}  // namespace runink::zoo_tests
