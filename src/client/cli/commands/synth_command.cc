// runi synth CONTRACT|FEATURE: synthetic records.
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/exit_code.h"
#include "client/cli/invocation.h"
#include "client/cli/progress.h"
#include "client/cli/project.h"
#include "client/local/runner.h"
#include "client/local/synth.h"
#include "client/local/synth_output.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"

namespace runink::cli {
namespace {

// For standard output.
local::SynthWrite to_console(Console& console) {
  return [&console](std::string_view bytes) {
    console.out(bytes);
    return console.flush();
  };
}

Result<local::SynthOptions> read_options(Invocation& invocation) {
  local::SynthOptions options;
  if (invocation.integer("records") < 0) return invocation.usage_error("--records is a number of records");
  options.records = static_cast<uint64_t>(invocation.integer("records"));
  options.seed = static_cast<uint64_t>(invocation.integer("seed"));
  options.invalid = invocation.number("invalid");
  if (options.invalid < 0 || options.invalid > 1) return invocation.usage_error("--invalid is a share from 0% to 100%");
  if (invocation.given("now") && !local::parse_now(invocation.text("now"), &options.now_micros)) {
    return invocation.usage_error("--now is a time such as 2026-01-31T12:00:00Z");
  }
  static StopFlag stop;
  os::install_stop_signals(&stop);
  options.stop = &stop;
  return options;
}

// One file of records, with its labels.
Result<local::SynthReport> make_file(Invocation& invocation, const contract::ContractPtr& contract,
                                     const local::SynthOptions& options, const std::string& path,
                                     const local::SynthForm& form, local::SynthOutput* labels) {
  Console& console = invocation.console();
  local::SynthOutput out = RUNINK_TRY(
      local::SynthOutput::open(path, form.compression, invocation.enabled("force"), to_console(console)));
  Progress progress(console, "synth " + contract->name, Progress::Unit::kRecords, options.records);
  local::SynthWrite label;
  if (labels != nullptr) label = [&](std::string_view line) { return labels->write(line); };
  local::SynthReport report = RUNINK_TRY(local::synthesise(
      contract, options, [&](std::string_view bytes) { return out.write(bytes); }, label,
      [&](uint64_t done) { progress.update(done); }));
  progress.finish();
  RUNINK_RETURN_IF_ERROR(out.finish());
  console.say(
      fmt::format("{} records of {}, {} broken on purpose{}", human_count(report.records), contract->name,
                  human_count(report.broken),
                  path == "-" ? "" : fmt::format("; {} in {}", human_bytes(out.written()), escape_control(path))));
  for (const auto& [rule, count] : report.by_rule)
    console.say(fmt::format("  broken    {} by {}", human_count(count), escape_control(rule)));
  if (!report.never_broken.empty()) {
    console.say(fmt::format("  unbroken  {}: not with so few records, or not in this format",
                            escape_control(join(report.never_broken, ", "))));
  }
  return report;
}

Result<int> of_contract(Invocation& invocation, local::SynthOptions options, local::SynthOutput* labels) {
  const contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, invocation.text("WHAT")));
  const std::string path = invocation.given("out") ? invocation.text("out") : "-";
  const local::SynthForm form =
      RUNINK_TRY(local::synth_form(path, invocation.given("format") ? invocation.text("format") : ""));
  options.format = form.format;
  options.csv = form.csv;
  RUNINK_RETURN_IF_ERROR(status_of(make_file(invocation, contract, options, path, form, labels)));
  return kExitDone;
}

Result<int> of_feature(Invocation& invocation, const local::SynthOptions& options, local::SynthOutput* labels) {
  if (invocation.given("format"))
    return invocation.usage_error("the sources of a feature say their format themselves; --format is for a contract");
  const local::Project project = RUNINK_TRY(local::Project::find("."));
  Diagnostics diagnostics;
  const plan::Plan plan = RUNINK_TRY(
      project.compile(RUNINK_TRY(path_in_project(project.root(), invocation.text("WHAT"))), {}, &diagnostics));
  const local::SynthPlan files = RUNINK_TRY(local::plan_synthesis(project, plan));
  for (const auto& left_out : files.left_out)
    invocation.console().warn("nothing is made for " + escape_control(left_out));
  if (files.files.empty())
    return failed_precondition("no source of {} is a file with a contract", invocation.text("WHAT"));
  std::vector<local::SynthReport> reports;
  for (size_t i = 0; i < files.files.size(); ++i) {
    const auto& file = files.files[i];
    local::SynthOptions own = options;
    own.format = file.format;
    own.csv = file.csv;
    own.seed = options.seed + i;
    for (const auto& key : file.keys) own.draw[key.column] = reports[key.file].kept[key.other_column];
    for (const auto& later : files.files) {
      for (const auto& key : later.keys) {
        if (key.file == i) own.keep.push_back(key.other_column);
      }
    }
    const std::string path =
        invocation.given("out") ? invocation.text("out") + "/" + os::file_name_of(file.path) : file.path;
    reports.push_back(RUNINK_TRY(make_file(invocation, file.contract, own, path, {file.format, file.compression, file.csv}, labels)));
  }
  return kExitDone;
}

Result<int> run(Invocation& invocation) {
  const local::SynthOptions options = RUNINK_TRY(read_options(invocation));
  std::optional<local::SynthOutput> labels;
  if (invocation.given("labels")) {
    labels = RUNINK_TRY(local::SynthOutput::open(invocation.text("labels"), local::SynthForm().compression,
                                                 invocation.enabled("force"), to_console(invocation.console())));
  }
  const bool feature = invocation.text("WHAT").ends_with(".dsl");
  const int code = RUNINK_TRY(feature ? of_feature(invocation, options, labels ? &*labels : nullptr)
                                      : of_contract(invocation, options, labels ? &*labels : nullptr));
  if (labels) RUNINK_RETURN_IF_ERROR(labels->finish());
  return code;
}

}  // namespace

Command synth_command() {
  return {
      .name = "synth",
      .group = "project",
      .summary = "make synthetic records from a contract or a feature",
      .description =
          "Every record keeps the contract: types, ranges, patterns, unique fields, checks. Names, cities, e-mail "
          "addresses and the "
          "like follow from what fields are called. The same seed gives the same bytes.\n"
          "\n"
          "With --invalid a share of the records breaks one rule each, all rules of the contract in turn; --labels "
          "says which "
          "record breaks which, so that it can be seen that each rule fires.\n"
          "\n"
          "Of a feature, the file of each source that has a contract is made; keys of a join are drawn from the file "
          "joined with.",
      .positionals = {{.name = "WHAT",
                       .help = "a contract (contracts/x.contract, Name@1.2.0) or a feature (features/x.dsl)",
                       .completion = Completion::kFile}},
      .flags = {{.name = "records",
                 .letter = 'n',
                 .type = ValueType::kInteger,
                 .value_name = "N",
                 .help = "how many records",
                 .default_value = "1000"},
                {.name = "seed",
                 .type = ValueType::kInteger,
                 .value_name = "S",
                 .help = "another seed gives other records",
                 .default_value = "1"},
                {.name = "invalid",
                 .type = ValueType::kPercent,
                 .value_name = "SHARE",
                 .help = "share of records that break a rule on purpose",
                 .default_value = "0%"},
                {.name = "labels",
                 .type = ValueType::kText,
                 .value_name = "FILE",
                 .help = "write which record breaks which rule, as NDJSON",
                 .completion = Completion::kFile},
                {.name = "format",
                 .type = ValueType::kText,
                 .value_name = "FORMAT",
                 .help = "form of the records (default: by the end of --out, else ndjson)",
                 .choices = {"ndjson", "csv", "tsv", "arrow"}},
                {.name = "out",
                 .letter = 'O',
                 .type = ValueType::kText,
                 .value_name = "FILE",
                 .help = "write to this file (of a feature: into this folder) instead of standard output (the sources' "
                         "own paths)",
                 .completion = Completion::kFile},
                {.name = "force", .letter = 'f', .help = "replace files that are there already"},
                {.name = "now",
                 .type = ValueType::kText,
                 .value_name = "TIME",
                 .help = "dates lie in the two years before it",
                 .default_value = "2026-01-01T00:00:00Z"}},
      .examples = {{"runi synth contracts/order.contract -n 5", "Five orders to look at."},
                   {"runi synth features/orders.dsl -n 100000 --out /tmp/data", "Files for all sources of a feature."},
                   {"runi synth contracts/order.contract --invalid 2% --labels labels.ndjson -O orders.ndjson",
                    "Some bad ones, and which they are."}},
      .run = run};
}

}  // namespace runink::cli
