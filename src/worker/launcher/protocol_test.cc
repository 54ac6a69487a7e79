#include "worker/launcher/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/wire/spec_codec.h"

namespace runink::launcher {
namespace {

// Every field other than by default.
model::SliceSpec full_spec() {
  model::SliceSpec spec;
  spec.herd = "flights";
  spec.argv = {"wc", "-l", ""};
  spec.environment = {{"PATH", "/bin"}, {"EMPTY", ""}};
  spec.working_directory = "/data";
  spec.host_name = "here";
  spec.mounts = {{"/srv/a", "/data/a"}, {"/srv/b", "/data/b", true}};
  spec.secrets = {{"key", std::string("a\0b", 3)}};
  spec.resources.cpus = 1.5;
  spec.resources.memory_bytes = 1ull << 33;
  spec.resources.processes = 7;
  spec.resources.cpu_set = {0, 3};
  spec.resources.io = {{.device = "/dev/vda", .write_operations_per_second = 9}};
  spec.devices = {{"/dev/null", true}};
  spec.gpus.numbers = {1, 2};
  spec.network.endpoints = {
      {.host = "example.org", .port = 443, .protocol = model::SliceProtocol::kUdp, .addresses = {"192.0.2.7"}}};
  spec.network.bytes_per_second = 5;
  spec.user = 12;
  spec.group = 13;
  spec.act_as = model::SliceIdentity{5, 6};
  spec.terminal = model::SliceTerminal{};
  spec.time_limit_micros = 1'000'000;
  spec.grace_micros = 17;
  spec.scratch_bytes = 1ull << 40;
  spec.scratch_folder = "/var/scratch";
  return spec;
}

LaunchRequest full_request() {
  return {.spec = full_spec(),
          .kind = SliceKind::kEngine,
          .label = "mine",
          .recycle = true,
          .program_descriptors = 3,
          .kept_descriptors = 4};
}

TEST(Protocol, ALaunchArrivesWhole) {
  const std::string body = encode(full_request());
  const auto decoded = decode_launch(body);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(encode(*decoded), body);  // what was read is what was written, field by field
  EXPECT_EQ(decoded->spec.secrets[0].bytes, std::string("a\0b", 3));
  EXPECT_EQ(decoded->spec.resources.memory_bytes, 1ull << 33);
  EXPECT_EQ(decoded->spec.scratch_folder, "/var/scratch");
  EXPECT_EQ(decoded->kept_descriptors, 4u);
  EXPECT_NE(encode(LaunchRequest()), body);
}

TEST(Protocol, ACutOrLongerLaunchIsAnError) {
  const std::string body = encode(full_request());
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(decode_launch(body.substr(0, size)).status().code(), Code::kDataLoss) << size;
  }
  EXPECT_EQ(decode_launch(body + "x").status().code(), Code::kDataLoss);
}

// Whatever a byte becomes, what is read is a value or an error; numbers of elements are not believed.
TEST(Protocol, AChangedLaunchNeverCrashes) {
  const std::string body = encode(full_request());
  size_t refused = 0;
  for (size_t at = 0; at < body.size(); ++at) {
    for (const char value : {'\0', '\1', '\x7f', '\x80', '\xff'}) {
      std::string changed = body;
      changed[at] = value;
      refused += decode_launch(changed).ok() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 100u);
}

TEST(Protocol, ATooLongLabelIsRefused) {
  EXPECT_EQ(decode_launch(encode(LaunchRequest{.label = std::string(5000, 'x')})).status().code(),
            Code::kInvalidArgument);
}

TEST(Protocol, ARefusalIsTheWholeStatus) {
  const Status refusal = permission_denied("mount /data")
                             .with_kind("slice.mount")
                             .with_hint("ask")
                             .with_context("start")
                             .with_detail("a line");
  const Status read = decode_refusal(encode(refusal));
  EXPECT_EQ(read.code(), Code::kPermissionDenied);
  EXPECT_EQ(read.to_string(), refusal.to_string());
  EXPECT_EQ(read.kind(), "slice.mount");
  EXPECT_EQ(read.hint(), "ask");
  EXPECT_EQ(read.details(), refusal.details());
  EXPECT_EQ(decode_refusal(encode(Status())).code(), Code::kDataLoss);
  EXPECT_EQ(decode_refusal("").code(), Code::kDataLoss);
}

TEST(Protocol, EverythingElseArrivesWhole) {
  sandbox::SliceEnd end{.exited = true, .code = 3, .signal = 9, .timed_out = true, .limits_hit = {"out of memory"}};
  end.usage = {.user_micros = 1, .system_micros = -2, .peak_memory_bytes = 5, .minor_faults = 6, .major_faults = 7};
  EXPECT_EQ(encode(*decode_end(encode(end))), encode(end));
  const Started started{.path = StartPath::kRecycled, .pid = 17, .group = "a/b", .first_id = 9, .at_nanos = 5};
  EXPECT_EQ(encode(*decode_started(encode(started))), encode(started));
  const SliceRecord record{.state = SliceState::kEnded, .herd = "a", .label = "b", .started = started, .end = end};
  EXPECT_EQ(encode(*decode_record(encode(record))), encode(record));
  for (const Status& failed : {Status(), not_found("x")}) {
    const PoolState pool{.herd = "a", .kind = SliceKind::kEngine, .wanted = 2, .ready = 1, .failed = failed};
    EXPECT_EQ(encode(*decode_pool(encode(pool))), encode(pool));
  }
  const Counters counters{.cold = 1, .ready = 10};
  EXPECT_EQ(encode(*decode_counters(encode(counters))), encode(counters));
  const PoolRequest pool{.spec = full_spec(), .kind = SliceKind::kEngine, .count = 4};
  EXPECT_EQ(encode(*decode_pool_request(encode(pool))), encode(pool));
  EXPECT_EQ(decode_ready(encode(Ready{.pid = 5}))->pid, 5);
  EXPECT_EQ(*decode_signal(encode_signal(15)), 15);
}

TEST(Protocol, WhatCannotBeIsRefused) {
  EXPECT_FALSE(decode_signal(encode_signal(0)).ok());
  EXPECT_FALSE(decode_signal(encode_signal(65)).ok());
  std::string started = encode(Started());
  started[0] = 3;
  EXPECT_FALSE(decode_started(started).ok());
  std::string end = encode(sandbox::SliceEnd());
  end[0] = 2;
  EXPECT_FALSE(decode_end(end).ok());
}

TEST(Protocol, LimitsOfHerdsArriveWhole) {
  const std::vector<model::HerdLimit> limits = {{.herd = "etl", .resources = full_spec().resources},
                                                {.herd = "web", .resources = {.processes = 5}}};
  const std::string body = encode(limits);
  const auto decoded = decode_herd_limits(body);
  ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
  EXPECT_EQ(*decoded, limits);
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(decode_herd_limits(body.substr(0, size)).status().code(), Code::kDataLoss) << size;
  }
  for (const model::HerdLimit& wrong : {model::HerdLimit{.herd = "../etl", .resources = {.processes = 5}},
                                        model::HerdLimit{.herd = "etl", .resources = {.processes = 1}}}) {
    EXPECT_EQ(decode_herd_limits(encode(std::vector<model::HerdLimit>{wrong})).status().code(), Code::kDataLoss);
  }
  const std::vector<sandbox::HerdState> states = {
      {.herd = "etl", .status = failed_precondition("no").with_kind("sandbox.limit").with_hint("do")},
      {.herd = "web", .status = {}}};
  const auto told = decode_herd_states(encode(states));
  ASSERT_TRUE(told.ok() && told->size() == 2);
  EXPECT_EQ(told->front().status.hint(), "do");
  EXPECT_TRUE(told->back().status.ok());
}

}  // namespace
}  // namespace runink::launcher
