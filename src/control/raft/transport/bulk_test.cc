#include <gtest/gtest.h>

#include "control/raft/transport/node_in_test.h"

namespace runink::raft {
namespace {

using net::turn_until;

// Keeps what it is asked until the test answers.
struct Source : BulkSource {
  struct Asked {
    NodeId asker;
    BulkRequest request;
    BulkAnswer answer;
  };
  void answer(NodeId asker, BulkRequest request, BulkAnswer answer) override {
    asked.push_back({asker, std::move(request), std::move(answer)});
    ++total;
    if (at_once) answer_all();
  }
  void answer_all() {
    auto now = std::move(asked);
    asked.clear();
    for (Asked& each : now)
      each.answer(std::string(each.request.size, static_cast<char>('a' + each.request.offset % 26)));
  }
  std::vector<Asked> asked;
  size_t total = 0;
  bool at_once = false;
};

struct Bulk : ::testing::Test {
  void start(TlsTransport::Options options) {
    a = std::make_unique<TestNode>(*loop, 1, net::context(ca, 1), options);
    b = std::make_unique<TestNode>(*loop, 2, net::context(ca, 2));
    introduce(*a, *b);
    b->transport->set_bulk_source(&source);
    RUNINK_CHECK(turn_until(*loop, [&] { return a->up(2) && b->up(1); }));
  }
  void start() { start(test_options(1)); }
  static BulkRequest chunk(uint64_t offset, uint32_t size = 1000) {
    return {BulkKind::kChunk, 10, 3, "f", offset, size, ""};
  }
  void ask(BulkRequest request) {
    a->transport->fetch(2, std::move(request),
                        [this](Result<std::string> answer) { answers.push_back(std::move(answer)); });
  }
  bool answered(size_t count) {
    return turn_until(*loop, [&] { return answers.size() == count; });
  }

  std::unique_ptr<net::EventLoop> loop = std::move(*net::EventLoop::create());
  crypto::CertificateAuthority ca = net::make_authority();
  Source source;
  std::unique_ptr<TestNode> a, b;
  std::vector<Result<std::string>> answers;
};
using BulkTest = Bulk;

TEST_F(BulkTest, PiecesComeFromEitherSide) {
  start();
  source.at_once = true;
  for (uint64_t i = 0; i < 40; ++i) ask(chunk(i, i % 2 == 0 ? kMaxChunkBytes : 17));
  ASSERT_TRUE(answered(40));
  for (uint64_t i = 0; i < 40; ++i) {
    ASSERT_TRUE(answers[i].ok()) << answers[i].status().to_string();
    EXPECT_EQ(*answers[i], std::string(i % 2 == 0 ? kMaxChunkBytes : 17, static_cast<char>('a' + i % 26)));
  }
  EXPECT_GT(a->status(2).counters.bulk_bytes_received, 20u << 20);
  // 2 asks 1, though it is 1 that dials for control.
  a->transport->set_bulk_source(&source);
  Result<std::string> other = internal_error("none");
  b->transport->fetch(1, chunk(3), [&](Result<std::string> answer) { other = std::move(answer); });
  ASSERT_TRUE(turn_until(*loop, [&] { return other.ok(); }));
}

TEST_F(BulkTest, RequestsArriveAsTheyWereSent) {
  start();
  BulkRequest put{BulkKind::kPut, 0, 0, "0123abcd", 0, 0, std::string(kMaxChunkBytes, 'p')};
  ask(put);
  ASSERT_TRUE(turn_until(*loop, [&] { return source.asked.size() == 1; }));
  EXPECT_EQ(source.asked[0].request, put);
  EXPECT_EQ(source.asked[0].asker, 1u);
  source.asked[0].answer(not_found("nothing of that name"));
  ASSERT_TRUE(answered(1));
  EXPECT_EQ(answers[0].status().code(), Code::kNotFound);
  EXPECT_EQ(answers[0].status().message(), "nothing of that name");
}

TEST_F(BulkTest, CreditsBoundWhatIsOnItsWayAndAnswersMayComeInAnyOrder) {
  start();
  for (uint64_t i = 0; i < 10; ++i) ask(chunk(i));
  ASSERT_TRUE(turn_until(*loop, [&] { return source.total >= 2; }));
  for (int i = 0; i < 20; ++i) loop->turn(1'000'000);
  EXPECT_EQ(source.total, 2u);
  std::swap(source.asked[0], source.asked[1]);
  source.asked[0].answer(std::string("second"));
  ASSERT_TRUE(answered(1));
  EXPECT_EQ(*answers[0], "second");
  source.asked.erase(source.asked.begin());
  ASSERT_TRUE(turn_until(*loop, [&] { return source.total == 3; }));
  source.at_once = true;
  source.answer_all();
  ASSERT_TRUE(answered(10));
}

// C18: with a bulk answer owed, and its connection idle or full, control goes on.
TEST_F(BulkTest, ControlDoesNotWaitBehindBulk) {
  start();
  ask(chunk(1, kMaxChunkBytes));
  ask(chunk(2, kMaxChunkBytes));
  ASSERT_TRUE(turn_until(*loop, [&] { return source.asked.size() == 2; }));
  a->transport->send(heartbeat(1, 2, 1));
  ASSERT_TRUE(turn_until(*loop, [&] { return b->received.size() == 1; }));
  source.answer_all();
  b->transport->send(heartbeat(2, 1, 1));
  ASSERT_TRUE(turn_until(*loop, [&] { return a->received.size() == 1; }));
  ASSERT_TRUE(answered(2));
  // Bytes of bulk do not go over the control connection: what it carried is small.
  EXPECT_LT(b->status(1).counters.bytes_sent - b->status(1).counters.bulk_bytes_sent, 1000u);
  EXPECT_EQ(b->status(1).counters.connects, 1u);
}

TEST_F(BulkTest, ALostConnectionAnswersAllThatWait) {
  start();
  for (uint64_t i = 0; i < 5; ++i) ask(chunk(i));
  ASSERT_TRUE(turn_until(*loop, [&] { return source.asked.size() == 2; }));
  b->transport->remove_peer(1);
  ASSERT_TRUE(answered(5));
  for (const auto& each : answers) EXPECT_EQ(each.status().code(), Code::kUnavailable);
  // Answers that come now reach nobody.
  source.answer_all();
  loop->turn(0);
  // And with the peer back, asking again works.
  b->know(*a);
  source.at_once = true;
  answers.clear();
  ask(chunk(1));
  ASSERT_TRUE(answered(1));
  EXPECT_TRUE(answers[0].ok()) << answers[0].status().to_string();
}

TEST_F(BulkTest, WhoHasNothingSaysSo) {
  start();
  b->transport->set_bulk_source(nullptr);
  ask(chunk(1));
  ASSERT_TRUE(answered(1));
  EXPECT_EQ(answers[0].status().code(), Code::kUnavailable);
  a->transport->fetch(9, chunk(1), [this](Result<std::string> answer) { answers.push_back(std::move(answer)); });
  ASSERT_TRUE(answered(2));
  EXPECT_EQ(answers[1].status().code(), Code::kNotFound);
  ask(chunk(1, kMaxChunkBytes + 1));
  ASSERT_TRUE(answered(3));
  EXPECT_EQ(answers[2].status().code(), Code::kInvalidArgument);
}

TEST_F(BulkTest, TimeAndNumberAreBounded) {
  TlsTransport::Options options = test_options(1);
  options.bulk.waiting = 5;
  options.bulk.answer_nanos = 40'000'000;
  start(options);
  for (uint64_t i = 0; i < 8; ++i) ask(chunk(i));
  ASSERT_TRUE(answered(8));
  size_t refused = 0, late = 0;
  for (const auto& each : answers) {
    refused += each.status().code() == Code::kResourceExhausted ? 1 : 0;
    late += each.status().code() == Code::kDeadlineExceeded ? 1 : 0;
  }
  EXPECT_EQ(refused, 3u);
  EXPECT_EQ(late, 5u);
}

TEST_F(BulkTest, AnIdleConnectionIsClosedAndMadeAgain) {
  TlsTransport::Options options = test_options(1);
  options.bulk.idle_nanos = 20'000'000;
  start(options);
  source.at_once = true;
  ask(chunk(1));
  ASSERT_TRUE(answered(1));
  const uint64_t accepted = b->transport->listener_counters().accepted;
  const int64_t end = system_clock().steady_nanos() + 60'000'000;
  ASSERT_TRUE(turn_until(*loop, [&] { return system_clock().steady_nanos() > end; }));
  ask(chunk(2));
  ASSERT_TRUE(answered(2));
  EXPECT_TRUE(answers[1].ok());
  EXPECT_EQ(b->transport->listener_counters().accepted, accepted + 1);
}

}  // namespace
}  // namespace runink::raft
