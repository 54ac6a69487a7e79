#include "client/local/golden.h"

#include <algorithm>
#include <map>

#include "base/nearest.h"
#include "base/text.h"
#include "client/local/golden_compare.h"
#include "client/local/golden_strays.h"
#include "client/local/sample.h"
#include "client/local/stand_in_run.h"
#include "client/local/text_diff.h"
#include "data/dsl/compile.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"

namespace runink::local {
namespace {

// One file that is compared: what is expected in the case's folder, what came out.
struct Comparison {
  std::string path;       // from the project root
  std::string expected, actual;
  bool there = false;     // whether the expected file is
  bool csv = false;
  std::string update;     // what --update writes; empty: removes the file
  bool remove_when_empty = false;
};

class CaseRunner {
 public:
  CaseRunner(const Project& project, const plan::Plan& plan, const GoldenCase& golden, const GoldenOptions& options)
      : project_(project), plan_(plan), golden_(golden), options_(options), folder_(project.root() + "/" + golden.folder) {}

  // An error is told as the case's problem, except an interruption.
  Status run(GoldenResult* result);

 private:
  Status run_whole(const plan::ScenarioPlan& scenario, GoldenResult* result);
  Status run_step_alone(const plan::ScenarioPlan& scenario, GoldenResult* result);
  Status find_inputs(const plan::ScenarioPlan& scenario, StandInOptions* out);
  Status find_step_answers(const plan::ScenarioPlan& scenario, StandInOptions* out);
  Result<std::optional<StandInResult>> execute(plan::ScenarioPlan scenario, StandInOptions stand_ins, GoldenResult* result);
  Status judge(std::vector<Comparison> comparisons, GoldenResult* result);
  Result<Comparison> read_expected(const std::string& name, std::string actual);
  Result<Comparison> compare_letters(const std::vector<CaseLetter>& letters, bool with_source);
  std::string shown(const std::string& absolute) const {
    return absolute.starts_with(project_.root() + "/") ? absolute.substr(project_.root().size() + 1) : absolute;
  }

  const Project& project_;
  const plan::Plan& plan_;
  const GoldenCase& golden_;
  const GoldenOptions& options_;
  std::string folder_;
  GoldenSettings settings_;
};

// The operators that `words` name: by name, by slug, by the sentence, or by kind where there is one of it.
std::vector<plan::OperatorId> find_steps(const plan::ScenarioPlan& scenario, const std::string& words) {
  const std::string as_slug = slug(words);
  std::vector<plan::OperatorId> by_name, by_sentence, by_kind;
  for (const auto& op : scenario.operators) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink != nullptr && sink->rejected) continue;
    if (op.name == words || slug(op.name) == as_slug) by_name.push_back(op.id);
    if (!op.sentence.empty() && slug(op.sentence) == as_slug) by_sentence.push_back(op.id);
    if (plan::kind_name(op.parameters) == words) by_kind.push_back(op.id);
  }
  if (!by_name.empty()) return by_name;
  // A sentence may have become several operators: the last one has its result.
  if (!by_sentence.empty()) return {by_sentence.back()};
  return by_kind.size() == 1 ? by_kind : std::vector<plan::OperatorId>();
}

Result<std::vector<std::string>> features_of(const Project& project) {
  std::vector<std::string> out;
  for (const char* pattern : {"/features/*.dsl", "/features/**/*.dsl"}) {
    for (const std::string& path : RUNINK_TRY(os::glob(project.root() + pattern))) out.push_back(path.substr(project.root().size() + 1));
  }
  return out;
}

Status CaseRunner::run(GoldenResult* result) {
  const plan::ScenarioPlan* scenario = plan_.scenario(golden_.scenario);
  if (scenario == nullptr) return internal_error("the plan has no scenario \"{}\"", golden_.scenario);
  if (!os::exists(folder_)) {
    return not_found("there is no folder {}", golden_.folder)
        .with_hint("GoldenTest names it; put input/ into it and write what comes of it with: runi test --update " + golden_.folder);
  }
  settings_ = RUNINK_TRY(read_golden_settings(project_.root(), golden_.folder));
  if (options_.threads > 0) settings_.threads = options_.threads;
  return golden_.step.empty() ? run_whole(*scenario, result) : run_step_alone(*scenario, result);
}

Status CaseRunner::find_inputs(const plan::ScenarioPlan& scenario, StandInOptions* out) {
  for (const auto& input : case_inputs(scenario)) {
    std::string found;
    for (const auto& name : input.names) {
      if (found.empty()) found = find_data_file(folder_ + "/input", name);
    }
    if (found.empty() && input.flow) found = find_data_file(folder_ + "/input", "input");
    if (found.empty() && input.flow) found = find_data_file(folder_, "input");
    const auto& op = scenario.operators[input.op];
    const auto* source = std::get_if<plan::Source>(&op.parameters);
    if (found.empty() && !input.flow && source != nullptr && source->exec.empty() && source->locator != "-") continue;  // the project's own
    if (found.empty()) {
      return not_found("nothing stands in for {}", source != nullptr ? source->locator : "the output of scenario \"" + std::get<plan::ScenarioInput>(op.parameters).scenario + "\"")
          .with_hint(fmt::format("put its records into {}/input/{}.{}", golden_.folder, input.names.front(),
                                 source == nullptr || source->format == "arrow" ? "ndjson" : source->format));
    }
    if (source == nullptr && !found.ends_with(".ndjson") && !found.ends_with(".jsonl") && !found.ends_with(".json")) {
      return invalid_argument("{}: the output of a scenario is given as ndjson", shown(found));
    }
    out->inputs[input.op] = std::move(found);
  }
  return {};
}

Status CaseRunner::find_step_answers(const plan::ScenarioPlan& scenario, StandInOptions* out) {
  auto names = os::list_directory(folder_ + "/steps");
  if (!names.ok()) return {};
  for (const auto& name : *names) {
    if (!name.ends_with(".ndjson")) continue;
    const std::string stem = name.substr(0, name.size() - std::string_view(".ndjson").size());
    bool found = false;
    std::vector<std::string> programs;
    for (const auto& op : scenario.operators) {
      const auto* program = std::get_if<plan::Program>(&op.parameters);
      if (program == nullptr) continue;
      programs.push_back(slug(program->name));
      if (stem != program->name && slug(stem) != slug(program->name) && slug(stem) != slug(op.name)) continue;
      out->step_answers[op.id] = folder_ + "/steps/" + name;
      found = true;
    }
    if (!found) {
      Status status = not_found("{}/steps/{}: scenario \"{}\" runs no such step", golden_.folder, escape_control(name), scenario.name);
      const auto near = nearest_any(slug(stem), programs, 1);
      return near.empty() ? std::move(status).with_hint("only custom steps and programs can be replaced by their answers")
                          : std::move(status).with_hint(fmt::format("did you mean {}.ndjson?", near[0]));
    }
  }
  return {};
}

// Without a value where the run failed as the case expects.
Result<std::optional<StandInResult>> CaseRunner::execute(plan::ScenarioPlan scenario, StandInOptions stand_ins, GoldenResult* result) {
  stand_ins.now_micros = settings_.now_micros;
  stand_ins.threads = settings_.threads;
  stand_ins.memory_budget_bytes = settings_.memory_budget_bytes;
  stand_ins.judge_rules = settings_.assertions;
  stand_ins.runi_slice = options_.runi_slice;
  stand_ins.stop = options_.stop;
  auto ran = run_on_stand_ins(project_, std::move(scenario), stand_ins);
  if (settings_.error.empty()) return std::optional<StandInResult>(RUNINK_TRY(std::move(ran)));
  const std::string message = ran.ok() ? "" : ran.status().to_string();
  if (ran.ok() || message.find(settings_.error) == std::string::npos) {
    result->problem = fmt::format("{}/case.toml expects the error \"{}\", and {}\n", golden_.folder, settings_.error,
                                  ran.ok() ? "the run succeeded" : "it was: " + escape_control(message));
  } else {
    result->passed = true;
  }
  return std::optional<StandInResult>();
}

// The expected file of this name; where there is one only in another text format, that is a mistake worth saying.
Result<Comparison> CaseRunner::read_expected(const std::string& name, std::string actual) {
  Comparison c;
  c.path = golden_.folder + "/" + name;
  c.csv = name.ends_with(".csv") || name.ends_with(".tsv");
  c.there = os::exists(project_.root() + "/" + c.path);
  if (c.there) c.expected = RUNINK_TRY(os::read_file(project_.root() + "/" + c.path, uint64_t{1} << 30));
  c.update = c.actual = std::move(actual);
  return c;
}

Result<Comparison> CaseRunner::compare_letters(const std::vector<CaseLetter>& letters, bool with_source) {
  Comparison c = RUNINK_TRY(read_expected("rejected.ndjson", ""));
  LetterTexts texts = RUNINK_TRY(comparable_letters(c.expected, c.path, letters));
  c.expected = std::move(texts.expected);
  c.actual = std::move(texts.actual);
  c.update = letters_text(letters, with_source);
  c.remove_when_empty = true;
  return c;
}

Status CaseRunner::judge(std::vector<Comparison> comparisons, GoldenResult* result) {
  for (auto& c : comparisons) {
    if (settings_.free_order) {
      c.expected = sorted_lines(c.expected, c.csv);
      c.actual = sorted_lines(c.actual, c.csv);
    }
    DiffOptions diff;
    diff.before_name = c.path + (c.there ? "" : " (not there)");
    diff.after_name = "what came out";
    const std::string difference = unified_diff(c.expected, c.actual, diff);
    const bool missing = !c.there && !c.remove_when_empty;
    if (difference.empty() && !missing) continue;
    if (!options_.update) {
      result->problem += missing && difference.empty() ? c.path + " is not there: nothing came out, and nothing is expected\n" : difference;
      continue;
    }
    const std::string path = project_.root() + "/" + c.path;
    if (c.update.empty() && c.remove_when_empty) {
      RUNINK_RETURN_IF_ERROR(os::remove_file(path));
    } else {
      RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(path)));
      RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, c.update));
    }
    result->written.push_back(c.path);
  }
  result->passed = result->problem.empty();
  return {};
}

Status CaseRunner::run_whole(const plan::ScenarioPlan& planned, GoldenResult* result) {
  plan::ScenarioPlan scenario = planned;
  std::string step_slug;
  if (!options_.only.empty()) {
    const auto steps = find_steps(planned, options_.only);
    if (steps.empty()) return internal_error("a case without the step was not left out");
    step_slug = slug(planned.operators[steps[0]].name);
    scenario = only_until(planned, steps[0], step_slug);
  }
  StandInOptions stand_ins;
  RUNINK_RETURN_IF_ERROR(find_inputs(scenario, &stand_ins));
  RUNINK_RETURN_IF_ERROR(find_step_answers(planned, &stand_ins));
  if (!options_.only.empty()) {
    // Operators have other numbers now.
    std::map<plan::OperatorId, std::string> moved;
    for (const auto& op : scenario.operators) {
      for (const auto& [id, path] : stand_ins.step_answers) {
        if (planned.operators[id].name == op.name) moved[op.id] = path;
      }
    }
    stand_ins.step_answers = std::move(moved);
  }
  std::optional<StandInResult> ran = RUNINK_TRY(execute(std::move(scenario), std::move(stand_ins), result));
  if (!ran) return {};
  std::vector<Comparison> comparisons;
  if (!options_.only.empty()) {
    for (auto& [name, text] : ran->outputs) {
      // A step that is itself a sink is compared with what is expected of it.
      Comparison c = RUNINK_TRY(read_expected("steps-out/" + name, text));
      if (!c.there) {
        Comparison of_sink = RUNINK_TRY(read_expected("expected/" + name, text));
        if (of_sink.there) c = std::move(of_sink);
      }
      if (c.there || options_.update) {
        comparisons.push_back(std::move(c));
      } else {
        result->printed += text;
      }
    }
    return judge(std::move(comparisons), result);
  }
  for (auto& [name, text] : ran->outputs) {
    Comparison c = RUNINK_TRY(read_expected("expected/" + name, text));
    if (!c.there && ran->outputs.size() == 1) {
      const std::string single = "expected" + name.substr(name.rfind('.'));
      Comparison other = RUNINK_TRY(read_expected(single, text));
      if (other.there) c = std::move(other);
    }
    comparisons.push_back(std::move(c));
  }
  const size_t inputs = case_inputs(planned).size();
  comparisons.push_back(RUNINK_TRY(compare_letters(ran->letters, inputs > 1)));
  RUNINK_RETURN_IF_ERROR(judge(std::move(comparisons), result));
  // Files that no sink writes: a renamed sink would otherwise leave its old expectation behind, passing for ever.
  auto names = os::list_directory(folder_ + "/expected");
  if (!names.ok()) return {};
  for (const auto& name : *names) {
    if (name[0] == '.' || ran->outputs.contains(name)) continue;
    if (options_.update) {
      RUNINK_RETURN_IF_ERROR(os::remove_file(folder_ + "/expected/" + name));
      result->written.push_back(golden_.folder + "/expected/" + name);
      continue;
    }
    std::vector<std::string> outputs;
    for (const auto& [output, text] : ran->outputs) outputs.push_back(output);
    result->problem += fmt::format("{}/expected/{}: no sink of the scenario has this name; they are {}\n", golden_.folder,
                                   escape_control(name), join(outputs, ", "));
    result->passed = false;
  }
  return {};
}

Status CaseRunner::run_step_alone(const plan::ScenarioPlan& scenario, GoldenResult* result) {
  const auto steps = find_steps(scenario, golden_.step);
  if (steps.empty()) {
    std::vector<std::string> names;
    for (const auto& op : scenario.operators) names.push_back(slug(op.name));
    Status status = not_found("{}: scenario \"{}\" has no such step", golden_.folder, scenario.name);
    const auto near = nearest_any(golden_.step, names, 1);
    return near.empty() ? std::move(status) : std::move(status).with_hint(fmt::format("did you mean {}?", near[0]));
  }
  plan::ScenarioPlan alone = RUNINK_TRY(step_alone(scenario, steps[0], "expected"));
  StandInOptions stand_ins;
  const size_t inputs = scenario.operators[steps[0]].inputs.size();
  for (size_t i = 0; i < inputs; ++i) {
    const std::string name = i == 0 ? "input" : fmt::format("input{}", i + 1);
    const std::string path = folder_ + "/" + name + ".ndjson";
    if (!os::exists(path)) {
      return not_found("there is no {}/{}.ndjson", golden_.folder, name)
          .with_hint("it holds the records that the step \"" + scenario.operators[steps[0]].name + "\" is given");
    }
    stand_ins.inputs[static_cast<plan::OperatorId>(i)] = path;
  }
  std::optional<StandInResult> ran = RUNINK_TRY(execute(std::move(alone), std::move(stand_ins), result));
  if (!ran) return {};
  std::vector<Comparison> comparisons;
  for (auto& [name, text] : ran->outputs) comparisons.push_back(RUNINK_TRY(read_expected(name, text)));
  comparisons.push_back(RUNINK_TRY(compare_letters(ran->letters, false)));
  return judge(std::move(comparisons), result);
}

// Schema of a source without contract: from the case's stand-in, else from the project's file, else from any case's.
dsl::CompileEnvironment environment_for(const Project& project, const CompileOptions& compile, const std::string& feature,
                                        const std::string& case_folder) {
  dsl::CompileEnvironment env = project.compile_environment(compile);
  env.infer_schema = [root = project.root(), feature, case_folder](const plan::Source& source) -> Result<columnar::Schema> {
    const std::string file = os::file_name_of(source.locator);
    const std::string stem = file.substr(0, file.find('.'));
    std::vector<std::string> folders;
    if (!case_folder.empty()) folders = {root + "/" + case_folder + "/input"};
    const auto infer_from = [&](const std::string& path) {
      plan::Source stand_in = source;
      stand_in.locator = "file://" + path;
      stand_in.format = path.ends_with(".csv") || path.ends_with(".tsv") ? "csv" : path.ends_with("arrow") ? "arrow" : "ndjson";
      stand_in.compression.clear();
      return infer_schema(stand_in, root);
    };
    for (const auto& folder : folders) {
      if (const std::string found = find_data_file(folder, stem); !found.empty()) return infer_from(found);
    }
    auto own = infer_schema(source, root);
    if (own.ok() || !case_folder.empty()) return own;
    auto others = os::glob(root + "/" + os::folder_of(dsl::golden_folder(feature, "x")) + "/**/input/" + stem + ".*");
    return others.ok() && !others->empty() ? infer_from(others->front()) : std::move(own);
  };
  return env;
}

Result<plan::Plan> compile_for(const Project& project, const CompileOptions& compile, const std::string& feature,
                               const std::string& case_folder) {
  std::string text = RUNINK_TRY(os::read_file(project.root() + "/" + feature));
  Diagnostics diagnostics;
  return dsl::compile_feature(std::make_shared<SourceText>(feature, std::move(text)),
                              environment_for(project, compile, feature, case_folder), &diagnostics);
}

bool infers_anything(const plan::Plan& plan) {
  for (const auto& scenario : plan.scenarios) {
    for (const auto& op : scenario.operators) {
      const auto* source = std::get_if<plan::Source>(&op.parameters);
      if (source != nullptr && !source->contract) return true;
    }
  }
  return false;
}

std::string problem_text(const Status& status) {
  std::string out = escape_control(status.to_string()) + "\n";
  for (const auto& detail : status.details()) out += detail + "\n";
  if (!status.hint().empty()) out += "help: " + status.hint() + "\n";
  return out;
}

bool chosen(const GoldenCase& golden, const std::vector<std::string>& words) {
  if (words.empty()) return true;
  return std::any_of(words.begin(), words.end(), [&](std::string word) {
    while (word.ends_with('/')) word.pop_back();
    return golden.folder == word || golden.folder.starts_with(word + "/") || golden.folder.ends_with("/" + word) ||
           golden.folder.find("/" + word + "/") != std::string::npos;
  });
}

// Whether a feature can have cases at all, so that others need not be compiled.
bool may_have_cases(const Project& project, const std::string& feature) {
  if (os::exists(project.root() + "/" + os::folder_of(dsl::golden_folder(feature, "x")))) return true;
  auto text = os::read_file(project.root() + "/" + feature);
  return text.ok() && text->find("GoldenTest:") != std::string::npos;
}

Status run_case(const Project& project, const plan::Plan& plan, const GoldenCase& golden, const GoldenOptions& options,
                GoldenResult* result) {
  result->golden = golden;
  const int64_t start = os::monotonic_nanos();
  Status status;
  if (infers_anything(plan)) {
    auto own = compile_for(project, options.compile, golden.feature, golden.folder);
    status = own.ok() ? CaseRunner(project, *own, golden, options).run(result) : std::move(own).status();
  } else {
    status = CaseRunner(project, plan, golden, options).run(result);
  }
  result->seconds = static_cast<double>(os::monotonic_nanos() - start) * 1e-9;
  if (status.ok()) return {};
  if (status.kind() == "run.interrupted") return status;
  result->passed = false;
  result->problem = problem_text(status);
  return {};
}

// The step is there and only its files are missing.
std::string how_to_make(const GoldenOptions& options, const std::string& step, const std::string& folder) {
  if (options.step.empty()) return fmt::format("put input into {}/input/", folder);
  return fmt::format("put what it is given into {}/steps/{}/input.ndjson, and write what comes of it with: runi test --step \"{}\" --update",
                     folder, slug(step), step);
}

// `steps`: those of the features that were looked at, with the golden folder of their scenario.
Status nothing_to_run(const GoldenOptions& options, const std::map<std::string, std::string>& steps) {
  const std::string& wanted = options.step.empty() ? options.only : options.step;
  if (!wanted.empty()) {
    Status status = not_found("no golden case has a step \"{}\"{}", escape_control(wanted), options.step.empty() ? "" : " with files of its own");
    std::vector<std::string> names;
    for (const auto& [name, folder] : steps) {
      if (slug(name) == slug(wanted)) return std::move(status).with_hint(how_to_make(options, name, folder));
      names.push_back(name);
    }
    const auto near = nearest(wanted, names, 1);
    if (!near.empty()) return std::move(status).with_hint(fmt::format("did you mean \"{}\"?", near[0]));
    return std::move(status).with_hint(options.step.empty() ? "runi plan FEATURE names the steps"
                                                            : "its files are golden/<feature>/<scenario>/steps/" + slug(wanted) + "/input.ndjson and expected.ndjson");
  }
  if (!options.cases.empty()) {
    return not_found("no golden case is named {}", escape_control(join(options.cases, ", "))).with_hint("runi test runs them all");
  }
  return not_found("there are no golden cases")
      .with_hint("put input into golden/<feature>/<scenario>/input/ and write what comes of it with: runi test --update");
}

}  // namespace

std::vector<CaseInput> case_inputs(const plan::ScenarioPlan& scenario) {
  std::vector<CaseInput> out;
  for (const auto& op : scenario.operators) {
    CaseInput input;
    input.op = op.id;
    input.flow = out.empty();
    if (const auto* source = std::get_if<plan::Source>(&op.parameters)) {
      // "read flights" is the operator that reads data/flights.ndjson.
      if (op.name.starts_with("read ")) input.names.push_back(op.name.substr(5));
      const std::string file = os::file_name_of(source->locator);
      if (source->exec.empty() && !os::has_glob_characters(file)) input.names.push_back(file.substr(0, file.find('.', 1)));
      if (input.names.empty()) input.names.push_back("input");
    } else if (const auto* rows = std::get_if<plan::ScenarioInput>(&op.parameters)) {
      input.names.push_back(slug(rows->scenario) + (rows->output.empty() ? "" : "." + rows->output));
      if (!rows->output.empty()) input.names.push_back(rows->output);
    } else {
      continue;
    }
    out.push_back(std::move(input));
  }
  return out;
}

Result<GoldenReport> run_golden_cases(const Project& project, const std::vector<std::string>& features,
                                      const GoldenOptions& options,
                                      const std::function<void(const GoldenResult&)>& on_result) {
  GoldenReport report;
  std::map<std::string, std::string> steps_seen;
  std::vector<GoldenCase> all_cases;
  bool all_compiled = true;
  const auto add = [&](GoldenResult result) {
    ++(result.passed ? report.passed : report.failed);
    if (on_result) on_result(result);
    report.results.push_back(std::move(result));
  };
  for (const auto& feature : features) {
    if (!may_have_cases(project, feature)) continue;
    auto plan = compile_for(project, options.compile, feature, "");
    if (!plan.ok()) {
      GoldenResult broken;
      broken.golden.feature = broken.golden.folder = feature;
      broken.problem = problem_text(plan.status());
      add(std::move(broken));
      all_compiled = false;
      continue;
    }
    for (const auto& scenario : plan->scenarios) {
      for (const auto& op : scenario.operators) steps_seen.emplace(op.name, dsl::golden_folder(feature, scenario.name));
    }
    std::vector<std::string> strangers;
    const auto found = RUNINK_TRY(find_golden_cases(project.root(), *plan, &strangers));
    all_cases.insert(all_cases.end(), found.begin(), found.end());
    for (const auto& golden : found) {
      if (!chosen(golden, options.cases)) continue;
      if (!options.step.empty() && (golden.step.empty() || slug(golden.step) != slug(options.step))) continue;
      if (!options.only.empty() && (!golden.step.empty() || find_steps(*plan->scenario(golden.scenario), options.only).empty())) continue;
      if (options.stop != nullptr && options.stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
      GoldenResult result;
      RUNINK_RETURN_IF_ERROR(run_case(project, *plan, golden, options, &result));
      add(std::move(result));
    }
    for (const auto& folder : strangers) {
      if (options.cases.empty()) report.notes.push_back(fmt::format("{} belongs to no scenario of {}", escape_control(folder), escape_control(feature)));
    }
  }
  if (options.cases.empty() && all_compiled) {
    for (auto& stray : stray_files(project.root(), all_cases)) report.notes.push_back(std::move(stray));
    const auto all = RUNINK_TRY(features_of(project));
    const bool every_feature = std::all_of(all.begin(), all.end(), [&](const auto& feature) {
      return std::find(features.begin(), features.end(), feature) != features.end();
    });
    if (every_feature) {
      for (auto& stray : stray_folders(project.root(), features, all_cases)) report.notes.push_back(std::move(stray));
    }
  }
  if (report.results.empty()) return nothing_to_run(options, steps_seen);
  return report;
}

Result<GoldenResult> record_golden_case(const Project& project, const plan::Plan& plan, const GoldenCase& golden,
                                        const GoldenOptions& options) {
  GoldenOptions recording = options;
  recording.update = true;
  GoldenResult result;
  RUNINK_RETURN_IF_ERROR(run_case(project, plan, golden, recording, &result));
  return result;
}

}  // namespace runink::local
