#include "testing/sim/simulation.h"

#include <gtest/gtest.h>

namespace runink::testing {
namespace {

TEST(Simulation, TheSameSeedIsTheSameHistory) {
  const SimulationReport a = simulate({.seed = 7}), b = simulate({.seed = 7});
  EXPECT_EQ(a.failure, "");
  EXPECT_EQ(a.events, b.events);
  EXPECT_EQ(a.simulated, b.simulated);
  EXPECT_EQ(a.faults, b.faults);
  EXPECT_EQ(a.clients.tries, b.clients.tries);
  EXPECT_EQ(a.configurations, b.configurations);
  EXPECT_NE(simulate({.seed = 8}).events, a.events);
}

}  // namespace
}  // namespace runink::testing
