#include "data/ledger/openlineage.h"

#include <sys/file.h>

#include <array>
#include <cerrno>

#include "data/ledger/json_access.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

constexpr uint64_t kMaxLineageFileBytes = 256u << 20;
constexpr std::string_view kSpec = "https://openlineage.io/spec";

constexpr std::array<std::pair<EventType, std::string_view>, 6> kEventTypes = {{
    {EventType::kStart, "START"},
    {EventType::kRunning, "RUNNING"},
    {EventType::kComplete, "COMPLETE"},
    {EventType::kFail, "FAIL"},
    {EventType::kAbort, "ABORT"},
    {EventType::kOther, "OTHER"},
}};

// Builds the facets of one event, all with the same producer.
class EventWriter {
 public:
  explicit EventWriter(const LineageEvent& event)
      : event_(event),
        producer_(std::string(kLineageProducer) + (event.runink_version.empty() ? "" : ":" + event.runink_version)) {}

  Json write() const {
    Json j;
    j["eventType"] = event_type_name(event_.type);
    j["eventTime"] = format_utc(event_.time_micros);
    j["run"] = {{"runId", event_.run_id}, {"facets", run_facets()}};
    j["job"] = {{"namespace", event_.job_namespace}, {"name", event_.job_name}, {"facets", job_facets()}};
    j["inputs"] = Json::array();
    for (const LineageDataset& input : event_.inputs) j["inputs"].push_back(dataset(input, true));
    j["outputs"] = Json::array();
    for (const LineageDataset& output : event_.outputs) j["outputs"].push_back(dataset(output, false));
    j["producer"] = producer_;
    j["schemaURL"] = fmt::format("{}/2-0-2/OpenLineage.json#/$defs/RunEvent", kSpec);
    return j;
  }

 private:
  Json facet(std::string_view version, std::string_view name) const {
    return {{"_producer", producer_},
            {"_schemaURL", fmt::format("{}/facets/{}/{}.json#/$defs/{}", kSpec, version, name, name)}};
  }

  Json run_facets() const {
    Json facets = Json::object();
    if (!event_.parent_run_id.empty()) {
      const Json run = {{"runId", event_.parent_run_id}};
      const Json job = {{"namespace", event_.parent_job_namespace}, {"name", event_.parent_job_name}};
      Json parent = facet("1-2-0", "ParentRunFacet");
      parent["run"] = run;
      parent["job"] = job;
      parent["root"] = {{"run", run}, {"job", job}};  // a feature's run is the top
      facets["parent"] = std::move(parent);
    }
    if (!event_.error_message.empty()) {
      facets["errorMessage"] = facet("1-0-1", "ErrorMessageRunFacet");
      facets["errorMessage"]["message"] = event_.error_message;
      facets["errorMessage"]["programmingLanguage"] = "Runink";
      put_text(facets["errorMessage"], "stackTrace", event_.error_stack);
    }
    if (event_.nominal_start_micros != 0) {
      facets["nominalTime"] = facet("1-0-1", "NominalTimeRunFacet");
      facets["nominalTime"]["nominalStartTime"] = format_utc(event_.nominal_start_micros);
    }
    facets["processing_engine"] = facet("1-1-1", "ProcessingEngineRunFacet");
    facets["processing_engine"]["version"] = event_.runink_version;
    facets["processing_engine"]["name"] = "Runink";
    return facets;
  }

  Json job_facets() const {
    Json facets = Json::object();
    facets["jobType"] = facet("2-0-4", "JobTypeJobFacet");
    facets["jobType"]["processingType"] = "BATCH";
    facets["jobType"]["integration"] = "RUNINK";
    put_text(facets["jobType"], "jobType", event_.job_type);
    if (!event_.documentation.empty()) {
      facets["documentation"] = facet("1-1-0", "DocumentationJobFacet");
      facets["documentation"]["description"] = event_.documentation;
    }
    if (!event_.source_type.empty()) {
      Json source = facet("1-1-0", "SourceCodeLocationJobFacet");
      source["type"] = event_.source_type;
      source["url"] = event_.source_url;
      put_text(source, "repoUrl", event_.source_repo_url);
      put_text(source, "path", event_.source_path);
      put_text(source, "version", event_.source_version);
      facets["sourceCodeLocation"] = std::move(source);
    }
    return facets;
  }

  static Json fields(const std::vector<LineageField>& list, int depth) {
    Json array = Json::array();
    int position = 0;
    for (const LineageField& field : list) {
      Json j = {{"name", field.name}};
      put_text(j, "type", field.type);
      put_text(j, "description", field.description);
      j["ordinal_position"] = ++position;
      if (!field.fields.empty() && depth < 64) j["fields"] = fields(field.fields, depth + 1);
      array.push_back(std::move(j));
    }
    return array;
  }

  static Json input_fields(const std::vector<InputField>& list) {
    Json array = Json::array();
    for (const InputField& input : list) {
      Json transformation = {{"type", input.direct ? "DIRECT" : "INDIRECT"}};
      put_text(transformation, "subtype", input.subtype);
      put_text(transformation, "description", input.description);
      transformation["masking"] = input.masking;
      array.push_back({{"namespace", input.dataset_namespace},
                       {"name", input.dataset},
                       {"field", input.field},
                       {"transformations", Json::array({std::move(transformation)})}});
    }
    return array;
  }

  Json assertions(const LineageDataset& d) const {
    Json j = facet("1-1-0", "DataQualityAssertionsDatasetFacet");
    j["assertions"] = Json::array();
    for (const LineageAssertion& a : d.assertions) {
      Json item = {{"assertion", a.assertion}, {"success", a.success}};
      put_text(item, "column", a.column);
      put_text(item, "severity", a.severity);
      put_text(item, "name", a.name);
      put_text(item, "expected", a.expected);
      put_text(item, "actual", a.actual);
      put_text(item, "content", a.content);
      if (!a.content.empty()) item["contentType"] = "expression";
      j["assertions"].push_back(std::move(item));
    }
    return j;
  }

  Json statistics(const LineageDataset& d, bool input) const {
    Json j = input ? facet("1-0-0", "InputStatisticsInputDatasetFacet")
                   : facet("1-0-2", "OutputStatisticsOutputDatasetFacet");
    if (d.rows) j["rowCount"] = *d.rows;
    if (d.bytes) j["size"] = *d.bytes;
    if (d.files) j["fileCount"] = *d.files;
    return j;
  }

  Json dataset(const LineageDataset& d, bool input) const {
    Json facets = Json::object();
    Json special = Json::object();
    if (!d.fields.empty()) {
      facets["schema"] = facet("1-2-0", "SchemaDatasetFacet");
      facets["schema"]["fields"] = fields(d.fields, 0);
    }
    if (!d.description.empty()) {
      facets["documentation"] = facet("1-1-0", "DocumentationDatasetFacet");
      facets["documentation"]["description"] = d.description;
    }
    if (!d.version.empty()) {
      facets["version"] = facet("1-0-1", "DatasetVersionDatasetFacet");
      facets["version"]["datasetVersion"] = d.version;
    }
    if (!d.contract_name.empty()) {
      facets["runink_contract"] = {{"_producer", producer_},
                                   {"_schemaURL", "urn:runink:schema:1-0-0:runink_contract"},
                                   {"name", d.contract_name},
                                   {"version", d.contract_version},
                                   {"hash", d.contract_hash}};
    }
    if (!input && (!d.columns.empty() || !d.dataset_inputs.empty())) {
      Json lineage = facet("1-2-0", "ColumnLineageDatasetFacet");
      lineage["fields"] = Json::object();
      for (const ColumnLineage& column : d.columns) {
        lineage["fields"][column.field] = {{"inputFields", input_fields(column.inputs)}};
      }
      if (!d.dataset_inputs.empty()) lineage["dataset"] = input_fields(d.dataset_inputs);
      facets["columnLineage"] = std::move(lineage);
    }
    if (!d.assertions.empty()) (input ? special : facets)["dataQualityAssertions"] = assertions(d);
    if (d.rows || d.bytes || d.files) {
      special[input ? "inputStatistics" : "outputStatistics"] = statistics(d, input);
    }
    Json j = {{"namespace", d.name_space}, {"name", d.name}, {"facets", std::move(facets)}};
    j[input ? "inputFacets" : "outputFacets"] = std::move(special);
    return j;
  }

  const LineageEvent& event_;
  std::string producer_;
};

// The file, locked against other appenders until closed, with a torn last line cut off; `end` is where to append.
struct LockedFile {
  os::Fd fd;
  uint64_t end = 0;
};

Result<LockedFile> lock_for_append(const std::string& path) {
  LockedFile file;
  file.fd = RUNINK_TRY(os::open_file(path, os::OpenMode::kReadWrite, 0600));
  while (::flock(file.fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return from_errno(errno, fmt::format("lock {}", path));
  }
  const os::FileInfo info = RUNINK_TRY(os::file_info(file.fd));
  // Back to behind the last newline, in pieces.
  file.end = info.size;
  std::string piece(65536, '\0');
  while (file.end > 0) {
    const uint64_t begin = file.end > piece.size() ? file.end - piece.size() : 0;
    const size_t n = RUNINK_TRY(os::pread_full(file.fd, piece.data(), file.end - begin, begin));
    const size_t newline = std::string_view(piece.data(), n).rfind('\n');
    if (newline != std::string_view::npos) {
      file.end = begin + newline + 1;
      break;
    }
    file.end = begin;
  }
  if (file.end < info.size) RUNINK_RETURN_IF_ERROR(os::truncate_file(file.fd, file.end));
  return file;
}

Status append_to(const LockedFile& file, std::string_view line) {
  RUNINK_CHECK(line.find('\n') == std::string_view::npos);
  RUNINK_RETURN_IF_ERROR(os::pwrite_all(file.fd, std::string(line) + "\n", file.end));
  return os::sync_data(file.fd);
}

}  // namespace

std::string_view event_type_name(EventType type) {
  for (const auto& [known, name] : kEventTypes) {
    if (known == type) return name;
  }
  return "OTHER";
}

std::string to_json(const LineageEvent& event) { return dump_line(EventWriter(event).write()); }

std::optional<EventType> event_type_of(std::string_view line) {
  const auto json = parse_json(line, "an event");
  if (!json.ok() || get_text(get_object(*json, "run"), "runId").empty()) return std::nullopt;
  const std::string name = get_text(*json, "eventType");
  for (const auto& [type, known] : kEventTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

std::string error_message_of(std::string_view line) {
  const auto json = parse_json(line, "an event");
  if (!json.ok()) return "";
  return get_text(get_object(get_object(get_object(*json, "run"), "facets"), "errorMessage"), "message");
}

Result<std::string> abort_event_from_start(std::string_view start_line, int64_t time_micros,
                                           const std::string& message) {
  Json j = RUNINK_TRY(parse_json(start_line, "a START event"));
  if (get_text(j, "eventType") != "START" || !j.contains("run") || !j["run"].is_object() || !j.contains("job")) {
    return data_loss("make the ABORT event of a run: its first event is not a START event");
  }
  j["eventType"] = "ABORT";
  j["eventTime"] = format_utc(time_micros);
  const std::string producer = get_text(j, "producer");
  j["run"]["facets"]["errorMessage"] = {
      {"_producer", producer},
      {"_schemaURL", fmt::format("{}/facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet", kSpec)},
      {"message", message},
      {"programmingLanguage", "Runink"}};
  return dump_line(j);
}

Result<std::vector<std::string>> read_event_lines(const std::string& path) {
  std::vector<std::string> lines;
  const auto text = os::read_file(path, kMaxLineageFileBytes);
  if (!text.ok()) {
    if (text.status().code() == Code::kNotFound) return lines;
    return text.status();
  }
  for (size_t begin = 0;;) {
    const size_t end = text->find('\n', begin);
    if (end == std::string::npos) return lines;
    if (end > begin) lines.push_back(text->substr(begin, end - begin));
    begin = end + 1;
  }
}

Status append_event_line(const std::string& path, std::string_view line) {
  const LockedFile file = RUNINK_TRY_CONTEXT(lock_for_append(path), "write a lineage event");
  return append_to(file, line).with_context("write a lineage event");
}

Result<EventType> append_terminal_line(const std::string& path, std::string_view line) {
  const LockedFile file = RUNINK_TRY_CONTEXT(lock_for_append(path), "write a lineage event");
  for (const std::string& earlier : RUNINK_TRY(read_event_lines(path))) {
    const std::optional<EventType> type = event_type_of(earlier);
    if (type && is_terminal_event(*type)) return *type;
  }
  const std::optional<EventType> type = event_type_of(line);
  RUNINK_CHECK(type && is_terminal_event(*type));
  RUNINK_RETURN_IF_ERROR(append_to(file, line).with_context("write a lineage event"));
  return *type;
}

}  // namespace runink::ledger
