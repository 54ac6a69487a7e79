#include "worker/agent/agent_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace runink::agent {
namespace {

SliceView view() {
  SliceView view;
  view.id = "k3f9x2mq";
  view.herd = "etl";
  view.command = "sh -c true";
  view.group = "etl/1";
  view.path = "parked";
  view.owner = 7;
  view.detached = true;
  view.stage = Stage::kEnded;
  view.reason = EndReason::kTimeLimit;
  view.pid = 9;
  view.cpu_seconds = 0.25;
  view.memory_peak_bytes = 11;
  view.end = {.exited = true, .code = 3, .limits_hit = {"out of memory"}, .usage = {.user_micros = 5}};
  return view;
}

TEST(AgentProtocol, ValuesComeBack) {
  const auto views = decode_slices(encode(std::vector<SliceView>{view(), {}}));
  ASSERT_TRUE(views.ok()) << views.status().to_string();
  ASSERT_EQ(views->size(), 2u);
  EXPECT_EQ((*views)[0].id, "k3f9x2mq");
  EXPECT_EQ((*views)[0].cpu_seconds, 0.25);
  EXPECT_EQ((*views)[0].memory_bytes, std::nullopt);
  EXPECT_EQ((*views)[0].end.code, 3);
  EXPECT_EQ((*views)[0].reason, EndReason::kTimeLimit);
  const auto ended = decode_ended_answer(encode(EndedAnswer{.id = "x", .end = {.signal = 9, .timed_out = true}}));
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->end.signal, 9);
  EXPECT_TRUE(ended->end.timed_out);
  const auto lines = decode_lines(
      encode({LogLine{.unix_micros = -1, .stream = LogStream::kRunink, .text = "a\nb", .continues = true}}));
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ((*lines)[0].text, "a\nb");
  EXPECT_EQ((*lines)[0].unix_micros, -1);
  EXPECT_EQ(decode_end_ask(encode(EndAsk{.id = "y", .grace_micros = 0}))->grace_micros, 0);
  EXPECT_EQ(decode_logs_ask(encode(LogsAsk{.id = "y", .last_lines = 4}))->last_lines, 4u);
  EXPECT_TRUE(decode_list_ask(encode(ListAsk{.ended = true}))->ended);
  EXPECT_TRUE(decode_welcome(encode(Welcome{.is_operator = true}))->is_operator);
  EXPECT_EQ(decode_started_answer(encode(StartedAnswer{.id = "a", .path = "cold"}))->path, "cold");
  EXPECT_EQ(decode_status_rows(encode(AgentStatus{.rows = {{"a", "b"}}, .json = "{}"}))->rows[0].second, "b");
}

// Whatever a peer sends, it is read or refused.
TEST(AgentProtocol, CutAndChangedBodiesAreRefusedOrRead) {
  const std::string good = encode(std::vector<SliceView>{view()});
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_EQ(decode_slices(good.substr(0, length)).status().code(), Code::kDataLoss) << length;
  }
  EXPECT_EQ(decode_slices(good + "x").status().code(), Code::kDataLoss);
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    (void)decode_slices(bad);
    (void)decode_lines(bad);
    (void)decode_end_ask(bad);
    (void)decode_logs_ask(bad);
    (void)decode_list_ask(bad);
    (void)decode_status_rows(bad);
  }
}

}  // namespace
}  // namespace runink::agent
