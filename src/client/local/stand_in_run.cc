#include "client/local/stand_in_run.h"

#include <algorithm>

#include "base/text.h"
#include "client/local/local_io.h"
#include "data/contract/redact.h"
#include "data/contract/text_records.h"
#include "data/engine/execution.h"
#include "data/plan/pii.h"
#include "platform/crypto/base64.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::local {
namespace {

constexpr const char* kRunId = "00000000-0000-7000-8000-000000000000";
constexpr uint64_t kMaxOutputBytes = uint64_t{1} << 30;

// A sink that the compiler did not make hides pii as compiled ones do.
std::vector<std::string> masks_of(const std::vector<plan::ColumnInfo>& columns) {
  std::vector<std::string> masks;
  for (const auto& column : columns) masks.push_back(plan::shown_mask(column));
  return masks;
}

void add_sink(plan::ScenarioPlan* scenario, plan::Input from, std::string name) {
  const plan::Operator& source = scenario->operators[from.from];
  plan::Sink sink;
  sink.name = std::move(name);
  sink.format = "ndjson";
  sink.masks = masks_of(source.columns);
  plan::Operator op;
  op.id = static_cast<plan::OperatorId>(scenario->operators.size());
  op.name = "write " + sink.name;
  op.location = source.location;
  op.inputs = {from};
  op.schema = source.schema;
  op.columns = source.columns;
  op.parameters = std::move(sink);
  scenario->operators.push_back(std::move(op));
}

// Sinks for every port of the last operator.
void capture(plan::ScenarioPlan* scenario, const std::string& name) {
  const auto last = static_cast<plan::OperatorId>(scenario->operators.size() - 1);
  const auto parameters = scenario->operators[last].parameters;
  if (std::holds_alternative<plan::Sink>(parameters)) return;
  const auto* split = std::get_if<plan::Split>(&parameters);
  if (split == nullptr) {
    add_sink(scenario, {last, 0}, name);
    return;
  }
  for (uint32_t port = 0; port < split->branches.size(); ++port) {
    add_sink(scenario, {last, port}, name + "." + split->branches[port].name);
  }
}

plan::ScenarioPlan without_operators(const plan::ScenarioPlan& scenario) {
  plan::ScenarioPlan out = scenario;
  out.operators.clear();
  out.valid.clear();
  out.assertions.clear();
  out.qualities.clear();
  return out;
}

std::string file_safe(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  std::replace(name.begin(), name.end(), '\0', '_');
  return name.starts_with(".") ? "_" + name : name;
}

// The stand-in as the source's locator; the form of the data follows its extension. True when that changed the format.
bool read_instead(plan::Source* source, const std::string& path) {
  const std::string name = os::file_name_of(path);
  const std::string extension = name.substr(name.rfind('.') + 1);
  const std::string format = extension == "csv" || extension == "tsv" ? "csv" : extension.starts_with("arrow") ? "arrow" : "ndjson";
  const bool changed = source->format != format;
  if (changed) {
    source->dialect = {};
    if (extension == "tsv") source->dialect.delimiter = '\t';
  }
  source->format = format;
  source->locator = "file://" + path;
  source->exec.clear();
  source->compression.clear();
  return changed;
}

struct SinkFile {
  std::string name, path;
};

// Turns every sink to a file of the folder.
std::vector<SinkFile> redirect_sinks(plan::ScenarioPlan* scenario, const std::string& folder, bool copy_raw) {
  std::vector<SinkFile> out;
  for (auto& op : scenario->operators) {
    if (auto* output = std::get_if<plan::Output>(&op.parameters)) output->spool = false;
    auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr) continue;
    if (sink->rejected) {
      sink->locator.clear();  // letters are compared as rejected.ndjson
      continue;
    }
    if (sink->format == "arrow") {
      sink->format = "ndjson";
      sink->verbatim_columns = 0;
    }
    if (!copy_raw) sink->verbatim_columns = 0;
    const std::string name =
        file_safe(sink->name) + (sink->format != "csv" ? ".ndjson" : sink->dialect.delimiter == '\t' ? ".tsv" : ".csv");
    sink->locator = "file://" + folder + "/" + name;
    sink->exec.clear();
    sink->compression.clear();
    sink->mode = "replace";
    out.push_back({name, folder + "/" + name});
  }
  return out;
}

// Dead letters with pii masked.
class LetterReader {
 public:
  LetterReader(const plan::ScenarioPlan& scenario, std::string key) : scenario_(scenario), key_(std::move(key)) {
    for (const auto& op : scenario.operators) {
      any_pii_ = any_pii_ || std::any_of(op.columns.begin(), op.columns.end(), [](const auto& c) { return !c.pii.empty(); });
    }
  }

  CaseLetter read(const ledger::DeadLetterView& view) {
    CaseLetter letter;
    letter.source = os::file_name_of(view.source);
    letter.line = view.line;
    for (size_t i = 0; i < view.rule_count; ++i) letter.rules.emplace_back(view.rules[i].rule);
    letter.record = masked(view);
    if (!is_valid_utf8(letter.record)) {
      letter.record = crypto::base64(letter.record);
      letter.valid_text = false;
    }
    return letter;
  }

 private:
  std::string masked(const ledger::DeadLetterView& view) {
    const plan::Source* source = source_of(view.source);
    if (source == nullptr || !source->contract) return any_pii_ ? "****" : std::string(view.record);
    const contract::RecordRedactor redactor(*source->contract, {}, contract::MaskKey{key_});
    if (!redactor.masks_anything()) return std::string(view.record);
    if (source->format == "ndjson") return redactor.json(view.record);
    if (source->format != "csv") return "****";
    const std::vector<std::string> names = header_of(*source);
    return redactor.lost_in(names).empty() ? redactor.csv(view.record, names, source->dialect.delimiter) : "****";
  }
  const plan::Source* source_of(std::string_view file) const {
    if (file.empty()) return nullptr;
    for (const auto& op : scenario_.operators) {
      const auto* source = std::get_if<plan::Source>(&op.parameters);
      if (source != nullptr && source->locator.ends_with(file)) return source;
    }
    return nullptr;
  }
  std::vector<std::string> header_of(const plan::Source& source) {
    std::vector<std::string> names;
    if (!source.dialect.header) return source.contract->schema->names();
    auto file = contract::RecordFile::open(source.locator.substr(std::string_view("file://").size()), true);
    std::string record;
    std::vector<contract::CsvCell> cells;
    if (!file.ok() || !file->next(record).ok() || !contract::split_csv(record, source.dialect.delimiter, cells)) return names;
    for (auto& cell : cells) names.push_back(std::move(cell.text));
    return names;
  }

  const plan::ScenarioPlan& scenario_;
  std::string key_;
  bool any_pii_ = false;
};

}  // namespace

plan::ScenarioPlan only_until(const plan::ScenarioPlan& scenario, plan::OperatorId last, const std::string& sink_name) {
  std::vector<bool> wanted(scenario.operators.size());
  wanted[last] = true;
  for (size_t i = last + 1; i-- > 0;) {
    if (!wanted[i]) continue;
    for (const auto& input : scenario.operators[i].inputs) wanted[input.from] = true;
  }
  plan::ScenarioPlan out = without_operators(scenario);
  std::vector<plan::OperatorId> moved(scenario.operators.size());
  for (size_t i = 0; i <= last; ++i) {
    if (!wanted[i]) continue;
    plan::Operator op = scenario.operators[i];
    moved[i] = op.id = static_cast<plan::OperatorId>(out.operators.size());
    for (auto& input : op.inputs) input.from = moved[input.from];
    // Raw text is copied by the place of the source among the operators, which has changed.
    for (auto& column : op.columns) column.unchanged_from.reset();
    out.operators.push_back(std::move(op));
  }
  capture(&out, sink_name);
  return out;
}

Result<plan::ScenarioPlan> step_alone(const plan::ScenarioPlan& scenario, plan::OperatorId step, const std::string& sink_name) {
  plan::Operator op = scenario.operators[step];
  if (op.inputs.empty() || std::holds_alternative<plan::Sink>(op.parameters) || std::holds_alternative<plan::Output>(op.parameters)) {
    return invalid_argument("\"{}\" reads or writes files; only a step between can be tested alone", op.name);
  }
  plan::ScenarioPlan out = without_operators(scenario);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const plan::Operator& from = scenario.operators[op.inputs[i].from];
    plan::Operator input;
    input.id = static_cast<plan::OperatorId>(i);
    input.name = i == 0 ? "input" : fmt::format("input{}", i + 1);
    input.parameters = plan::ScenarioInput{input.name, ""};
    input.location = from.location;
    input.schema = from.schema;
    input.columns = from.columns;
    for (auto& column : input.columns) column.unchanged_from.reset();
    out.operators.push_back(std::move(input));
    op.inputs[i] = {static_cast<plan::OperatorId>(i), 0};
  }
  op.id = static_cast<plan::OperatorId>(out.operators.size());
  out.operators.push_back(std::move(op));
  capture(&out, sink_name);
  return out;
}

Result<StandInResult> run_on_stand_ins(const Project& project, plan::ScenarioPlan scenario, const StandInOptions& options) {
  os::TempFolder temp = RUNINK_TRY(os::TempFolder::create("", "runink-test-"));
  const std::string out_folder = temp.file("out"), scratch = temp.file("scratch");
  RUNINK_RETURN_IF_ERROR(os::make_directories(out_folder, 0700));
  RUNINK_RETURN_IF_ERROR(os::make_directories(scratch, 0700));

  bool copy_raw = true;
  for (auto& op : scenario.operators) {
    const auto found = options.inputs.find(op.id);
    auto* source = std::get_if<plan::Source>(&op.parameters);
    if (source != nullptr && found != options.inputs.end() && read_instead(source, found->second)) copy_raw = false;
  }
  const bool has_sink = std::any_of(scenario.operators.begin(), scenario.operators.end(), [](const auto& op) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    return sink != nullptr && !sink->rejected;
  });
  if (!has_sink && !scenario.valid.empty()) add_sink(&scenario, plan::Input(scenario.valid[0]), "output");
  const std::vector<SinkFile> sinks = redirect_sinks(&scenario, out_folder, copy_raw);

  auto outputs = RUNINK_TRY(ledger::OutputSet::begin(temp.file("ledger"), kRunId));
  LocalIoOptions io_options;
  io_options.project_root = project.root();
  io_options.max_record_bytes = project.config().max_record_bytes;
  io_options.stop = options.stop;
  io_options.outputs = &outputs;
  io_options.step_answers = options.step_answers;
  io_options.runi_slice = options.runi_slice;
  io_options.temp_folder = scratch;
  for (const auto& op : scenario.operators) {
    const auto found = options.inputs.find(op.id);
    if (std::holds_alternative<plan::ScenarioInput>(op.parameters) && found != options.inputs.end()) {
      io_options.source_paths[op.id] = found->second;
    }
  }
  LocalIo io(scenario, std::move(io_options));

  const std::string key = crypto::sha256_hex("the key of golden cases").substr(0, 32);
  StandInResult result;
  LetterReader reader(scenario, key);
  DeadLetterChannel::Options letter_options;
  letter_options.origin.run_id = kRunId;
  letter_options.origin.scenario = scenario.name;
  letter_options.outputs = &outputs;
  letter_options.project_root = project.root();
  letter_options.files = io.files();
  letter_options.tee = [&](const ledger::DeadLetterView& view, std::string_view) { result.letters.push_back(reader.read(view)); };
  auto letters = RUNINK_TRY(DeadLetterChannel::open(scenario, std::move(letter_options)));

  engine::ExecutionOptions x;
  x.threads = options.threads;
  x.memory_budget_bytes = options.memory_budget_bytes;
  x.temp_folder = scratch;
  x.now_micros = options.now_micros;
  x.key = key;
  x.stop = options.stop;
  x.sample_rows = 0;
  auto execution = RUNINK_TRY(engine::Execution::create(scenario, std::move(x), io, *letters));
  RUNINK_RETURN_IF_ERROR(execution->run());
  RUNINK_RETURN_IF_ERROR(letters->finish());
  if (options.judge_rules) {
    for (const auto& rule : execution->report().rules) {
      if (rule.passed || rule.warn_only) continue;
      return failed_precondition("{}: {} \"{}\" does not hold: {}", rule.location.to_string(),
                                 rule.is_assertion ? "assertion" : "quality rule", rule.name, rule.actual);
    }
  }
  RUNINK_RETURN_IF_ERROR(outputs.publish());
  for (const auto& sink : sinks) result.outputs[sink.name] = RUNINK_TRY(os::read_file(sink.path, kMaxOutputBytes));
  return result;
}

}  // namespace runink::local
