// Prints lineage events, one a line, that use every facet Runink writes: START and each of the three ends, a parent's
// run, and an ABORT event made from a START line as the sweep of killed runs makes it. For openlineage.mjs.
#include <cstdio>

#include "base/check.h"
#include "data/ledger/openlineage.h"

using namespace runink::ledger;

int main() {
  LineageEvent event;
  event.time_micros = 1'700'000'000'123'456;
  event.run_id = "01936f5e-7a10-7c3e-9a51-0123456789ab";
  event.job_namespace = "runink://operations";
  event.job_name = "features/clean.dsl#Clean the feed";
  event.runink_version = "0.1.0";
  event.parent_run_id = "01936f5e-7a0f-7000-8000-0123456789ab";
  event.parent_job_namespace = "runink://operations";
  event.parent_job_name = "features/clean.dsl";
  event.nominal_start_micros = 1'700'000'000'000'000;
  event.documentation = "How late are we, and on which \"routes\"?\n\xFF is not UTF-8";
  event.source_type = "git";
  event.source_url = "https://example.org/flights.git";
  event.source_repo_url = "https://example.org/flights.git";
  event.source_path = "features/clean.dsl";
  event.source_version = "0123456789abcdef";

  LineageDataset input;
  input.name_space = "file";
  input.name = "/home/a/flights/data/flights.ndjson";
  input.description = "Flights as they come";
  input.fields = {{"date", "timestamp", "Local departure", {}},
                  {"billing", "struct", "", {{"city", "string", "", {}}, {"zip", "string", "", {}}}}};
  input.version = "sha256:00";
  input.contract_name = "Flight";
  input.contract_version = "1.2.0";
  input.contract_hash = "ab12";
  input.rows = 1000;
  input.bytes = 123456;
  input.files = 1;
  input.assertions = {{"range", false, "delay", "error", "delay range", "-1440..4320", "9999", "delay >= -1440"},
                      {"freshness", true, "", "warn", "freshness", "", "", ""}};
  LineageDataset output;
  output.name_space = "file";
  output.name = "/home/a/flights/out/flights.ndjson";
  output.fields = {{"route", "string", "", {}}};
  output.rows = 990;
  output.bytes = 0;
  output.assertions = {{"row_count", true, "", "error", "at least 1000 records", ">= 1000", "1000", ""}};
  output.columns = {{"route", {{"file", input.name, "origin", true, "TRANSFORMATION", "origin + \"-\"", false}}},
                    {"passport", {{"file", input.name, "passport", true, "TRANSFORMATION", "mask", true}}},
                    {"constant", {}}};
  output.dataset_inputs = {{"file", input.name, "delay", false, "FILTER", "delay > 15", false}};
  event.inputs = {input};
  event.outputs = {output};

  const std::string start = to_json(event);
  std::puts(start.c_str());
  for (const EventType type : {EventType::kComplete, EventType::kFail, EventType::kAbort}) {
    event.type = type;
    if (type != EventType::kComplete) {
      event.error_message = "assertion failed: at least 1000 records";
      event.error_stack = "run features/clean.dsl\nscenario Clean the feed";
    }
    std::puts(to_json(event).c_str());
  }
  auto abort = abort_event_from_start(start, event.time_micros + 1'000'000, "its process (4711) ended without a word");
  RUNINK_CHECK(abort.ok());
  std::puts(abort->c_str());

  LineageEvent parent;
  parent.time_micros = 1'700'000'000'000'000;
  parent.run_id = event.parent_run_id;
  parent.job_namespace = event.job_namespace;
  parent.job_name = "features/clean.dsl";
  parent.job_type = "FEATURE";
  std::puts(to_json(parent).c_str());
}
