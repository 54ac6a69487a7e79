#include "data/engine/turnstile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace runink::engine {
namespace {

TEST(Turnstile, LetsThroughInOrder) {
  Turnstile turnstile;
  std::vector<uint64_t> passed;
  std::atomic<uint64_t> next{0};
  std::vector<std::thread> workers;
  for (int w = 0; w < 4; ++w) {
    workers.emplace_back([&] {
      for (uint64_t n; (n = next++) < 2'000;) {
        ASSERT_TRUE(turnstile.enter(n));
        passed.push_back(n);  // nobody else is inside
        turnstile.leave();
      }
    });
  }
  for (auto& w : workers) w.join();
  ASSERT_EQ(passed.size(), 2'000u);
  for (uint64_t n = 0; n < passed.size(); ++n) ASSERT_EQ(passed[n], n);
}

TEST(Turnstile, StoppingWakesWhoWaits) {
  Turnstile turnstile;
  std::thread waiting([&] { EXPECT_FALSE(turnstile.enter(5)); });
  turnstile.stop();
  waiting.join();
}

}  // namespace
}  // namespace runink::engine
