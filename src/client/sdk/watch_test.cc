// Watches and leases against three real members.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "client/sdk/cluster_test.h"

namespace runink::sdk {
namespace {

using testing::HasSubstr;

// What a watch has told.
struct Seen {
  std::mutex mutex;
  std::vector<std::pair<uint64_t, std::string>> events;  // index, key
  uint64_t begun = 0, incarnation = 0;
  Status ended;
  bool is_ended = false;

  WatchHandlers handlers() {
    return {[this](uint64_t index, uint64_t in) {
              const std::lock_guard lock(mutex);
              begun = index;
              incarnation = in;
            },
            [this](const v1::WatchResponse& response) {
              const std::lock_guard lock(mutex);
              for (const auto& change : response.changes()) {
                for (const auto& event : change.events()) events.emplace_back(change.index(), event.item().key());
              }
            },
            [this](const Status& why) {
              const std::lock_guard lock(mutex);
              ended = why;
              is_ended = true;
            }};
  }
  size_t count() {
    const std::lock_guard lock(mutex);
    return events.size();
  }
  bool begins() {
    return until([this] {
      const std::lock_guard lock(mutex);
      return begun != 0;
    });
  }
  std::string end_kind() {
    until([this] {
      const std::lock_guard lock(mutex);
      return is_ended;
    });
    const std::lock_guard lock(mutex);
    return ended.kind();
  }
};

class WatchTest : public testing::Test {
 protected:
  void connect(int64_t silence_nanos = kSecond) {
    ClientOptions options = cluster_.client();
    options.silence_nanos = silence_nanos;
    options.timeout_nanos = 25 * kSecond;
    client_ = std::move(*BarnClient::create(options));
  }
  v1::WatchRequest prefix(const std::string& prefix, uint64_t from_index = 0) {
    v1::WatchRequest request;
    request.set_from(prefix);
    request.set_to(barn::prefix_range(prefix).to);
    request.set_from_index(from_index);
    return request;
  }
  uint64_t put(const std::string& key) {
    const auto written = client_->put(put_request(key, "x"));
    EXPECT_TRUE(written.ok()) << written.status().to_string();
    return written.ok() ? written->index() : 0;
  }
  TestCluster cluster_;
  std::unique_ptr<BarnClient> client_;
};

TEST_F(WatchTest, GoesOnOverOtherMembersWithoutGapsOrDoubles) {
  connect();
  Seen seen, later;
  const auto watch = client_->watch(prefix("w/"), seen.handlers());
  ASSERT_TRUE(seen.begins());
  std::vector<std::pair<uint64_t, std::string>> made;
  const auto make = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = "w/" + std::to_string(made.size());
      made.emplace_back(put(key), key);
      put("other");
    }
  };
  make(20);
  // Whichever serves it: each is away once.
  for (raft::NodeId id = 1; id <= cluster_.size(); ++id) {
    cluster_.stop(id);
    make(20);
    cluster_.start(id);
    make(5);
  }
  cluster_.transfer();
  make(20);
  ASSERT_TRUE(until([&] { return seen.count() >= made.size(); }));
  EXPECT_EQ(seen.events, made);
  EXPECT_FALSE(seen.is_ended) << seen.ended.to_string();
  // From an index on: the same, from any member.
  const auto again = client_->watch(prefix("w/", made[10].first), later.handlers());
  ASSERT_TRUE(until([&] { return later.count() >= made.size() - 10; }));
  EXPECT_EQ(later.events, decltype(made)(made.begin() + 10, made.end()));
}

TEST_F(WatchTest, WhatWasAcknowledgedBeforeItBeganIsNotToldAndWhatComesAfterIs) {
  connect();
  for (int round = 0; round < 5; ++round) {
    put("n/before");
    Seen seen;
    const auto watch = client_->watch(prefix("n/"), seen.handlers());
    ASSERT_TRUE(seen.begins());
    const uint64_t index = put("n/after");
    ASSERT_TRUE(until([&] { return seen.count() >= 1; }));
    EXPECT_EQ(seen.events[0], (std::pair<uint64_t, std::string>(index, "n/after")));
  }
}

TEST_F(WatchTest, ThePastThatWasForgottenAndTheFutureThatNeverWasAreErrors) {
  connect();
  const uint64_t first = put("a");
  const uint64_t last = put("b");
  barn::Command compact;
  compact.body = barn::Compact{last};
  ASSERT_TRUE(cluster_.execute(compact).ok());
  Seen past, future, incarnation;
  // A member that has not applied the compaction yet may serve it still.
  std::unique_ptr<Watch> early;
  ASSERT_TRUE(until([&] {
    Seen one;
    early = client_->watch(prefix("", first), one.handlers());
    until([&] { return one.count() > 0 || one.is_ended; });
    early.reset();
    return one.is_ended && one.ended.kind() == "barn.watch.compacted";
  }));
  const auto second = client_->watch(prefix("", last + 1'000'000), future.handlers());
  EXPECT_EQ(future.end_kind(), "barn.watch.lost_future");
  v1::WatchRequest request = prefix("", last + 1);
  request.set_incarnation(UINT64_MAX);
  const auto third = client_->watch(request, incarnation.handlers());
  EXPECT_EQ(incarnation.end_kind(), "barn.watch.lost_future");
}

TEST_F(WatchTest, AMemberThatIsSilentIsLeft) {
  connect(200 * kMillisecond);
  Seen seen;
  const auto watch = client_->watch(prefix("w/"), seen.handlers());
  ASSERT_TRUE(seen.begins());
  // Each stands still once; while the leader does, the others elect one.
  for (raft::NodeId id = 1; id <= cluster_.size(); ++id) {
    std::promise<void> go_on;
    cluster_.loop(id).post([&] { go_on.get_future().wait(); });
    const size_t before = seen.count();
    put("w/" + std::to_string(id));
    EXPECT_TRUE(until([&] { return seen.count() == before + 1; }));
    go_on.set_value();
  }
}

TEST_F(WatchTest, ItMayBeDestroyedInItsOwnCallback) {
  connect();
  std::unique_ptr<Watch> watch;
  std::atomic<int> told{0};
  std::promise<void> destroyed;
  watch = client_->watch(prefix("w/"), {{},
                                        [&](const v1::WatchResponse&) {
                                          if (++told > 1) return;
                                          watch.reset();
                                          destroyed.set_value();
                                        },
                                        [&](const Status&) { told = 100; }});
  ASSERT_TRUE(until([&] {
    put("w/1");
    return told > 0;
  }));
  destroyed.get_future().wait();
  put("w/2");
  put("w/3");
  EXPECT_EQ(told, 1);
}

TEST_F(WatchTest, ALeaseIsKeptOverALeaderChangeAndLostWhenItIsRevoked) {
  connect();
  constexpr int64_t kTtl = 2'000'000;
  std::promise<Status> lost;
  auto lease = client_->hold_lease(kTtl, [&](const Status& why) { lost.set_value(why); });
  ASSERT_TRUE(lease.ok()) << lease.status().to_string();
  v1::PutRequest request = put_request("leased", "1");
  *request.mutable_lease() = (*lease)->token();
  ASSERT_TRUE(client_->put(request).ok());
  const int64_t granted_until = (*lease)->held_until_nanos();
  cluster_.transfer();
  ASSERT_TRUE(until([&] { return (*lease)->held_until_nanos() > granted_until + kTtl * 1000; }));
  EXPECT_TRUE((*lease)->held());
  EXPECT_TRUE(client_->get(get_request("leased"))->has_item());
  // Another one is granted later, and has a greater token.
  auto second = client_->hold_lease(kTtl, [](const Status&) {});
  ASSERT_TRUE(second.ok());
  EXPECT_GT((*second)->token().index(), (*lease)->token().index());
  EXPECT_EQ((*second)->token().incarnation(), (*lease)->token().incarnation());

  v1::RevokeLeaseRequest revoke;
  *revoke.mutable_lease() = (*lease)->token();
  ASSERT_TRUE(client_->revoke_lease(revoke).ok());
  EXPECT_EQ(lost.get_future().get().code(), Code::kNotFound);
  EXPECT_FALSE((*lease)->held());
  EXPECT_FALSE(client_->get(get_request("leased"))->has_item());
}

TEST_F(WatchTest, ALeaseThatCannotBeRenewedIsGivenUpBeforeTheBarnEndsIt) {
  connect();
  constexpr int64_t kTtl = 1'500'000;
  std::promise<std::pair<Status, int64_t>> lost;
  const int64_t asked = system_clock().steady_nanos();
  auto lease = client_->hold_lease(kTtl, [&](const Status& why) {
    lost.set_value({why, system_clock().steady_nanos()});
  });
  ASSERT_TRUE(lease.ok()) << lease.status().to_string();
  for (raft::NodeId id = 1; id <= cluster_.size(); ++id) cluster_.stop_api(id);
  const auto [why, when] = lost.get_future().get();
  EXPECT_EQ(why.kind(), "barn.lease_late") << why.to_string();
  EXPECT_FALSE((*lease)->held());
  EXPECT_GE(when - asked, kTtl * 1000 * 9 / 10);
}

TEST_F(WatchTest, HandlesMayOutliveTheClient) {
  connect();
  std::atomic<int> lost{0};
  Seen seen;
  auto lease =
      client_->hold_lease(60'000'000, [&](const Status& why) { lost += why.code() == Code::kCancelled ? 1 : 100; });
  auto watch = client_->watch(prefix("w/"), seen.handlers());
  ASSERT_TRUE(seen.begins());
  client_.reset();
  EXPECT_EQ(lost, 1);
  EXPECT_FALSE((*lease)->held());
  EXPECT_FALSE(seen.is_ended);
  watch.reset();
}

}  // namespace
}  // namespace runink::sdk
