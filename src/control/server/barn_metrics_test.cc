// Metrics, health and alarms of three whole members in one process, over HTTP.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "control/server/alarms_watch.h"
#include "control/server/barn_metrics_listener.h"
#include "control/server/members_in_test.h"
#include "platform/os/process.h"

namespace runink::server {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kPage[] = "../../../docs/reference/metrics.md";

// A sample's value, by its name with labels; nothing where there is none.
std::optional<double> value_of(std::string_view metrics, const std::string& sample) {
  for (const std::string_view line : split(metrics, '\n')) {
    if (line.starts_with(sample + " "))
      return std::strtod(std::string(line.substr(sample.size() + 1)).c_str(), nullptr);
  }
  return std::nullopt;
}

class Metrics : public Members {
 protected:
  struct Watched {
    std::unique_ptr<telemetry::Log> log;
    std::unique_ptr<AlarmWatch> alarms;
    std::unique_ptr<MetricsListener> metrics;
  };
  void watch(raft::NodeId id) {
    Watched& watched = watched_[id];
    watched = {};
    watched.log = *telemetry::Log::to_file(log_path(id), {});
    AlarmWatch::Options options;
    options.every_nanos = 10'000'000;
    options.alarms.not_connected_nanos = 50'000'000;
    options.alarms.no_leader_nanos = 50'000'000;
    options.alarms.clear_nanos = 20'000'000;
    options.alarms.disk_warning_bytes = options.alarms.disk_critical_bytes = 0;  // this disk is the tester's
    const BarnView view = BarnView::of(*servers_[id]);
    watched.alarms = std::make_unique<AlarmWatch>(*loop_, view, watched.log.get(), options);
    MetricsListener::Options serve;
    serve.fresh_nanos = 0;
    serve.http.max_connections = 4;
    auto listener = MetricsListener::create(
        *loop_, net::loopback(), {view, nullptr, &watched.alarms->alarms(), watched.log.get(), "1.2.3"}, serve);
    ASSERT_TRUE(listener.ok()) << listener.status().to_string();
    watched.metrics = std::move(*listener);
  }
  std::string log_path(raft::NodeId id) { return folder_->path() + "/log-" + std::to_string(id); }
  std::string log_text(raft::NodeId id) {
    EXPECT_TRUE(watched_[id].log->flush(10'000'000'000));
    return *os::read_file(log_path(id));
  }
  bool active(raft::NodeId teller, AlarmKind kind, raft::NodeId about) {
    for (const Alarm& alarm : watched_[teller].alarms->alarms().active()) {
      if (alarm.kind == kind && alarm.member == about) return true;
    }
    return false;
  }
  // The whole answer.
  std::string get(raft::NodeId id, const std::string& path) {
    const os::Fd socket = *net::connect_tcp(watched_[id].metrics->address());
    std::string request = "GET " + path + " HTTP/1.0\r\n\r\n", answer;
    bool over = false;
    EXPECT_TRUE(until([&] {
      if (!request.empty() && ::write(socket.get(), request.data(), request.size()) > 0) request.clear();
      char bytes[65536];
      ssize_t n = 0;
      while ((n = ::read(socket.get(), bytes, sizeof bytes)) > 0) answer.append(bytes, static_cast<size_t>(n));
      over = n == 0;
      return over;
    }));
    return answer;
  }
  std::string metrics(raft::NodeId id) {
    const std::string answer = get(id, "/metrics");
    EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"));
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }
  void TearDown() override { watched_.clear(); }
  std::map<raft::NodeId, Watched> watched_;
};

TEST_F(Metrics, ThreeMembersAndOneThatGoes) {
  found(3);
  for (raft::NodeId id = 1; id <= 3; ++id) watch(id);
  for (int i = 0; i < 20; ++i) put("key-" + std::to_string(i), std::string(100, 'v'));
  ASSERT_TRUE(until([this] { return same_everywhere(); }));
  const raft::NodeId first = leader_id();
  ASSERT_TRUE(until([&] {
    for (const raft::PeerStatus& peer : servers_[first]->transport().peers()) {
      if (!peer.clock) return false;
    }
    return true;
  }));

  const std::string text = metrics(first);
  const auto number = [&](const std::string& sample) { return value_of(text, sample).value_or(-1); };
  const raft::Raft& raft = servers_[first]->member().raft();
  EXPECT_EQ(number("runink_barn_role{role=\"leader\"}"), 1);
  EXPECT_EQ(number("runink_barn_role{role=\"follower\"}"), 0);
  EXPECT_EQ(number("runink_barn_leader"), static_cast<double>(first));
  EXPECT_EQ(number("runink_barn_term"), static_cast<double>(raft.term()));
  EXPECT_EQ(number("runink_barn_members{kind=\"voter\"}"), 3);
  EXPECT_EQ(number("runink_barn_applied_index"), static_cast<double>(raft.applied()));
  EXPECT_GE(number("runink_barn_proposals_total{outcome=\"applied\"}"), 20);
  EXPECT_EQ(number("runink_barn_proposals_total{outcome=\"no_space\"}"), 0);
  EXPECT_GE(number("runink_barn_elections_won_total"), 1);
  EXPECT_GE(number("runink_barn_journal_entries_total"), 21);
  EXPECT_GE(number("runink_barn_journal_bytes_total"), 2000);
  EXPECT_GE(number("runink_barn_journal_segments"), 1);
  EXPECT_GE(number("runink_barn_journal_round_seconds_count"), 1);
  EXPECT_EQ(number("runink_barn_journal_round_seconds_count"),
            number("runink_barn_journal_round_seconds_bucket{le=\"+Inf\"}"));
  EXPECT_GT(number("runink_barn_journal_round_seconds_sum"), 0);
  EXPECT_GE(number("runink_barn_state_bytes"), 2000);
  EXPECT_GE(number("runink_barn_rocksdb_rows"), 40);  // 20 keys, and as many events
  EXPECT_GT(number("runink_barn_disk_free_bytes"), 0);
  EXPECT_GT(number("process_resident_memory_bytes"), 1 << 20);
  EXPECT_EQ(number("runink_build_info{version=\"1.2.3\"}"), 1);
  const double days = (number("runink_barn_certificate_expiry_timestamp_seconds") -
                       static_cast<double>(system_clock().unix_micros()) / 1e6) /
                      86'400;
  EXPECT_NEAR(days, 90, 1);
  size_t peers = 0;
  for (raft::NodeId id = 1; id <= 3; ++id) {
    const std::string peer = "{peer=\"" + std::to_string(id) + "\"}";
    if (id == first) {
      EXPECT_FALSE(value_of(text, "runink_barn_peer_connected" + peer));
      continue;
    }
    ++peers;
    EXPECT_EQ(number("runink_barn_peer_connected" + peer), 1);
    EXPECT_EQ(number("runink_barn_peer_match_index" + peer), static_cast<double>(raft.log().last()));
    EXPECT_EQ(number("runink_barn_peer_lag_entries" + peer), 0);
    EXPECT_GT(number("runink_barn_peer_messages_sent_total" + peer), 0);
    EXPECT_LT(std::abs(number("runink_barn_peer_clock_offset_seconds" + peer)), 0.5);
    EXPECT_GT(number("runink_barn_peer_rtt_seconds" + peer), 0);
    EXPECT_THAT(get(id, "/readyz"), HasSubstr("\r\n\r\nready\n"));
    EXPECT_FALSE(value_of(metrics(id), "runink_barn_peer_match_index" + peer));
  }
  EXPECT_EQ(peers, 2u);
  EXPECT_EQ(number("runink_barn_alarm{kind=\"no_leader\",member=\"" + std::to_string(first) + "\"}"), 0);
  EXPECT_THAT(get(first, "/healthz"), HasSubstr("\r\n\r\nok\n"));
  EXPECT_THAT(get(first, "/metrics/"), testing::StartsWith("HTTP/1.1 404 "));

  // A follower goes: the others say so, and that it is over when it is back.
  const raft::NodeId away = follower_id();
  watched_.erase(away);
  servers_.erase(away);
  raft::NodeId teller = 0;
  ASSERT_TRUE(until([&] {
    teller = leader_id();
    return teller != 0 && active(teller, AlarmKind::kNotConnected, away);
  }));
  EXPECT_EQ(
      value_of(metrics(teller), "runink_barn_alarm{kind=\"not_connected\",member=\"" + std::to_string(away) + "\"}"),
      1);
  EXPECT_THAT(log_text(teller), HasSubstr("\"event\":\"barn.alarm.raised\",\"message\":\"member " +
                                          std::to_string(away) + " is not connected\""));
  start(away);
  watch(away);
  ASSERT_TRUE(until([&] { return watched_[teller].alarms->alarms().active().empty(); }));
  EXPECT_THAT(log_text(teller), HasSubstr("\"event\":\"barn.alarm.cleared\""));

  // The other two go: no leader, not ready, but healthy.
  const raft::NodeId left = follower_id();
  for (raft::NodeId id = 1; id <= 3; ++id) {
    if (id == left) continue;
    watched_.erase(id);
    servers_.erase(id);
  }
  ASSERT_TRUE(until([&] { return active(left, AlarmKind::kNoLeader, left); }));
  EXPECT_EQ(watched_[left].alarms->alarms().active()[0].level, AlarmLevel::kCritical);
  EXPECT_THAT(get(left, "/readyz"), testing::AllOf(testing::StartsWith("HTTP/1.1 503 "), HasSubstr("knows no leader")));
  EXPECT_THAT(get(left, "/healthz"), testing::StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(value_of(metrics(left), "runink_barn_leader"), 0);
  // And fails.
  servers_[left]->member().stop(internal_error("the disk said no"));
  EXPECT_THAT(get(left, "/healthz"),
              testing::AllOf(testing::StartsWith("HTTP/1.1 503 "), HasSubstr("the disk said no")));
}

TEST_F(Metrics, OfChunks) {
  found(3);
  for (raft::NodeId id = 1; id <= 3; ++id) watch(id);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  const raft::NodeId putter = leader_id(), other = follower_id();
  std::optional<Result<barn::ChunkReference>> put;
  servers_[putter]->chunks().put(std::string(100'000, 'c'), [&](auto result) { put = std::move(result); });
  ASSERT_TRUE(until([&] { return put.has_value(); }));
  ASSERT_TRUE(put->ok()) << put->status().to_string();
  const std::string text = metrics(putter);
  EXPECT_EQ(value_of(text, "runink_barn_chunks"), 1);
  EXPECT_GE(value_of(text, "runink_barn_chunk_bytes"), 100'000);
  EXPECT_LE(value_of(text, "runink_barn_chunk_bytes"), 101'000);
  EXPECT_EQ(value_of(text, "runink_barn_chunk_puts_total"), 1);
  EXPECT_EQ(value_of(text, "runink_barn_chunk_puts_failed_total"), 0);
  EXPECT_EQ(value_of(text, "runink_barn_chunks_missing"), 0);
  ASSERT_TRUE(until([&] { return value_of(metrics(other), "runink_barn_chunks_taken_total") == 1; }));
  const std::string hex = crypto::hex((*put)->hash);
  ASSERT_TRUE(os::remove_file(folder_of(other) + "/chunks/" + hex.substr(0, 2) + "/" + hex).ok());
  std::optional<Result<std::string>> got;
  servers_[other]->chunks().get(**put, [&](auto result) { got = std::move(result); });
  ASSERT_TRUE(until([&] { return got.has_value(); }));
  EXPECT_TRUE(got->ok());
  EXPECT_EQ(value_of(metrics(other), "runink_barn_chunks_fetched_total"), 1);
}

TEST_F(Metrics, HealthIsToldWhileSomebodyHoldsAllPlaces) {
  found(1);
  watch(1);
  std::vector<os::Fd> held;
  for (int i = 0; i < 12; ++i) {
    held.push_back(*net::connect_tcp(watched_[1].metrics->address()));
    EXPECT_THAT(get(1, "/healthz"), HasSubstr("\r\n\r\nok\n"));
  }
  EXPECT_GE(value_of(metrics(1), "runink_http_connections_closed_to_make_room_total"), 8);
  // Once a minute: the first only.
  const std::string log = log_text(1), line = "\"event\":\"barn.metrics.full\",\"message\":\"1 connections ";
  const size_t told = log.find(line);
  ASSERT_NE(told, std::string::npos) << log;
  EXPECT_EQ(log.find("barn.metrics.full", told + line.size()), std::string::npos);
}

TEST_F(Metrics, PromtoolFindsNothingWrong) {
  found(1);
  watch(1);
  put("key", "value");
  // A round of alarms, so that they have samples.
  ASSERT_TRUE(until([this] { return !watched_[1].alarms->alarms().watched().empty(); }));
  const std::string path = folder_->path() + "/metrics";
  ASSERT_TRUE(os::write_file_atomic(path, metrics(1)).ok());
  const os::Fd input(::open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  const std::string said = folder_->path() + "/said";
  ASSERT_TRUE(os::write_file_atomic(said, "").ok());
  const os::Fd output(::open(said.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC), said);
  os::SpawnOptions options;
  options.argv = {"promtool", "check", "metrics"};
  options.standard_input = input.get();
  options.standard_output = options.standard_error = output.get();
  auto child = os::Child::spawn(options);
  if (!child.ok()) GTEST_SKIP() << "there is no promtool here (package prometheus)";
  const auto ended = child->wait(60'000'000);
  ASSERT_TRUE(ended.ok() && ended->has_value());
  EXPECT_TRUE((*ended)->success()) << (*ended)->to_string();
  EXPECT_EQ(*os::read_file(said), "");
}

// The table of the page between its marks, from what is really served.
std::string table_of(std::string_view metrics) {
  std::string out, help;
  for (const std::string_view line : split(metrics, '\n')) {
    const auto words = split(line, ' ');
    if (line.starts_with("# HELP ")) help = line.substr(8 + words[2].size());
    if (line.starts_with("# TYPE ")) out += fmt::format("| `{}` | {} | {} |\n", words[2], words[3], help);
  }
  return out;
}

TEST_F(Metrics, ThePageListsWhatIsServed) {
  found(1);
  watch(1);
  const std::string begin =
      "<!-- metrics: written by this test with RUNINK_REWRITE=1 -->\n| Name | Type | What |\n|---|---|---|\n";
  std::string page = *os::read_file(kPage);
  const size_t from = page.find(begin), to = page.find("<!-- /metrics -->");
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos);
  const std::string table = table_of(metrics(1));
  if (std::getenv("RUNINK_REWRITE") != nullptr) {
    page.replace(from + begin.size(), to - from - begin.size(), table);
    ASSERT_TRUE(os::write_file_atomic(kPage, page).ok());
    return;
  }
  EXPECT_EQ(page.substr(from + begin.size(), to - from - begin.size()), table);
  // And every alarm.
  for (size_t kind = 0; kind < kAlarmKinds; ++kind) {
    EXPECT_THAT(page, HasSubstr(fmt::format("| `{}` |", alarm_name(static_cast<AlarmKind>(kind)))));
  }
}

}  // namespace
}  // namespace runink::server
