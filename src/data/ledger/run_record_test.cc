#include "data/ledger/run_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::ledger {
namespace {

using ::testing::HasSubstr;

RunRecord full_record() {
  RunRecord r;
  r.id = "01936f5e-7a10-7c3e-9a51-0123456789ab";
  r.parent_id = "01936f5e-7a0f-7000-8000-0123456789ab";
  r.resumed_from = "01936f5e-0000-7000-8000-0123456789ab";
  r.feature = "features/clean.dsl";
  r.scenario = "Clean the \"feed\"";
  r.command = "runi run features/clean.dsl";
  r.state = RunState::kFailed;
  r.started_micros = 1'700'000'000'000'001;
  r.ended_micros = 1'700'000'001'000'000;
  r.now_micros = 1'700'000'000'000'000;
  r.process = {4711, 987654321, "boot"};
  r.host = "h";
  r.user = "u";
  r.runink_version = "0.1.0";
  r.reason = "assertion failed";
  r.error_kind = "run.assertion";
  r.exit_code = 3;
  r.project_hash = "ff";
  r.contracts = {{"Flight", "1.2.0", "ab", "contracts/flight.contract"}};
  r.inputs = {{"data/x.ndjson", "file", 5, -7, 8, 9, "cd"}};
  r.records_in = 10;
  r.records_valid = 7;
  r.records_written = 6;
  r.records_rejected = 3;
  r.bytes_in = 1000;
  r.bytes_out = UINT64_MAX;
  OperatorCount op;
  op.id = "op1";
  op.name = "records are checked";
  op.kind = "check";
  op.location = "features/clean.dsl:12:5";
  op.rows_in = 10;
  op.ports_in = {{"left", 4}, {"right", 6}};
  op.ports_out = {{"out", 7}, {"rejected", 3}};
  op.rejected = 3;
  op.dropped = {{"limit", 1}};
  op.more = {{"matched", 2}};
  op.bytes_in = 1;
  op.bytes_out = 2;
  op.spilled_bytes = 3;
  op.seconds = 0.25;
  op.balanced = false;
  op.balance = "in 10 = out 7 + rejected 3";
  r.operators = {op};
  r.edges = {{"a", "b", 5, 4}};
  r.sinks = {{"valid", "out/x", "csv", "valid", 7, 70, true, "ef"}};
  r.quality = {{"freshness", "max(date) > now() - 2d", "warn", false, "2001", ">= 2002", "date", "c:1:1"}};
  r.assertions = {{"at least", "", "error", true, "10", "", "", ""}};
  r.reject_reasons = {{"range", "delay", "not in", 3}};
  r.timings = {{"read", 0.5}};
  r.drift = {{"extra", 4}};
  r.wall_seconds = 1.5;
  r.cpu_seconds = 2.5;
  r.peak_memory_bytes = 5;
  r.spilled_bytes = 6;
  r.threads = 4;
  r.revealed_pii = true;
  r.warnings = {"w1", "w2"};
  r.labels = {{"k", "v"}};
  return r;
}

TEST(RunRecordTest, RoundTripsWhole) {
  const RunRecord record = full_record();
  const std::string json = to_json(record);
  const auto back = parse_run_record(json, "run.json");
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(to_json(*back), json);  // so nothing that is written is lost
  EXPECT_EQ(back->bytes_out, UINT64_MAX);
  EXPECT_EQ(back->inputs[0].modified_nanos, -7);
  EXPECT_EQ(back->process, record.process);
  EXPECT_EQ(back->operators[0].more.at("matched"), 2u);
  EXPECT_FALSE(back->operators[0].balanced);
  EXPECT_EQ(back->job_name(), "features/clean.dsl#Clean the \"feed\"");
  // Each member is there: a default record differs everywhere a value was set.
  for (const char* word : {"resumed_from", "exit_code", "ports_in", "more", "spilled_bytes", "sha256", "revealed_pii",
                           "labels", "drift", "location", "expected", "column", "error_kind", "now"}) {
    EXPECT_THAT(json, HasSubstr(std::string("\"") + word + "\""));
  }
}

TEST(RunRecordTest, StatesHaveNames) {
  for (const RunState state : {RunState::kRunning, RunState::kSucceeded, RunState::kFailed, RunState::kInterrupted,
                               RunState::kAborted, RunState::kCancelled}) {
    EXPECT_EQ(parse_run_state(run_state_name(state)), state);
  }
  EXPECT_FALSE(parse_run_state("done"));
}

TEST(RunRecordTest, DamagedFilesAreNamed) {
  const std::string good = to_json(full_record());
  for (const std::string& bad : {std::string(), std::string("{"), std::string("[]"), std::string("{}"),
                                 std::string("{\"format\":1}"), std::string("{\"format\":1,\"id\":\"x\",\"state\":\"?\"}"),
                                 good.substr(0, good.size() / 2), std::string(100'000, '['), std::string("\xFF\xFE")}) {
    const Status status = parse_run_record(bad, "runs/x/run.json").status();
    EXPECT_EQ(status.code(), Code::kDataLoss) << bad.substr(0, 40);
    EXPECT_THAT(status.message(), HasSubstr("runs/x/run.json"));
  }
  const Status newer = parse_run_record("{\"format\":2,\"id\":\"x\",\"state\":\"running\"}", "run.json").status();
  EXPECT_EQ(newer.code(), Code::kFailedPrecondition);
  EXPECT_FALSE(newer.hint().empty());
}

TEST(RunRecordTest, UnknownAndMistypedMembersDoNotStopTheRest) {
  const auto record = parse_run_record(
      R"({"format":1,"id":"x","state":"running","future":{"a":1},"records_in":-5,"threads":"four","feature":"f",)"
      R"("operators":[7,{"id":"op"}],"quality":[{"name":"q"}],"exit_code":99999})",
      "run.json");
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->feature, "f");
  EXPECT_EQ(record->records_in, 0u);
  ASSERT_EQ(record->operators.size(), 1u);
  EXPECT_FALSE(record->quality[0].passed);  // no result is not a pass
  EXPECT_EQ(record->exit_code, 255);
}

TEST(RunRecordTest, TextThatIsNotUtf8IsStillWritten) {
  RunRecord record = full_record();
  record.reason = "bad \xFF byte";
  const auto back = parse_run_record(to_json(record), "run.json");
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->reason, "bad \xEF\xBF\xBD byte");
}

}  // namespace
}  // namespace runink::ledger
