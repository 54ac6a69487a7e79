// What is checked here is what the JSON Schemas cannot say; validity against them is tests/peers/openlineage.mjs.
#include "data/ledger/openlineage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/ledger/json_access.h"

namespace runink::ledger {
namespace {

LineageEvent sample() {
  LineageEvent event;
  event.time_micros = 1'700'000'000'000'000;
  event.run_id = "01936f5e-7a10-7c3e-9a51-0123456789ab";
  event.job_namespace = "n";
  event.job_name = "j";
  event.runink_version = "1.2.3";
  LineageDataset d;
  d.name_space = "file";
  d.name = "/x";
  event.inputs = {d};
  event.outputs = {d};
  return event;
}

Json parsed(const LineageEvent& event) {
  const std::string line = to_json(event);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  return Json::parse(line);
}

TEST(OpenLineageTest, FacetsAreThereOnlyWhenTheySaySomething) {
  const Json j = parsed(sample());
  EXPECT_EQ(j["eventType"], "START");
  EXPECT_EQ(j["eventTime"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(j["producer"], "urn:runink:runi:1.2.3");
  EXPECT_EQ(j["schemaURL"], "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent");
  EXPECT_EQ(j["run"]["facets"].size(), 1u);  // processing_engine
  EXPECT_EQ(j["job"]["facets"].size(), 1u);  // jobType
  EXPECT_TRUE(j["inputs"][0]["facets"].empty());
  EXPECT_TRUE(j["inputs"][0]["inputFacets"].empty());
  EXPECT_TRUE(j["outputs"][0]["outputFacets"].empty());
}

TEST(OpenLineageTest, StatisticsAndAssertionsStandWhereTheSpecificationWantsThem) {
  LineageEvent event = sample();
  for (LineageDataset* d : {&event.inputs[0], &event.outputs[0]}) {
    d->rows = 5;
    d->assertions = {{"unique", true, "id", "error", "", "", "", ""}};
    d->columns = {{"a", {{"file", "/y", "b", true, "IDENTITY", "", false}}}};
    d->contract_name = "Flight";
  }
  const Json j = parsed(event);
  const Json &input = j["inputs"][0], &output = j["outputs"][0];
  EXPECT_EQ(input["inputFacets"]["inputStatistics"]["rowCount"], 5);
  EXPECT_EQ(input["inputFacets"]["dataQualityAssertions"]["assertions"][0]["column"], "id");
  EXPECT_FALSE(input["facets"].contains("columnLineage"));
  EXPECT_EQ(output["outputFacets"]["outputStatistics"]["rowCount"], 5);
  EXPECT_TRUE(output["facets"].contains("dataQualityAssertions"));
  EXPECT_EQ(output["facets"]["columnLineage"]["fields"]["a"]["inputFields"][0]["transformations"][0]["type"], "DIRECT");
  EXPECT_EQ(output["facets"]["runink_contract"]["name"], "Flight");
}

TEST(OpenLineageTest, AbortIsMadeOfStart) {
  const std::string start = to_json(sample());
  const Json abort = Json::parse(*abort_event_from_start(start, 1'700'000'001'000'000, "gone"));
  EXPECT_EQ(abort["eventType"], "ABORT");
  EXPECT_EQ(abort["eventTime"], "2023-11-14T22:13:21Z");
  EXPECT_EQ(abort["run"]["facets"]["errorMessage"]["message"], "gone");
  EXPECT_EQ(abort["run"]["runId"], sample().run_id);
  EXPECT_EQ(abort["inputs"], Json::parse(start)["inputs"]);
  LineageEvent complete = sample();
  complete.type = EventType::kComplete;
  for (const std::string& wrong : {to_json(complete), std::string("{}"), std::string("x"), std::string("[]")}) {
    EXPECT_EQ(abort_event_from_start(wrong, 1, "gone").status().code(), Code::kDataLoss) << wrong;
  }
}

TEST(OpenLineageTest, TypesOfLines) {
  LineageEvent event = sample();
  for (const EventType type : {EventType::kStart, EventType::kRunning, EventType::kComplete, EventType::kFail,
                               EventType::kAbort, EventType::kOther}) {
    event.type = type;
    EXPECT_EQ(event_type_of(to_json(event)), type);
  }
  for (const char* wrong : {"", "{}", "{\"eventType\":\"START\"}", "{\"eventType\":\"X\",\"run\":{\"runId\":\"a\"}}", "[1]"}) {
    EXPECT_FALSE(event_type_of(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace runink::ledger
