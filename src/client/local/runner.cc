#include "client/local/runner.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/nearest.h"
#include "base/text.h"
#include "client/local/deadline.h"
#include "client/local/lineage_events.h"
#include "client/local/local_io.h"
#include "client/local/notify.h"
#include "client/local/program_files.h"
#include "client/local/resume.h"
#include "client/local/scenario_runner.h"
#include "client/local/sink_targets.h"
#include "client/local/version.h"
#include "data/columnar/text.h"
#include "data/ledger/run_log.h"
#include "data/plan/fusion.h"
#include "data/plan/to_json.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/temp.h"

namespace runink::local {

namespace fs = std::filesystem;

namespace {

// Calls back while a scenario runs, from a thread of its own.
class ProgressTeller {
 public:
  ProgressTeller(const RunOptions& options, const std::string& scenario, const engine::Progress& progress) {
    if (!options.on_progress) return;
    thread_ = std::thread([this, &options, scenario, &progress] {
      const int64_t start = os::monotonic_nanos();
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, std::chrono::milliseconds(200), [&] { return done_; })) {
        options.on_progress(scenario, progress, static_cast<double>(os::monotonic_nanos() - start) * 1e-9);
      }
    });
  }
  ~ProgressTeller() {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

std::string absolute_target(const std::string& locator, const std::string& root) {
  if (locator.starts_with("file://")) return locator.substr(7);
  return locator.starts_with("/") ? locator : root + "/" + locator;
}

// Which files the plan reads, as they are now. What the plan itself writes is left out: it changes by running.
Result<std::vector<ledger::InputIdentity>> input_identities(const plan::Plan& plan, const std::string& root) {
  std::vector<std::string> written;
  for (const auto& s : plan.scenarios) {
    for (const auto& op : s.operators) {
      if (const auto* sink = std::get_if<plan::Sink>(&op.parameters)) written.push_back(absolute_target(sink->locator, root));
    }
  }
  std::vector<ledger::InputIdentity> out;
  for (const auto& s : plan.scenarios) {
    for (const auto& op : s.operators) {
      const auto* source = std::get_if<plan::Source>(&op.parameters);
      if (source == nullptr) continue;
      ledger::InputIdentity id;
      id.path = source->locator;
      if (!source->exec.empty() || source->locator == "-") {
        id.kind = source->locator == "-" ? "stdin" : "exec";
        out.push_back(std::move(id));
        continue;
      }
      const auto locator = RUNINK_TRY_CONTEXT(source_locator(*source, root), op.location.to_string());
      auto files = connectors::expand(locator);
      if (!files.ok()) continue;  // opening it will say so, with its step
      for (const auto& file : *files) {
        if (std::find(written.begin(), written.end(), file) != written.end()) continue;
        auto info = os::file_info(file);
        if (!info.ok()) continue;
        id.path = file;
        id.size = info->size;
        id.modified_nanos = info->modified_nanos;
        id.inode = info->inode;
        id.device = info->device;
        out.push_back(id);
      }
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  out.erase(std::unique(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path == b.path; }), out.end());
  return out;
}

ledger::OperatorCount operator_count(const plan::ScenarioPlan& scenario, const engine::ExecutionReport& report,
                                     const engine::OperatorReport& r) {
  const auto& op = scenario.operators[r.id];
  ledger::OperatorCount c;
  c.id = std::to_string(r.id);
  c.name = r.name;
  c.kind = r.kind;
  c.location = op.location.to_string();
  c.rows_in = r.rows_in;
  const auto* split = std::get_if<plan::Split>(&op.parameters);
  for (size_t p = 0; p < r.rows_out.size(); ++p) {
    c.ports_out.push_back({split != nullptr ? split->branches[p].name : "out", r.rows_out[p]});
  }
  c.rejected = r.rejected;
  c.dropped = r.dropped;
  c.spilled_bytes = r.spilled_bytes;
  const bool writes = std::holds_alternative<plan::Sink>(op.parameters);
  (writes ? c.bytes_out : c.bytes_in) = r.bytes;
  for (const auto& b : report.balances) {
    if (b.op != r.id) continue;
    c.balanced = c.balanced && b.holds();
    if (!c.balance.empty()) c.balance += "; ";
    c.balance += fmt::format("{}: {} = {}", b.equation, b.left, b.right);
  }
  return c;
}

void fill_record(ledger::RunRecord& record, const plan::ScenarioPlan& scenario, const engine::ExecutionReport& report,
                 const std::vector<SinkState>& sinks, const DeadLetterChannel& letters, bool published) {
  record.records_in = report.records_read;
  record.records_valid = report.records_valid;
  record.records_rejected = report.records_rejected;
  record.drift = report.drift;
  record.spilled_bytes = report.spilled_bytes;
  for (const auto& r : report.operators) {
    record.operators.push_back(operator_count(scenario, report, r));
    for (size_t i = 0; i < scenario.operators[r.id].inputs.size(); ++i) {
      const auto from = scenario.operators[r.id].inputs[i].from;
      ledger::EdgeCount edge;
      edge.from = std::to_string(from);
      edge.to = std::to_string(r.id);
      const std::string equation = fmt::format("rows sent by \"{}\" = rows received", scenario.operators[from].name);
      for (const auto& b : report.balances) {
        if (b.op == r.id && b.equation == equation) {
          edge.sent = b.left;
          edge.received = b.right;
        }
      }
      record.edges.push_back(std::move(edge));
    }
    if (r.kind == std::string("source")) record.bytes_in += r.bytes;
  }
  for (const auto& s : sinks) {
    ledger::SinkResult out;
    out.name = s.name;
    out.path = s.target;
    out.format = s.format;
    out.kind = s.rejected ? "rejected" : "valid";
    out.bytes = s.bytes;
    out.published = published || !s.atomic;
    out.rows = s.letters;
    for (const auto& r : report.operators) {
      if (r.id == s.op && !s.rejected) out.rows = r.rows_in;
    }
    record.bytes_out += s.bytes;
    if (published && !s.rejected) record.records_written += out.rows;
    record.sinks.push_back(std::move(out));
  }
  for (const auto& rule : report.rules) {
    ledger::CheckResult c;
    c.name = rule.name;
    c.expression = rule.text;
    c.severity = rule.warn_only ? "warn" : "error";
    c.passed = rule.passed;
    c.actual = rule.actual;
    c.location = rule.location.to_string();
    (rule.is_assertion ? record.assertions : record.quality).push_back(std::move(c));
  }
  for (const auto& [rule, reason] : letters.reasons()) {
    record.reject_reasons.push_back({rule, reason.field, reason.message, reason.records});
  }
  std::stable_sort(record.reject_reasons.begin(), record.reject_reasons.end(),
                   [](const auto& a, const auto& b) { return a.records > b.records; });
  // Of a run that ended early (a full disk, an interruption) the letters on their way; without them nothing would add up.
  if (report.records_rejected > letters.letters()) {
    record.reject_reasons.push_back(
        {"no rule told", "", "the run ended before their dead letters were written", report.records_rejected - letters.letters()});
  }
}

// What its own sources gave, without the rows that other scenarios had read already and handed over.
uint64_t records_from_sources(const ledger::RunRecord& record) {
  uint64_t records = 0;
  for (const auto& op : record.operators) {
    if (op.kind != "source") continue;
    for (const auto& port : op.ports_out) records += port.rows;
    records += op.rejected;
  }
  return records;
}

// Samples of each step, for `runi show`: samples/<operator id>.ndjson in the run's folder.
Status write_samples(const ledger::Ledger& ledger, const std::string& run_id, const engine::ExecutionReport& report) {
  for (const auto& r : report.operators) {
    if (r.sample.empty()) continue;
    const std::string folder = ledger.run_folder(run_id) + "/samples";
    RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700));
    std::string text;
    for (const auto& row : r.sample) text += row + "\n";
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(fmt::format("{}/{}.ndjson", folder, r.id), text, 0600));
  }
  return {};
}

Status rules_status(const engine::ExecutionReport& report) {
  Status status;
  for (const auto& r : report.rules) {
    if (r.passed || r.warn_only) continue;
    const std::string line = fmt::format("{}: {} \"{}\" does not hold: {}", r.location.to_string(),
                                         r.is_assertion ? "assertion" : "quality rule", r.name, r.actual);
    if (status.ok()) {
      status = failed_precondition("{}", line).with_kind("data.wrong").with_hint(
          "nothing was published; dead letters and the report are kept (runi quality last, runi dlq list)");
    } else {
      status = std::move(status).with_detail(line);
    }
  }
  return status;
}

int exit_code_of(const Status& status) {
  if (status.ok()) return 0;
  if (status.kind() == "run.interrupted") return 130;
  if (status.kind() == "data.wrong") return 3;
  return status.code() == Code::kDeadlineExceeded ? 124 : 1;
}

class FeatureRun {
 public:
  FeatureRun(const Project& project, const RunOptions& options, plan::Plan plan, std::shared_ptr<const dsl::Bundle> bundle,
             ledger::Ledger ledger)
      : project_(project),
        options_(options),
        plan_(std::move(plan)),
        bundle_(std::move(bundle)),
        ledger_(std::move(ledger)) {}

  Result<RunOutcome> run();

 private:
  Result<ledger::RunRecord> begin_parent();
  // `attempt`: 0 for the first.
  Status run_scenario(const plan::ScenarioPlan& scenario, uint32_t attempt);
  Status execute(const plan::ScenarioPlan& scenario, const std::vector<std::string>& wanted, ledger::RunRecord& record,
                 ledger::LineageEvent& event, const StopFlag& stop);
  ScenarioRunner& runner() const { return options_.runner != nullptr ? *options_.runner : in_process(); }
  Status run_with_retries(const plan::ScenarioPlan& scenario);
  Status pause_before_retry(uint32_t attempt) const;
  bool stopped() const { return options_.stop != nullptr && options_.stop->requested(); }
  // Whether a scenario that ended so is run again. Rules that do not hold would not hold the next time.
  bool tried_again(const plan::ScenarioPlan& scenario, const Status& status, uint32_t attempt) const {
    return !status.ok() && attempt < scenario.retries && status.kind() != "run.interrupted" &&
           status.kind() != "data.wrong" && status.kind() != "publish.torn" && !stopped();
  }
  void note(const std::string& text) const {
    if (options_.on_note) options_.on_note(text);
  }
  std::string spool_file(const std::string& scenario, const std::string& output) const {
    return spool_ + "/" + crypto::sha256_hex(scenario + "\n" + output).substr(0, 24) + ".rows";
  }
  uint32_t threads(const plan::ScenarioPlan& scenario) const {
    const uint32_t allowed = plan::threads_allowed(scenario.needs);
    return allowed > 0 ? std::min(threads(), allowed) : threads();
  }
  uint64_t memory_budget(const plan::ScenarioPlan& scenario) const {
    const uint64_t budget =
        options_.memory_budget_bytes > 0 ? options_.memory_budget_bytes : project_.config().memory_budget_bytes;
    return scenario.needs.memory_bytes > 0 ? std::min(budget, scenario.needs.memory_bytes) : budget;
  }
  uint32_t threads() const {
    if (options_.threads > 0) return options_.threads;
    if (project_.config().threads > 0) return static_cast<uint32_t>(project_.config().threads);
    return static_cast<uint32_t>(os::usable_cpu_count());
  }

  const Project& project_;
  const RunOptions& options_;
  plan::Plan plan_;
  std::shared_ptr<const dsl::Bundle> bundle_;
  ledger::Ledger ledger_;
  RunOutcome outcome_;
  std::string spool_, key_;
  std::vector<std::string> notes_;  // of the scenario that ran last
};

Result<ledger::RunRecord> FeatureRun::begin_parent() {
  ledger::RunRecord record;
  record.feature = plan_.feature_path;
  record.command = options_.command;
  record.runink_version = kVersion;
  record.plan_json = plan::to_json(plan_, -1);
  std::vector<std::string> files = plan_.files;
  const auto programs = program_files(plan_, project_.root());
  files.insert(files.end(), programs.begin(), programs.end());
  record.project_hash = RUNINK_TRY(project_.hash_files(files));
  record.inputs = RUNINK_TRY(input_identities(plan_, project_.root()));
  record.revealed_pii = options_.reveal;
  record.threads = static_cast<int>(threads());
  record.now_micros = options_.now_micros.value_or(system_clock().unix_micros());
  record.labels = options_.labels;
  if (!options_.scenario.empty()) record.labels["scenario"] = options_.scenario;
  record.labels["lineage_namespace"] = project_.config().lineage_namespace;
  record.resumed_from = options_.resume_of.empty() ? options_.restart_of : options_.resume_of;
  for (const auto& c : plan_.contracts) {
    record.contracts.push_back({c->name, c->version_text(), c->hash, c->files.empty() ? "" : c->files.front()});
  }
  return record;
}

Status FeatureRun::execute(const plan::ScenarioPlan& scenario, const std::vector<std::string>& wanted,
                           ledger::RunRecord& record, ledger::LineageEvent& event, const StopFlag& stop) {
  // Again, as scenarios before this one may have made its inputs.
  RUNINK_RETURN_IF_ERROR(check_sink_targets(plan_, {&scenario}, project_.root()));
  os::TempFolder temp = RUNINK_TRY(os::TempFolder::create(ledger_.temp_root(), record.id + "-"));
  auto outputs = RUNINK_TRY(ledger::OutputSet::begin(ledger_.root(), record.id));
  LocalIoOptions io_options;
  io_options.project_root = project_.root();
  io_options.stop = &stop;
  io_options.outputs = &outputs;
  io_options.runi_slice = options_.runi_slice;
  io_options.temp_folder = temp.path();
  io_options.chunk_bytes = options_.chunk_bytes;
  io_options.max_record_bytes = project_.config().max_record_bytes;
  for (const auto& op : scenario.operators) {
    if (const auto* input = std::get_if<plan::ScenarioInput>(&op.parameters)) {
      io_options.scenario_rows[input->scenario + "\n" + input->output] = spool_file(input->scenario, input->output);
    }
  }
  const ledger::DeadLetterStore store(ledger_.root());
  io_options.words_folder = store.words_folder(record.id);
  io_options.reveal = options_.reveal;
  LocalIo io(scenario, std::move(io_options));

  DeadLetterChannel::Options letter_options;
  letter_options.origin = letter_origin(scenario);
  letter_options.origin.run_id = record.id;
  letter_options.origin.feature = plan_.feature_path;
  letter_options.origin.scenario = scenario.name;
  letter_options.origin.time_micros = record.started_micros;
  letter_options.store = &store;
  letter_options.outputs = &outputs;
  letter_options.project_root = project_.root();
  letter_options.files = io.files();
  auto letters = RUNINK_TRY(DeadLetterChannel::open(scenario, std::move(letter_options)));

  engine::ExecutionOptions x;
  x.threads = static_cast<uint32_t>(record.threads);
  x.memory_budget_bytes = memory_budget(scenario);
  x.temp_folder = temp.path();
  x.now_micros = record.now_micros;
  x.key = key_;
  x.stop = &stop;
  x.reveal = options_.reveal;
  if (options_.fault_scenario == scenario.name) x.fault = options_.fault;
  ScenarioWork work = {.scenario = scenario,
                       .outputs = wanted,
                       .bundle = *bundle_,
                       .execution = std::move(x),
                       .io = io,
                       .letters = *letters,
                       .project_root = project_.root(),
                       .temp_folder = temp.path(),
                       .run_folder = ledger_.run_folder(record.id),
                       .chunk_bytes = options_.chunk_bytes,
                       .max_record_bytes = project_.config().max_record_bytes};
  auto execution = RUNINK_TRY(runner().prepare(std::move(work)));
  Status status;
  {
    ProgressTeller teller(options_, scenario.name, execution->progress());
    status = execution->run();
  }
  const auto& report = execution->report();
  notes_ = report.notes;
  if (Status finish = letters->finish(); status.ok()) status = std::move(finish);
  if (status.ok()) status = rules_status(report);
  if (status.ok()) {
    for (const auto& [name, path] : execution->outputs()) {
      RUNINK_RETURN_IF_ERROR(os::make_directories(spool_, 0700));
      std::error_code error;
      fs::rename(path, spool_file(scenario.name, name), error);
      if (error) return from_errno(error.value(), "keep the rows of scenario " + scenario.name);
    }
    status = outputs.publish().with_context("publish");
  }
  const bool published = status.ok();
  std::vector<SinkState> sinks = io.sinks();
  for (auto& s : letters->sinks()) sinks.push_back(std::move(s));
  fill_record(record, scenario, report, sinks, *letters, published);
  if (!letters->store_path().empty()) record.labels["dead_letters"] = letters->store_path();
  Status samples = write_samples(ledger_, record.id, report);
  if (status.ok()) status = std::move(samples);  // else why it failed is worth more
  event = scenario_event(project_, plan_, scenario, &report, sinks, options_.reveal);
  return status;
}

Status FeatureRun::run_scenario(const plan::ScenarioPlan& planned, uint32_t attempt) {
  const std::vector<std::string> wanted = wanted_outputs(planned, plan_);
  const plan::ScenarioPlan scenario = with_outputs(planned, wanted);
  ledger::RunRecord record;
  record.parent_id = outcome_.parent.id;
  record.feature = plan_.feature_path;
  record.scenario = scenario.name;
  record.command = options_.command;
  record.runink_version = kVersion;
  record.now_micros = outcome_.parent.now_micros;
  record.contracts = outcome_.parent.contracts;
  record.project_hash = outcome_.parent.project_hash;
  record.plan_json = plan::to_json(plan_, scenario, -1);
  record.revealed_pii = options_.reveal;
  record.threads = static_cast<int>(threads(planned));
  if (planned.retries > 0) record.labels["attempt"] = std::to_string(attempt + 1);
  record.labels["lineage_namespace"] = project_.config().lineage_namespace;
  for (const auto& u : scenario.unenforced) {
    if (u.holds_apart && options_.runner != nullptr && options_.runner->limits_steps()) continue;
    record.warnings.push_back(fmt::format("{}: {} has no effect here: {}", u.location.to_string(), u.annotation, u.why));
  }
  record = RUNINK_TRY(ledger_.create_run(std::move(record)));

  const auto complete_event = [&](ledger::LineageEvent event, ledger::EventType type) {
    event.type = type;
    event.run_id = record.id;
    event.parent_run_id = outcome_.parent.id;
    event.time_micros = system_clock().unix_micros();
    event.nominal_start_micros = record.now_micros;
    return event;
  };
  ledger::LineageEvent event = scenario_event(project_, plan_, scenario, nullptr, {}, options_.reveal);
  RUNINK_RETURN_IF_ERROR(ledger_.append_lineage(complete_event(event, ledger::EventType::kStart)));
  auto log = RUNINK_TRY(ledger::RunLog::open(ledger_.log_file(record.id)));
  log->write(ledger::LogLevel::kInfo, "", fmt::format("scenario \"{}\" begins with {} threads", scenario.name, record.threads));
  for (const auto& w : record.warnings) log->write(ledger::LogLevel::kWarning, "", w);

  notes_.clear();
  const int64_t wall = os::monotonic_nanos();
  const os::ResourceUse before = os::own_resources();
  StopFlag stop(options_.stop);
  Deadline deadline(stop, scenario.timeout_micros);
  Status status = execute(scenario, wanted, record, event, stop);
  if (deadline.cancel() && status.kind() == "run.interrupted" && !stopped()) {
    status = deadline_exceeded("it took longer than its @timeout of {}",
                               human_duration(static_cast<double>(scenario.timeout_micros) * 1e-6))
                 .with_kind("scenario.timeout");
  }
  const os::ResourceUse after = os::own_resources();
  record.wall_seconds = static_cast<double>(os::monotonic_nanos() - wall) * 1e-9;
  record.cpu_seconds = after.user_seconds + after.system_seconds - before.user_seconds - before.system_seconds;
  record.peak_memory_bytes = after.peak_rss_bytes;
  record.timings.push_back({"run", record.wall_seconds});

  ledger::EventType type = ledger::EventType::kComplete;
  record.state = ledger::RunState::kSucceeded;
  record.exit_code = 0;
  if (!status.ok()) {
    const bool interrupted = status.kind() == "run.interrupted";
    type = interrupted ? ledger::EventType::kAbort : ledger::EventType::kFail;
    record.state = interrupted ? ledger::RunState::kInterrupted : ledger::RunState::kFailed;
    record.exit_code = exit_code_of(status);
    record.reason = status.to_string();
    record.error_kind = status.kind();
    event.error_message = record.reason;
    log->write(ledger::LogLevel::kError, "", record.reason);
    for (const auto& d : status.details()) log->write(ledger::LogLevel::kError, "", d);
  }
  for (const auto& text : notes_) {
    note(text);
    log->write(ledger::LogLevel::kWarning, "", text);
  }
  log->write(ledger::LogLevel::kInfo, "",
             fmt::format("scenario \"{}\" {}: {} records, {} valid, {} rejected, {:.3f} s", scenario.name,
                         ledger::run_state_name(record.state), record.records_in, record.records_valid,
                         record.records_rejected, record.wall_seconds));
  record.ended_micros = system_clock().unix_micros();
  Status kept = ledger_.finish_run(&record, complete_event(event, type));
  // One that is tried again has not failed yet.
  if (!tried_again(planned, status, attempt)) {
    for (const auto& n : send_notifications(scenario, record, project_.root())) {
      note(n);
      log->write(ledger::LogLevel::kWarning, "", n);
    }
  }
  outcome_.scenarios.push_back(record);
  if (options_.on_scenario) options_.on_scenario(record, planned);
  if (!status.ok()) return std::move(status).with_context(fmt::format("scenario \"{}\"", scenario.name));
  return kept;
}

// Twice as long each time, so that what is out of order for a moment has time to recover.
Status FeatureRun::pause_before_retry(uint32_t attempt) const {
  const int64_t until = os::monotonic_nanos() + (int64_t{100'000'000} << std::min(attempt, 6u));
  while (os::monotonic_nanos() < until) {
    if (stopped()) return cancelled("interrupted").with_kind("run.interrupted");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Status FeatureRun::run_with_retries(const plan::ScenarioPlan& scenario) {
  for (uint32_t attempt = 0;; ++attempt) {
    Status status = run_scenario(scenario, attempt);
    if (!tried_again(scenario, status, attempt)) return status;
    note(fmt::format("{}; running it again ({} of {})", status.to_string(), attempt + 1, scenario.retries));
    RUNINK_RETURN_IF_ERROR(pause_before_retry(attempt));
  }
}

Result<RunOutcome> FeatureRun::run() {
  const auto chosen = RUNINK_TRY(select_scenarios(plan_, options_.scenario));
  RUNINK_RETURN_IF_ERROR(check_sink_targets(plan_, chosen, project_.root()));
  std::vector<std::string> key_notes;
  key_ = RUNINK_TRY(project_.secret_key(&key_notes));
  for (const auto& text : key_notes) note(text);
  os::FileLock lock = RUNINK_TRY(ledger_.lock_for_run("runi run " + plan_.feature_path));
  outcome_.parent = RUNINK_TRY(begin_parent());
  Resumed resumed;
  if (!options_.resume_of.empty()) {
    resumed = RUNINK_TRY(look_back(ledger_, options_.resume_of, outcome_.parent));
    outcome_.parent.now_micros = resumed.now_micros;
    outcome_.parent.labels[kSpoolLabel] = resumed.spool;
    spool_ = ledger_.root() + "/spool/" + resumed.spool;
    require_rows(
        chosen, [this](const auto& scenario, const auto& output) { return spool_file(scenario, output); }, &resumed);
    RUNINK_RETURN_IF_ERROR(check_standard_input(chosen, resumed, options_.resume_of));
  }
  outcome_.parent = RUNINK_TRY(ledger_.create_run(std::move(outcome_.parent)));
  auto& parent = outcome_.parent;
  if (!parent.labels.contains(kSpoolLabel)) parent.labels[kSpoolLabel] = parent.id;
  spool_ = ledger_.root() + "/spool/" + parent.labels[kSpoolLabel];
  RUNINK_RETURN_IF_ERROR(ledger_.update_run(parent));
  for (const auto& text : resumed.notes) note(text);

  const auto event_of = [&](ledger::EventType type) {
    ledger::LineageEvent event = feature_event(project_, plan_);
    event.type = type;
    event.run_id = parent.id;
    event.time_micros = system_clock().unix_micros();
    event.nominal_start_micros = parent.now_micros;
    return event;
  };
  RUNINK_RETURN_IF_ERROR(ledger_.append_lineage(event_of(ledger::EventType::kStart)));

  const int64_t wall = os::monotonic_nanos();
  Status status;
  for (const auto* scenario : chosen) {
    const auto& complete = resumed.complete;
    if (std::find(complete.begin(), complete.end(), scenario->name) != complete.end()) {
      outcome_.skipped.push_back(scenario->name);
      continue;
    }
    if (options_.stop != nullptr && options_.stop->requested()) {
      status = cancelled("interrupted").with_kind("run.interrupted");
      break;
    }
    status = run_with_retries(*scenario);
    if (!status.ok()) break;
  }
  parent.wall_seconds = static_cast<double>(os::monotonic_nanos() - wall) * 1e-9;
  parent.state = status.ok() ? ledger::RunState::kSucceeded
                 : status.kind() == "run.interrupted" ? ledger::RunState::kInterrupted
                                                      : ledger::RunState::kFailed;
  parent.exit_code = exit_code_of(status);
  parent.reason = status.ok() ? "" : status.to_string();
  parent.error_kind = status.kind();
  for (size_t i = 0; i < outcome_.scenarios.size(); ++i) {
    const auto& r = outcome_.scenarios[i];
    if (i + 1 < outcome_.scenarios.size() && outcome_.scenarios[i + 1].scenario == r.scenario) continue;  // tried again
    parent.records_in += records_from_sources(r);
    parent.records_written += r.records_written;
    parent.records_valid += r.records_valid;
    parent.records_rejected += r.records_rejected;
    parent.bytes_in += r.bytes_in;
    parent.bytes_out += r.bytes_out;
    parent.cpu_seconds += r.cpu_seconds;
    parent.peak_memory_bytes = std::max(parent.peak_memory_bytes, r.peak_memory_bytes);
    parent.spilled_bytes += r.spilled_bytes;
    parent.timings.push_back({r.scenario, r.wall_seconds});
  }
  parent.ended_micros = system_clock().unix_micros();
  ledger::LineageEvent end = event_of(status.ok() ? ledger::EventType::kComplete
                                      : status.kind() == "run.interrupted" ? ledger::EventType::kAbort
                                                                           : ledger::EventType::kFail);
  end.error_message = parent.reason;
  if (status.ok()) {
    std::error_code error;
    fs::remove_all(spool_, error);  // what scenarios kept for each other; needed no more
  }
  Status kept = ledger_.finish_run(&parent, end);
  if (!kept.ok() && !status.ok()) note(kept.to_string());  // why the run failed is worth more
  outcome_.status = status.ok() ? std::move(kept) : std::move(status);
  return std::move(outcome_);
}

}  // namespace

Result<std::vector<const plan::ScenarioPlan*>> select_scenarios(const plan::Plan& plan, const std::string& scenario) {
  std::vector<const plan::ScenarioPlan*> out;
  if (scenario.empty()) {
    for (const auto& s : plan.scenarios) out.push_back(&s);
    return out;
  }
  if (plan.scenario(scenario) == nullptr) {
    std::vector<std::string> names;
    for (const auto& s : plan.scenarios) names.push_back(s.name);
    Status status = not_found("{} has no scenario \"{}\"", plan.feature_path, scenario);
    const auto near = nearest_any(scenario, names, 1);
    if (!near.empty()) status = std::move(status).with_hint(fmt::format("did you mean \"{}\"?", near[0]));
    return status;
  }
  std::vector<std::string> wanted = {scenario};
  for (size_t i = plan.scenarios.size(); i-- > 0;) {
    const auto& s = plan.scenarios[i];
    if (std::find(wanted.begin(), wanted.end(), s.name) == wanted.end()) continue;
    out.insert(out.begin(), &s);
    wanted.insert(wanted.end(), s.needs_scenarios.begin(), s.needs_scenarios.end());
  }
  return out;
}

bool parse_now(const std::string& text, int64_t* micros) {
  return columnar::parse_timestamp(text, micros) == columnar::TextError::kOk;
}

Result<RunOutcome> run_feature(const Project& project, const RunOptions& options) {
  Diagnostics diagnostics;
  auto bundle = std::make_shared<dsl::Bundle>();
  const bool bundled = options.runner != nullptr && options.runner->wants_bundle();
  plan::Plan plan = RUNINK_TRY(project.compile(options.feature, options.compile, &diagnostics, bundled ? bundle : nullptr));
  std::vector<std::string> notes;
  ledger::Ledger ledger = RUNINK_TRY(project.open_ledger(&notes));
  if (options.on_note) {
    for (const auto& n : notes) options.on_note(n);
    for (const auto& d : diagnostics.list()) options.on_note(d.render());
  }
  FeatureRun run(project, options, std::move(plan), std::move(bundle), std::move(ledger));
  return run.run();
}

}  // namespace runink::local
