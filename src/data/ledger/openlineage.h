// OpenLineage 2.0.2 run events, built from plain values.
//
// Facets: parent, errorMessage, nominalTime, processing_engine (run); jobType, documentation, sourceCodeLocation (job);
// schema, documentation, version, columnLineage (data set); inputStatistics, dataQualityAssertions (input);
// outputStatistics (output); and one of our own, runink_contract, whose schema is docs/internals/runink_contract.json.
// OpenLineage knows dataQualityAssertions for inputs only; an output's are in its plain facets, under the same name.
//
// A run emits START and exactly one of COMPLETE, FAIL, ABORT, each a line of <run folder>/lineage.ndjson, valid against
// https://openlineage.io/spec/2-0-2/OpenLineage.json and the schemas of its facets. No value of a record is ever in one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::ledger {

inline constexpr const char* kLineageProducer = "urn:runink:runi";  // + ":" + version

enum class EventType { kStart, kRunning, kComplete, kFail, kAbort, kOther };
std::string_view event_type_name(EventType type);  // "START", …
inline bool is_terminal_event(EventType type) {
  return type == EventType::kComplete || type == EventType::kFail || type == EventType::kAbort;
}

struct LineageField {
  std::string name, type, description;
  std::vector<LineageField> fields;  // of a struct
};

// One input field that an output field (or the whole data set) depends on.
struct InputField {
  std::string dataset_namespace, dataset, field;
  bool direct = true;       // DIRECT: its value flows in; INDIRECT: it decides (filter, sort, join, group)
  std::string subtype;      // IDENTITY, TRANSFORMATION, AGGREGATION; FILTER, JOIN, GROUP_BY, SORT, WINDOW, CONDITIONAL
  std::string description;  // the expression
  bool masking = false;     // masked, hashed or tokenised
};

struct ColumnLineage {
  std::string field;  // of the output
  std::vector<InputField> inputs;
};

struct LineageAssertion {
  std::string assertion;  // class: not_null, unique, range, row_count, freshness, expression, …
  bool success = true;
  std::string column, severity, name, expected, actual, content;  // empty ones are left out
};

struct LineageDataset {
  std::string name_space;  // "file", "runink://flights", …
  std::string name;        // "/abs/path/data/flights.ndjson"
  std::string description;
  std::vector<LineageField> fields;  // empty: no schema facet
  std::string version;               // datasetVersion facet: of the data, e.g. a content hash; empty: none
  std::string contract_name, contract_version, contract_hash;  // runink_contract facet; name empty: none
  std::optional<uint64_t> rows, bytes, files;  // input or output statistics
  std::vector<LineageAssertion> assertions;    // dataQualityAssertions
  // Outputs only.
  std::vector<ColumnLineage> columns;
  std::vector<InputField> dataset_inputs;  // what decides about rows: filters, joins, …
};

struct LineageEvent {
  EventType type = EventType::kStart;
  int64_t time_micros = 0;
  std::string run_id;
  std::string job_namespace, job_name;
  std::string runink_version;

  std::string parent_run_id, parent_job_namespace, parent_job_name;  // parent facet; run id empty: none
  std::string error_message;          // errorMessage facet
  std::string error_stack;            // its stackTrace: context lines
  int64_t nominal_start_micros = 0;   // nominalTime facet; 0: none
  std::string job_type = "SCENARIO";  // jobType facet: SCENARIO or FEATURE; processing BATCH, integration RUNINK
  std::string documentation;          // the feature's or scenario's description
  std::string source_type, source_url, source_repo_url, source_path, source_version;  // sourceCodeLocation; type empty: none

  std::vector<LineageDataset> inputs, outputs;
};

// One line without the newline.
std::string to_json(const LineageEvent& event);

// The ABORT event of a run that ended without a word, made of the line of its START event: same run, job, parent and
// data sets, new time and type, and an errorMessage. kDataLoss if the line is not an event.
Result<std::string> abort_event_from_start(std::string_view start_line, int64_t time_micros, const std::string& message);

// Type of an event line; nullopt if it is not a run event of this format.
std::optional<EventType> event_type_of(std::string_view line);

// What its errorMessage facet says; empty where it has none.
std::string error_message_of(std::string_view line);

// The lines of a lineage file, without a torn last one. A missing file is an empty list.
Result<std::vector<std::string>> read_event_lines(const std::string& path);

// Appends one line durably (fsync), under a lock of the file; a torn last line (a write cut short by a kill) is cut off.
Status append_event_line(const std::string& path, std::string_view line);

// The same for a terminal event, unless the file has one already (looked up under the same lock, so that two processes
// cannot both append). Returns the type of the one terminal event that is in the file now.
Result<EventType> append_terminal_line(const std::string& path, std::string_view line);

}  // namespace runink::ledger
