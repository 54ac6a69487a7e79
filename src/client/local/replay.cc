#include "client/local/replay.h"

#include <algorithm>
#include <atomic>
#include <set>

#include "base/clock.h"
#include "base/text.h"
#include "client/local/letter_source.h"
#include "client/local/lineage_events.h"
#include "client/local/replay_known.h"
#include "client/local/replay_outputs.h"
#include "client/local/sink_targets.h"
#include "client/local/version.h"
#include "data/engine/execution.h"
#include "data/plan/to_json.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/temp.h"

namespace runink::local {
namespace {

constexpr const char* kInputName = "letters";

// What became of each letter, by its place in the input. Written by all workers.
struct Fates {
  explicit Fates(size_t letters) : reached(letters), rejected(letters) {}
  std::vector<std::atomic<uint8_t>> reached, rejected;
  std::atomic<bool> origin_lost{false};  // some rows no longer know which record they came from
};

// Stands beside a sink and notes which letters reach it.
class TrackingSink final : public engine::BatchSink {
 public:
  TrackingSink(const ledger::ReplayInput& input, const uint32_t& number, Fates& fates)
      : input_(input), number_(number), fates_(fates) {}
  Result<std::unique_ptr<engine::SinkFormatter>> make_formatter() override {
    return std::unique_ptr<engine::SinkFormatter>(std::make_unique<Formatter>(input_, number_, fates_));
  }
  Status write(std::string_view) override { return {}; }
  Status finish() override { return {}; }
  uint64_t bytes_written() const override { return 0; }

 private:
  struct Formatter final : engine::SinkFormatter {
    Formatter(const ledger::ReplayInput& i, uint32_t n, Fates& f) : input(i), number(n), fates(f) {}
    Status append(const columnar::Batch& batch, columnar::Buffer&) override {
      if (!batch.origin) {
        if (batch.rows > 0) fates.origin_lost = true;
        return {};
      }
      for (int64_t row = 0; row < batch.rows; ++row) {
        if (batch.origin->source(row) != number) continue;
        const std::string* id = input.letter_of_offset(static_cast<int64_t>(batch.origin->position(row)));
        if (id != nullptr) fates.reached[static_cast<size_t>(id - &input.letter_at(0))] = 1;
      }
      return {};
    }
    const ledger::ReplayInput& input;
    uint32_t number;
    Fates& fates;
  };
  const ledger::ReplayInput& input_;
  const uint32_t& number_;
  Fates& fates_;
};

class ReplayIo final : public engine::IoFactory {
 public:
  // `known`: what letters are to be compared with; null where nothing compares them.
  ReplayIo(LocalIo& io, size_t own_operators, plan::OperatorId source, const ledger::ReplayInput& input,
           const KnownRecords* known, std::string root, Fates& fates)
      : io_(io),
        own_operators_(own_operators),
        source_(source),
        input_(input),
        known_(known),
        root_(std::move(root)),
        fates_(fates) {}
  Result<std::unique_ptr<engine::BatchSource>> open_source(const plan::Operator& op, const std::vector<bool>& needed) override {
    if (op.id != source_) return io_.open_source(op, needed);
    std::unique_ptr<engine::BatchSource> before;
    if (known_ != nullptr) before = RUNINK_TRY(io_.open_records(op, std::get<plan::Source>(op.parameters), needed));
    letters_number_ = static_cast<uint32_t>(io_.files()->size());
    auto letters = RUNINK_TRY(io_.open_source(op, needed));
    if (known_ == nullptr) return letters;
    return read_before_letters(std::move(before), std::move(letters), letters_number_, *known_, root_, io_.files());
  }
  Result<std::unique_ptr<engine::BatchSink>> open_sink(const plan::Operator& op, const columnar::SchemaPtr& input) override {
    if (op.id >= own_operators_)
      return std::unique_ptr<engine::BatchSink>(std::make_unique<TrackingSink>(input_, letters_number_, fates_));
    auto sink = RUNINK_TRY(io_.open_sink(op, input));
    if (known_ == nullptr) return sink;
    return only_letters(std::move(sink), letters_number_, arrivals_[op.id]);
  }
  Result<std::unique_ptr<engine::StepProcess>> start_step(const plan::Operator& op, const columnar::SchemaPtr& input) override {
    return io_.start_step(op, input);
  }
  void stop() override { io_.stop(); }
  uint32_t letters_number() const { return letters_number_; }
  const std::map<plan::OperatorId, Arrivals>& arrivals() const { return arrivals_; }

 private:
  LocalIo& io_;
  size_t own_operators_;
  plan::OperatorId source_;
  const ledger::ReplayInput& input_;
  const KnownRecords* known_;
  std::string root_;
  Fates& fates_;
  uint32_t letters_number_ = engine::kNoSource;
  std::map<plan::OperatorId, Arrivals> arrivals_;  // of sinks that take only letters
};

// Which sources' records each operator passes on (what is only joined with does not count).
std::vector<std::set<plan::OperatorId>> carried(const plan::ScenarioPlan& scenario) {
  std::vector<std::set<plan::OperatorId>> out(scenario.operators.size());
  for (const auto& op : scenario.operators) {
    if (op.inputs.empty()) out[op.id].insert(op.id);
    const bool all = std::holds_alternative<plan::Union>(op.parameters);
    for (size_t i = 0; i < op.inputs.size() && (all || i == 0); ++i) out[op.id].insert(out[op.inputs[i].from].begin(), out[op.inputs[i].from].end());
  }
  return out;
}

// Arrow files have no text of a record, so a letter holds it as it came to the step that rejected it. It can be read again
// as long as no step before has changed a field.
Status letters_are_records(const plan::ScenarioPlan& scenario, plan::OperatorId source) {
  const plan::Operator& from = scenario.operators[source];
  const auto* file = std::get_if<plan::Source>(&from.parameters);
  if (file == nullptr || file->format != "arrow") return {};
  const auto sources = carried(scenario);
  for (const auto& op : scenario.operators) {
    const auto& p = op.parameters;
    const bool never_rejects = std::holds_alternative<plan::Project>(p) || std::holds_alternative<plan::Sink>(p) ||
                               std::holds_alternative<plan::Output>(p) || std::holds_alternative<plan::Deduplicate>(p) ||
                               std::holds_alternative<plan::Sort>(p) || std::holds_alternative<plan::Union>(p);
    if (op.inputs.empty() || never_rejects || !sources[op.id].contains(source)) continue;
    const auto& columns = scenario.operators[op.inputs[0].from].columns;
    for (const auto& field : from.columns) {
      const plan::ColumnInfo::Origin own{source, field.field.name, "IDENTITY", false};
      const bool there = std::any_of(columns.begin(), columns.end(), [&](const auto& c) {
        return c.field.name == field.field.name && c.lineage.size() == 1 && c.lineage[0] == own;
      });
      if (there) continue;
      return failed_precondition("{}: letters of {} may hold {} as a step has changed it before \"{}\" rejected the record",
                                 op.location.to_string(), file->locator, field.field.name, op.name)
          .with_hint("run it again with the corrected feature: runi run " + op.location.file);
    }
  }
  return {};
}

// Whether records can be added to what the scenario has written, one by one.
Status can_be_added_to(const plan::ScenarioPlan& scenario, plan::OperatorId source) {
  bool writes = false;
  const auto sources = carried(scenario);
  for (const auto& op : scenario.operators) {
    const auto& p = op.parameters;
    if (std::holds_alternative<plan::Group>(p) || std::holds_alternative<plan::Limit>(p) || std::holds_alternative<plan::Sample>(p)) {
      return failed_precondition("{}: the result of \"{}\" depends on all records, so letters cannot be added to it", op.location.to_string(), op.name)
          .with_hint("run it again with the corrected feature: runi run " + op.location.file);
    }
    if (std::holds_alternative<plan::Sort>(p)) {
      return failed_precondition("{}: the result of \"{}\" has an order, and letters would be added behind all of it",
                                 op.location.to_string(), op.name)
          .with_hint("run it again with the corrected feature: runi run " + op.location.file);
    }
    if (const auto* rows = std::get_if<plan::ScenarioInput>(&p); rows != nullptr && op.id != source) {
      return failed_precondition("{}: the records of scenario \"{}\" are not kept", op.location.to_string(), rows->scenario)
          .with_hint("run it again: runi run " + op.location.file);
    }
    const auto* sink = std::get_if<plan::Sink>(&p);
    if (sink == nullptr || sink->rejected) continue;
    writes = true;
    if (sources[op.id] != std::set<plan::OperatorId>{source}) {
      return failed_precondition("{}: {} holds records of several sources, and those of the others would be added again",
                                 op.location.to_string(), sink->locator)
          .with_hint("run it again: runi run " + op.location.file);
    }
    if (!sink->exec.empty() || sink->locator == "-") {
      return failed_precondition("{}: {} is a pipe; nobody can say what it has received already", op.location.to_string(), sink->locator);
    }
    if (sink->format == "arrow") {
      return failed_precondition("{}: {} is an Arrow stream, which cannot be added to", op.location.to_string(), sink->locator)
          .with_hint("run it again: runi run " + op.location.file);
    }
  }
  if (!writes) return failed_precondition("scenario \"{}\" writes nothing that letters could be added to", scenario.name);
  return {};
}

// The scenario as it adds to its outputs: letters rejected again go nowhere, and a second sink beside each tells which
// records arrive.
plan::ScenarioPlan adding(const plan::ScenarioPlan& scenario) {
  plan::ScenarioPlan out = scenario;
  out.assertions.clear();
  out.qualities.clear();
  out.notifications.clear();
  for (size_t i = 0, n = scenario.operators.size(); i < n; ++i) {
    auto& op = out.operators[i];
    if (auto* output = std::get_if<plan::Output>(&op.parameters)) output->spool = false;
    auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr) continue;
    if (sink->rejected) {
      sink->locator.clear();
      continue;
    }
    sink->mode = "append";
    plan::Operator tracker;
    tracker.id = static_cast<plan::OperatorId>(out.operators.size());
    tracker.name = "arrivals " + sink->name;
    tracker.location = op.location;
    tracker.inputs = op.inputs;
    tracker.schema = scenario.operators[op.inputs[0].from].schema;
    plan::Sink beside;
    beside.name = tracker.name;
    beside.format = "ndjson";
    beside.verbatim_columns = 1;  // keeps rows tied to their records
    tracker.parameters = std::move(beside);
    out.operators.push_back(std::move(tracker));
  }
  return out;
}

struct Group {
  std::string feature, scenario, source;
  uint64_t letters = 0;
  bool operator==(const Group& o) const { return feature == o.feature && scenario == o.scenario && source == o.source; }
};

class Replay {
 public:
  Replay(const Project& project, const ReplayOptions& options, ledger::Ledger ledger)
      : project_(project), options_(options), ledger_(std::move(ledger)), store_(ledger_.root()) {}
  Result<std::vector<ReplayResult>> run();

 private:
  Result<std::vector<Group>> groups();
  Status replay(const Group& group, ReplayResult* result);
  Status execute(const plan::Plan& plan, const plan::ScenarioPlan& scenario, plan::OperatorId source, const Group& group,
                 ledger::RunRecord& record, ledger::LineageEvent& event, ReplayResult* result);
  Result<KnownRecords> known_for(const plan::Plan& plan, const plan::ScenarioPlan& scenario, plan::OperatorId source,
                                 const ledger::ReplayInput& input) const;
  Status check_known(const KnownRecords& known, const plan::ScenarioPlan& scenario,
                     const std::map<plan::OperatorId, Arrivals>& arrivals, uint64_t others_rejected) const;
  Result<const plan::Plan*> plan_of(const std::string& feature);
  ledger::DeadLetterFilter filter_of(const Group& group) const;
  std::vector<ledger::ReplayEntry> settle(const ledger::ReplayInput& input, const plan::ScenarioPlan& scenario, const Fates& fates,
                                          const std::string& run_id, ReplayResult* result) const;

  const Project& project_;
  const ReplayOptions& options_;
  ledger::Ledger ledger_;
  ledger::DeadLetterStore store_;
  std::map<std::string, Result<plan::Plan>> plans_;
};

Result<std::vector<Group>> Replay::groups() {
  std::vector<Group> out;
  RUNINK_RETURN_IF_ERROR(store_.for_each_pending(options_.filter, [&](const ledger::DeadLetter& letter) {
    const Group one{letter.feature, letter.scenario, letter.source};
    auto found = std::find(out.begin(), out.end(), one);
    if (found == out.end()) found = out.insert(out.end(), one);
    ++found->letters;
    return true;
  }));
  return out;
}

Result<const plan::Plan*> Replay::plan_of(const std::string& feature) {
  auto found = plans_.find(feature);
  if (found == plans_.end()) {
    Diagnostics diagnostics;
    found = plans_.emplace(feature, project_.compile(feature, options_.compile, &diagnostics)).first;
  }
  if (!found->second.ok()) return found->second.status();
  return &*found->second;
}

ledger::DeadLetterFilter Replay::filter_of(const Group& group) const {
  ledger::DeadLetterFilter filter = options_.filter;
  filter.feature = group.feature;
  filter.scenario = group.scenario;
  filter.accepts = [source = group.source](const ledger::DeadLetter& letter) { return letter.source == source; };
  return filter;
}

std::vector<ledger::ReplayEntry> Replay::settle(const ledger::ReplayInput& input, const plan::ScenarioPlan& scenario, const Fates& fates,
                                                const std::string& run_id, ReplayResult* result) const {
  const bool unsure = fates.origin_lost || std::any_of(scenario.operators.begin(), scenario.operators.end(), [](const auto& op) {
                        return std::holds_alternative<plan::Program>(op.parameters);
                      });
  std::vector<ledger::ReplayEntry> entries;
  const int64_t now = system_clock().unix_micros();
  for (size_t i = 0; i < input.letters(); ++i) {
    const bool accepted = fates.rejected[i] == 0 && (fates.reached[i] != 0 || unsure);
    const char* what = fates.rejected[i] != 0 ? "rejected" : accepted ? "accepted" : "dropped";
    ++(fates.rejected[i] != 0 ? result->rejected : accepted ? result->accepted : result->dropped);
    entries.push_back({input.letter_at(i), run_id, what, now});
  }
  return entries;
}

Result<KnownRecords> Replay::known_for(const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                                       plan::OperatorId source, const ledger::ReplayInput& input) const {
  KnownRecords known = RUNINK_TRY(find_known_records(project_, ledger_, plan, scenario, source));
  for (size_t i = 0; i < input.letters(); ++i) {
    if (known.letters.contains(input.letter_at(i))) continue;
    return failed_precondition(
               "letter {} is of an earlier run, whose records the outputs of scenario \"{}\" no longer hold",
               input.letter_at(i).substr(0, 8), scenario.name)
        .with_hint("choose the letters of the newest run with --run");
  }
  return known;
}

// That reading the source again gave what the outputs hold.
Status Replay::check_known(const KnownRecords& known, const plan::ScenarioPlan& scenario,
                           const std::map<plan::OperatorId, Arrivals>& arrivals, uint64_t others_rejected) const {
  const auto no = [&](const std::string& why) {
    return failed_precondition(
               "scenario \"{}\" compares records, and would make something else of those in its outputs now: {}",
               scenario.name, why)
        .with_hint("run it again: runi run " + scenario.location.file);
  };
  if (others_rejected > 0) return no(fmt::format("{} of them would be rejected", others_rejected));
  for (const auto& [id, arrived] : arrivals) {
    const auto& sink = std::get<plan::Sink>(scenario.operators[id].parameters);
    const auto before = known.sink_rows.find(sink.name);
    const uint64_t rows = before == known.sink_rows.end() ? 0 : before->second;
    if (arrived.origin_lost) return no("rows of " + sink.locator + " no longer know which record they are of");
    if (arrived.others != rows)
      return no(fmt::format("{} holds {} records and would hold {}", sink.locator, rows, arrived.others.load()));
  }
  return {};
}

Status Replay::execute(const plan::Plan& plan, const plan::ScenarioPlan& scenario, plan::OperatorId source, const Group& group,
                       ledger::RunRecord& record, ledger::LineageEvent& event, ReplayResult* result) {
  os::TempFolder temp = RUNINK_TRY(os::TempFolder::create(ledger_.temp_root(), record.id + "-"));
  std::string header;
  const auto* file = std::get_if<plan::Source>(&scenario.operators[source].parameters);
  if (file != nullptr) header = RUNINK_TRY(header_before_letters(*file, group.source, project_.root()));
  const std::string path = temp.file(std::string(kInputName) + (file != nullptr && file->format == "csv" ? ".csv" : ".ndjson"));
  const ledger::ReplayInput input = RUNINK_TRY(ledger::ReplayInput::write(store_, filter_of(group), path, header));
  if (input.letters() == 0) return {};
  Fates fates(input.letters());

  auto outputs = RUNINK_TRY(ledger::OutputSet::begin(ledger_.root(), record.id));
  LocalIoOptions io_options;
  io_options.project_root = project_.root();
  io_options.max_record_bytes = project_.config().max_record_bytes;
  io_options.stop = options_.stop;
  io_options.outputs = &outputs;
  io_options.source_paths[source] = path;
  io_options.runi_slice = options_.runi_slice;
  io_options.temp_folder = temp.path();
  io_options.words_folder = store_.words_folder(record.id);
  LocalIo io(scenario, std::move(io_options));
  const size_t own_operators = plan.scenario(scenario.name)->operators.size();
  std::optional<KnownRecords> known;
  if (compares_records(scenario)) known = RUNINK_TRY(known_for(plan, *plan.scenario(scenario.name), source, input));
  ReplayIo replay_io(io, own_operators, source, input, known ? &*known : nullptr, project_.root(), fates);

  DeadLetterChannel::Options letter_options;
  letter_options.origin.run_id = record.id;
  letter_options.outputs = &outputs;
  letter_options.project_root = project_.root();
  letter_options.files = io.files();
  const std::string input_name = letter_name(path, project_.root());
  uint64_t others_rejected = 0;
  letter_options.tee = [&](const ledger::DeadLetterView& view, std::string_view) {
    if (view.source != input_name) {
      ++others_rejected;
      return;
    }
    if (const std::string* id = input.letter_of_offset(view.offset))
      fates.rejected[static_cast<size_t>(id - &input.letter_at(0))] = 1;
    for (size_t i = 0; i < view.rule_count; ++i) ++result->reasons[std::string(view.rules[i].rule)];
  };
  auto letters = RUNINK_TRY(DeadLetterChannel::open(scenario, std::move(letter_options)));

  engine::ExecutionOptions x;
  x.threads = project_.config().threads > 0 ? static_cast<uint32_t>(project_.config().threads) : static_cast<uint32_t>(os::usable_cpu_count());
  x.memory_budget_bytes = project_.config().memory_budget_bytes;
  x.temp_folder = temp.path();
  x.now_micros = record.now_micros;
  x.key = RUNINK_TRY(project_.secret_key());
  x.stop = options_.stop;
  auto execution = RUNINK_TRY(engine::Execution::create(scenario, std::move(x), replay_io, *letters));
  RUNINK_RETURN_IF_ERROR(execution->run());
  RUNINK_RETURN_IF_ERROR(letters->finish());
  if (known)
    RUNINK_RETURN_IF_ERROR(check_known(*known, *plan.scenario(scenario.name), replay_io.arrivals(), others_rejected));

  ReplayResult counted;
  const auto entries = settle(input, scenario, fates, record.id, &counted);
  RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(store_.replay_file(record.id)), 0700));
  os::AtomicFile* notes = RUNINK_TRY(outputs.open(store_.replay_file(record.id), ledger::PublishMode::kReplace, 0600));
  RUNINK_RETURN_IF_ERROR(notes->write(ledger::DeadLetterStore::encode_replay(entries)));
  RUNINK_RETURN_IF_ERROR(outputs.publish().with_context("publish"));

  result->accepted = counted.accepted;
  result->rejected = counted.rejected;
  result->dropped = counted.dropped;
  result->sinks = io.sinks();
  engine::ExecutionReport report = execution->report();
  std::erase_if(report.operators, [&](const auto& r) { return r.id >= own_operators; });
  for (auto& r : report.operators) {  // of the letters alone
    if (const auto arrived = replay_io.arrivals().find(r.id); arrived != replay_io.arrivals().end())
      r.rows_in = arrived->second.letters;
    if (known && r.id == source) {
      r.rows_out = {input.letters()};
      r.rejected = 0;
      r.bytes = os::file_info(path).ok() ? os::file_info(path)->size : 0;
    }
  }
  record.records_in = input.letters();
  record.records_valid = counted.accepted;
  record.records_rejected = counted.rejected;
  record.spilled_bytes = report.spilled_bytes;
  for (const auto& sink : io.sinks()) {
    ledger::SinkResult s;
    s.name = sink.name;
    s.path = sink.target;
    s.format = sink.format;
    s.kind = "valid";
    s.bytes = sink.bytes;
    s.published = true;
    for (const auto& r : report.operators) {
      if (r.id == sink.op) s.rows = r.rows_in;
    }
    record.bytes_out += sink.bytes;
    record.records_written += s.rows;
    record.sinks.push_back(std::move(s));
  }
  for (const auto& [rule, reason] : letters->reasons()) record.reject_reasons.push_back({rule, reason.field, reason.message, reason.records});
  event = scenario_event(project_, plan, *plan.scenario(scenario.name), &report, io.sinks(), false);
  return {};
}

Status Replay::replay(const Group& group, ReplayResult* result) {
  const plan::Plan* plan = RUNINK_TRY(plan_of(group.feature));
  const plan::ScenarioPlan* planned = plan->scenario(group.scenario);
  if (planned == nullptr) return not_found("{} has no scenario \"{}\" any more", group.feature, group.scenario);
  const plan::OperatorId source = RUNINK_TRY(source_of_letter(*planned, group.source));
  RUNINK_RETURN_IF_ERROR(can_be_added_to(*planned, source));
  RUNINK_RETURN_IF_ERROR(check_sink_targets(*plan, {planned}, project_.root()));
  RUNINK_RETURN_IF_ERROR(letters_are_records(*planned, source));
  RUNINK_RETURN_IF_ERROR(check_outputs_are_there(ledger_, *plan, *planned, project_.root()));
  const plan::ScenarioPlan scenario = adding(*planned);

  ledger::RunRecord record;
  record.feature = group.feature;
  record.scenario = group.scenario;
  record.command = options_.command;
  record.runink_version = kVersion;
  record.plan_json = plan::to_json(*plan, *planned, -1);
  record.project_hash = RUNINK_TRY(project_.hash_files(plan->files));
  record.now_micros = options_.now_micros.value_or(system_clock().unix_micros());
  record.labels["replay"] = group.source;
  record.labels["lineage_namespace"] = project_.config().lineage_namespace;
  for (const auto& c : plan->contracts) record.contracts.push_back({c->name, c->version_text(), c->hash, c->files.empty() ? "" : c->files.front()});
  record = RUNINK_TRY(ledger_.create_run(std::move(record)));
  result->run_id = record.id;
  const auto complete_event = [&](ledger::LineageEvent event, ledger::EventType type) {
    event.type = type;
    event.run_id = record.id;
    event.time_micros = system_clock().unix_micros();
    event.nominal_start_micros = record.now_micros;
    return event;
  };
  ledger::LineageEvent event = scenario_event(project_, *plan, *planned, nullptr, {}, false);
  RUNINK_RETURN_IF_ERROR(ledger_.append_lineage(complete_event(event, ledger::EventType::kStart)));
  const int64_t wall = os::monotonic_nanos();
  Status status = execute(*plan, scenario, source, group, record, event, result);
  if (status.ok() && result->accepted > 0) result->stale = stale_readers(*plan, *planned, project_.root());
  record.wall_seconds = static_cast<double>(os::monotonic_nanos() - wall) * 1e-9;
  record.ended_micros = system_clock().unix_micros();
  const bool interrupted = status.kind() == "run.interrupted";
  record.state = status.ok() ? ledger::RunState::kSucceeded : interrupted ? ledger::RunState::kInterrupted : ledger::RunState::kFailed;
  record.exit_code = status.ok() ? 0 : interrupted ? 130 : 1;
  record.reason = status.ok() ? "" : status.to_string();
  record.error_kind = status.kind();
  event.error_message = record.reason;
  Status kept = ledger_.finish_run(&record, complete_event(event, status.ok() ? ledger::EventType::kComplete
                                                                  : interrupted ? ledger::EventType::kAbort
                                                                                : ledger::EventType::kFail));
  return status.ok() ? std::move(kept) : std::move(status);
}

Result<std::vector<ReplayResult>> Replay::run() {
  os::FileLock lock = RUNINK_TRY(ledger_.lock_for_run("runi dlq replay"));
  std::vector<ReplayResult> out;
  for (const Group& group : RUNINK_TRY(groups())) {
    ReplayResult result;
    result.feature = group.feature;
    result.scenario = group.scenario;
    result.source = group.source;
    result.letters = group.letters;
    result.status = replay(group, &result);
    const bool interrupted = result.status.kind() == "run.interrupted";
    out.push_back(std::move(result));
    if (interrupted) break;
  }
  return out;
}

}  // namespace

Result<std::vector<ReplayResult>> replay_dead_letters(const Project& project, const ReplayOptions& options) {
  std::vector<std::string> notes;
  ledger::Ledger ledger = RUNINK_TRY(project.open_ledger(&notes));
  if (options.on_note) {
    for (const auto& note : notes) options.on_note(note);
  }
  return Replay(project, options, std::move(ledger)).run();
}

}  // namespace runink::local
