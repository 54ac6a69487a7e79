#include "data/ledger/run_record.h"

#include <algorithm>
#include <array>
#include <utility>

#include "data/ledger/json_access.h"

namespace runink::ledger {

namespace {

constexpr std::array<std::pair<RunState, std::string_view>, 6> kStates = {{
    {RunState::kRunning, "running"},
    {RunState::kSucceeded, "succeeded"},
    {RunState::kFailed, "failed"},
    {RunState::kInterrupted, "interrupted"},
    {RunState::kAborted, "aborted"},
    {RunState::kCancelled, "cancelled"},
}};

template <typename T, typename Write>
void put_list(Json& object, const char* key, const std::vector<T>& list, Write write) {
  if (list.empty()) return;
  Json& array = object[key] = Json::array();
  for (const T& item : list) array.push_back(write(item));
}

template <typename T, typename Read>
void get_list(const Json& object, const char* key, std::vector<T>* list, Read read) {
  for (const Json& item : get_array(object, key)) {
    if (item.is_object()) list->push_back(read(item));
  }
}

void put_map(Json& object, const char* key, const std::map<std::string, uint64_t>& map) {
  if (!map.empty()) object[key] = map;
}

void get_map(const Json& object, const char* key, std::map<std::string, uint64_t>* map) {
  for (const auto& [name, value] : get_object(object, key).items()) {
    if (value.is_number_unsigned()) (*map)[name] = value.get<uint64_t>();
  }
}

Json write_ports(const std::vector<PortCount>& ports) {
  Json array = Json::array();
  for (const PortCount& port : ports) array.push_back({{"port", port.port}, {"rows", port.rows}});
  return array;
}

std::vector<PortCount> read_ports(const Json& array) {
  std::vector<PortCount> ports;
  for (const Json& port : array) ports.push_back({get_text(port, "port"), get_count(port, "rows")});
  return ports;
}

Json write_operator(const OperatorCount& op) {
  Json j = {{"id", op.id}, {"name", op.name}, {"kind", op.kind}};
  put_text(j, "location", op.location);
  j["rows_in"] = op.rows_in;
  if (!op.ports_in.empty()) j["ports_in"] = write_ports(op.ports_in);
  j["ports_out"] = write_ports(op.ports_out);
  j["rejected"] = op.rejected;
  put_map(j, "dropped", op.dropped);
  put_map(j, "more", op.more);
  put_count(j, "bytes_in", op.bytes_in);
  put_count(j, "bytes_out", op.bytes_out);
  put_count(j, "spilled_bytes", op.spilled_bytes);
  j["seconds"] = op.seconds;
  j["balanced"] = op.balanced;
  j["balance"] = op.balance;
  return j;
}

OperatorCount read_operator(const Json& j) {
  OperatorCount op;
  op.id = get_text(j, "id");
  op.name = get_text(j, "name");
  op.kind = get_text(j, "kind");
  op.location = get_text(j, "location");
  op.rows_in = get_count(j, "rows_in");
  op.ports_in = read_ports(get_array(j, "ports_in"));
  op.ports_out = read_ports(get_array(j, "ports_out"));
  op.rejected = get_count(j, "rejected");
  get_map(j, "dropped", &op.dropped);
  get_map(j, "more", &op.more);
  op.bytes_in = get_count(j, "bytes_in");
  op.bytes_out = get_count(j, "bytes_out");
  op.spilled_bytes = get_count(j, "spilled_bytes");
  op.seconds = get_real(j, "seconds");
  op.balanced = get_flag(j, "balanced", true);
  op.balance = get_text(j, "balance");
  return op;
}

Json write_check(const CheckResult& check) {
  Json j = {{"name", check.name}};
  put_text(j, "expression", check.expression);
  j["severity"] = check.severity;
  j["passed"] = check.passed;
  put_text(j, "actual", check.actual);
  put_text(j, "expected", check.expected);
  put_text(j, "column", check.column);
  put_text(j, "location", check.location);
  return j;
}

CheckResult read_check(const Json& j) {
  CheckResult check;
  check.name = get_text(j, "name");
  check.expression = get_text(j, "expression");
  check.severity = get_text(j, "severity");
  check.passed = get_flag(j, "passed");  // a damaged result is not a pass
  check.actual = get_text(j, "actual");
  check.expected = get_text(j, "expected");
  check.column = get_text(j, "column");
  check.location = get_text(j, "location");
  return check;
}

Json write_input(const InputIdentity& input) {
  Json j = {{"path", input.path}, {"kind", input.kind}, {"size", input.size}, {"modified_nanos", input.modified_nanos}};
  put_count(j, "inode", input.inode);
  put_count(j, "device", input.device);
  put_text(j, "sha256", input.sha256);
  return j;
}

InputIdentity read_input(const Json& j) {
  InputIdentity input;
  input.path = get_text(j, "path");
  input.kind = get_text(j, "kind");
  input.size = get_count(j, "size");
  input.modified_nanos = get_number(j, "modified_nanos");
  input.inode = get_count(j, "inode");
  input.device = get_count(j, "device");
  input.sha256 = get_text(j, "sha256");
  return input;
}

Json write_sink(const SinkResult& sink) {
  Json j = {{"name", sink.name}, {"path", sink.path}, {"format", sink.format}, {"kind", sink.kind},
            {"rows", sink.rows}, {"bytes", sink.bytes}, {"published", sink.published}};
  put_text(j, "sha256", sink.sha256);
  return j;
}

SinkResult read_sink(const Json& j) {
  return {get_text(j, "name"), get_text(j, "path"), get_text(j, "format"), get_text(j, "kind"), get_count(j, "rows"),
          get_count(j, "bytes"), get_flag(j, "published"), get_text(j, "sha256")};
}

}  // namespace

std::string_view run_state_name(RunState state) {
  for (const auto& [known, name] : kStates) {
    if (known == state) return name;
  }
  return "unknown";
}

std::optional<RunState> parse_run_state(std::string_view name) {
  for (const auto& [state, known] : kStates) {
    if (known == name) return state;
  }
  return std::nullopt;
}

std::string RunRecord::job_name() const { return scenario.empty() ? feature : feature + "#" + scenario; }

std::string to_json(const RunRecord& r) {
  Json j;
  j["format"] = kRunRecordFormat;
  j["id"] = r.id;
  put_text(j, "parent_id", r.parent_id);
  put_text(j, "resumed_from", r.resumed_from);
  j["feature"] = r.feature;
  put_text(j, "scenario", r.scenario);
  put_text(j, "command", r.command);
  j["state"] = run_state_name(r.state);
  put_time(j, "started", r.started_micros);
  put_time(j, "ended", r.ended_micros);
  put_time(j, "now", r.now_micros);
  j["process"] = {{"pid", r.process.pid}, {"start_ticks", r.process.start_ticks}, {"boot_id", r.process.boot_id}};
  put_text(j, "host", r.host);
  put_text(j, "user", r.user);
  put_text(j, "runink_version", r.runink_version);
  put_text(j, "reason", r.reason);
  put_text(j, "error_kind", r.error_kind);
  if (r.exit_code >= 0) j["exit_code"] = r.exit_code;
  put_text(j, "project_hash", r.project_hash);
  put_list(j, "contracts", r.contracts, [](const ContractUse& c) {
    return Json{{"name", c.name}, {"version", c.version}, {"hash", c.hash}, {"path", c.path}};
  });
  put_list(j, "inputs", r.inputs, write_input);
  j["records_in"] = r.records_in;
  j["records_valid"] = r.records_valid;
  j["records_rejected"] = r.records_rejected;
  j["records_written"] = r.records_written;
  j["bytes_in"] = r.bytes_in;
  j["bytes_out"] = r.bytes_out;
  put_list(j, "operators", r.operators, write_operator);
  put_list(j, "edges", r.edges, [](const EdgeCount& e) {
    return Json{{"from", e.from}, {"to", e.to}, {"sent", e.sent}, {"received", e.received}};
  });
  put_list(j, "sinks", r.sinks, write_sink);
  put_list(j, "quality", r.quality, write_check);
  put_list(j, "assertions", r.assertions, write_check);
  put_list(j, "reject_reasons", r.reject_reasons, [](const RejectReason& reason) {
    return Json{{"rule", reason.rule}, {"field", reason.field}, {"message", reason.message}, {"records", reason.records}};
  });
  put_list(j, "timings", r.timings, [](const StageTiming& t) { return Json{{"name", t.name}, {"seconds", t.seconds}}; });
  put_map(j, "drift", r.drift);
  j["wall_seconds"] = r.wall_seconds;
  j["cpu_seconds"] = r.cpu_seconds;
  j["peak_memory_bytes"] = r.peak_memory_bytes;
  j["spilled_bytes"] = r.spilled_bytes;
  j["threads"] = r.threads;
  j["revealed_pii"] = r.revealed_pii;
  if (!r.warnings.empty()) j["warnings"] = r.warnings;
  if (!r.labels.empty()) j["labels"] = r.labels;
  return dump_document(j);
}

Result<RunRecord> parse_run_record(std::string_view text, const std::string& path) {
  const Json j = RUNINK_TRY(parse_json(text, path));
  const int64_t format = get_number(j, "format", -1);
  if (format > kRunRecordFormat) {
    return failed_precondition("read {}: it has format {}, this program knows {}", path, format, kRunRecordFormat)
        .with_hint("it was written by a newer runi; use that one");
  }
  const std::optional<RunState> state = parse_run_state(get_text(j, "state"));
  RunRecord r;
  r.id = get_text(j, "id");
  if (format < 1 || !state || r.id.empty()) return data_loss("read {}: it is damaged (not a run record)", path);
  r.state = *state;
  r.parent_id = get_text(j, "parent_id");
  r.resumed_from = get_text(j, "resumed_from");
  r.feature = get_text(j, "feature");
  r.scenario = get_text(j, "scenario");
  r.command = get_text(j, "command");
  r.started_micros = get_time(j, "started");
  r.ended_micros = get_time(j, "ended");
  r.now_micros = get_time(j, "now");
  const Json& process = get_object(j, "process");
  r.process = {get_number(process, "pid"), get_count(process, "start_ticks"), get_text(process, "boot_id")};
  r.host = get_text(j, "host");
  r.user = get_text(j, "user");
  r.runink_version = get_text(j, "runink_version");
  r.reason = get_text(j, "reason");
  r.error_kind = get_text(j, "error_kind");
  r.exit_code = static_cast<int>(std::clamp<int64_t>(get_number(j, "exit_code", -1), -1, 255));
  r.project_hash = get_text(j, "project_hash");
  get_list(j, "contracts", &r.contracts, [](const Json& c) {
    return ContractUse{get_text(c, "name"), get_text(c, "version"), get_text(c, "hash"), get_text(c, "path")};
  });
  get_list(j, "inputs", &r.inputs, read_input);
  r.records_in = get_count(j, "records_in");
  r.records_valid = get_count(j, "records_valid");
  r.records_rejected = get_count(j, "records_rejected");
  r.records_written = get_count(j, "records_written");
  r.bytes_in = get_count(j, "bytes_in");
  r.bytes_out = get_count(j, "bytes_out");
  get_list(j, "operators", &r.operators, read_operator);
  get_list(j, "edges", &r.edges, [](const Json& e) {
    return EdgeCount{get_text(e, "from"), get_text(e, "to"), get_count(e, "sent"), get_count(e, "received")};
  });
  get_list(j, "sinks", &r.sinks, read_sink);
  get_list(j, "quality", &r.quality, read_check);
  get_list(j, "assertions", &r.assertions, read_check);
  get_list(j, "reject_reasons", &r.reject_reasons, [](const Json& reason) {
    return RejectReason{get_text(reason, "rule"), get_text(reason, "field"), get_text(reason, "message"),
                        get_count(reason, "records")};
  });
  get_list(j, "timings", &r.timings,
           [](const Json& t) { return StageTiming{get_text(t, "name"), get_real(t, "seconds")}; });
  get_map(j, "drift", &r.drift);
  r.wall_seconds = get_real(j, "wall_seconds");
  r.cpu_seconds = get_real(j, "cpu_seconds");
  r.peak_memory_bytes = get_count(j, "peak_memory_bytes");
  r.spilled_bytes = get_count(j, "spilled_bytes");
  r.threads = static_cast<int>(std::clamp<int64_t>(get_number(j, "threads"), 0, 1 << 20));
  r.revealed_pii = get_flag(j, "revealed_pii");
  for (const Json& warning : get_array(j, "warnings")) {
    if (warning.is_string()) r.warnings.push_back(warning.get<std::string>());
  }
  for (const auto& [name, value] : get_object(j, "labels").items()) {
    if (value.is_string()) r.labels[name] = value.get<std::string>();
  }
  return r;
}

}  // namespace runink::ledger
