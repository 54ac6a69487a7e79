// runi synth CONTRACT|FEATURE: synthetic records.
#include <fmt/format.h>

#include <deque>
#include <map>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/exit_code.h"
#include "client/cli/invocation.h"
#include "client/cli/progress.h"
#include "client/cli/project.h"
#include "client/local/runner.h"
#include "client/local/synth.h"
#include "client/local/synth_feature.h"
#include "client/local/synth_output.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

// For standard output.
local::SynthWrite to_console(Console& console) {
  return [&console](std::string_view bytes) {
    console.out(console.out_is_terminal() ? os::terminal_text(bytes) : bytes);
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
  if (invocation.given("labels") && options.invalid == 0) {
    return invocation.usage_error("--labels says which records are wrong, and none is without --invalid");
  }
  if (invocation.text("labels") == "-" && (!invocation.given("out") || invocation.text("out") == "-")) {
    return invocation.usage_error(
        "records and labels cannot both go to standard output: give one of --out and --labels a file");
  }
  if (invocation.given("now") && !local::parse_now(invocation.text("now"), &options.now_micros)) {
    return invocation.usage_error("--now is a time such as 2026-01-31T12:00:00Z");
  }
  static StopFlag stop;
  os::install_stop_signals(&stop);
  options.stop = &stop;
  return options;
}

// A file that is to be made.
struct Target {
  contract::ContractPtr contract;
  std::string path;  // "-": standard output
  local::SynthForm form;
};

class Maker {
 public:
  explicit Maker(Invocation& invocation) : invocation_(invocation), console_(invocation.console()) {}

  Status open_labels() {
    if (!invocation_.given("labels")) return {};
    const std::string& path = invocation_.text("labels");
    labels_ = RUNINK_TRY(local::SynthOutput::open(path, local::SynthForm().compression, invocation_.enabled("force"),
                                                  to_console(console_)));
    return {};
  }

  // The file appears with all others, by publish().
  Result<local::SynthReport> make(const Target& target, const local::SynthOptions& options) {
    outputs_.push_back(RUNINK_TRY(local::SynthOutput::open(target.path, target.form.compression,
                                                           invocation_.enabled("force"), to_console(console_))));
    local::SynthOutput& out = outputs_.back();
    Progress progress(console_, "synth " + target.contract->name, Progress::Unit::kRecords, options.records);
    local::SynthWrite label;
    if (labels_) label = [&](std::string_view line) { return labels_->write(line); };
    local::SynthReport report = RUNINK_TRY(local::synthesise(
        target.contract, options, [&](std::string_view bytes) { return out.write(bytes); }, label,
        [&](uint64_t done) { progress.update(done); }));
    progress.finish();
    tell(target, report, out.written());
    return report;
  }

  Status publish() {
    for (auto& out : outputs_) RUNINK_RETURN_IF_ERROR(out.finish());
    return labels_ ? labels_->finish() : Status();
  }

 private:
  void tell(const Target& target, const local::SynthReport& report, uint64_t bytes) {
    console_.say(fmt::format(
        "{} records of {}, {} broken on purpose{}", human_count(report.records), escape_control(target.contract->name),
        human_count(report.broken),
        target.path == "-" ? "" : fmt::format("; {} in {}", human_bytes(bytes), escape_control(target.path))));
    for (const auto& [rule, count] : report.by_rule)
      console_.say(fmt::format("  broken    {} by {}", human_count(count), escape_control(rule)));
    std::map<std::string, std::vector<std::string>> unbroken;  // by reason
    for (const auto& [rule, why] : report.unbroken) unbroken[why].push_back(rule);
    for (const auto& [why, rules] : unbroken) {
      console_.say(fmt::format("  unbroken  {}: {}", escape_control(join(rules, ", ")), escape_control(why)));
    }
    for (const auto& note : report.notes) console_.say("note: " + escape_control(note));
  }

  Invocation& invocation_;
  Console& console_;
  std::optional<local::SynthOutput> labels_;
  std::deque<local::SynthOutput> outputs_;
};

Status of_contract(Invocation& invocation, local::SynthOptions options) {
  Target target;
  target.contract = RUNINK_TRY(load_contract_words(invocation, invocation.text("WHAT")));
  target.path = invocation.given("out") ? invocation.text("out") : "-";
  target.form = RUNINK_TRY(local::synth_form(target.path, invocation.given("format") ? invocation.text("format") : ""));
  options.format = target.form.format;
  options.csv = target.form.csv;
  Maker maker(invocation);
  RUNINK_RETURN_IF_ERROR(maker.open_labels());
  RUNINK_RETURN_IF_ERROR(status_of(maker.make(target, options)));
  return maker.publish();
}

// Of which columns of file `index` the others want keys.
std::vector<std::vector<int>> wanted_keys(const local::SynthPlan& files, size_t index) {
  std::vector<std::vector<int>> out;
  for (const auto& file : files.files) {
    for (const auto& key : file.keys) {
      if (key.file == index) out.push_back(key.other_columns);
    }
  }
  return out;
}

Status of_feature(Invocation& invocation, const local::SynthOptions& options) {
  if (invocation.given("format")) {
    return invocation.usage_error("the sources of a feature say their format themselves; --format is for a contract");
  }
  const local::Project project = RUNINK_TRY(local::Project::find("."));
  Diagnostics diagnostics;
  const plan::Plan plan = RUNINK_TRY(
      project.compile(RUNINK_TRY(path_in_project(project.root(), invocation.text("WHAT"))), {}, &diagnostics));
  const local::SynthPlan files = RUNINK_TRY(local::plan_synthesis(project, plan));
  for (const auto& left_out : files.left_out)
    invocation.console().warn("nothing is made for " + escape_control(left_out));
  if (files.files.empty())
    return failed_precondition("no source of {} is a file with a contract", escape_control(invocation.text("WHAT")));

  // All are refused before one is made.
  std::vector<Target> targets;
  for (const auto& file : files.files) {
    const std::string path = invocation.given("out") ? os::join_path(invocation.text("out"), file.name) : file.path;
    if (!invocation.enabled("force") && os::exists(path)) {
      return already_exists("{} is there already", escape_control(path))
          .with_hint("--force replaces it; --out FOLDER leaves it");
    }
    targets.push_back({file.contract, path, {file.format, file.compression, file.csv}});
  }
  Maker maker(invocation);
  RUNINK_RETURN_IF_ERROR(maker.open_labels());
  std::vector<local::SynthReport> reports;
  for (size_t i = 0; i < files.files.size(); ++i) {
    const local::SynthFile& file = files.files[i];
    local::SynthOptions own = options;
    own.format = file.format;
    own.csv = file.csv;
    own.label_file = file.name;
    own.seed = options.seed + i;
    if (file.joined_with) {
      own.records = local::records_to_look_up(options.records);
      own.fewer_will_do = true;
    }
    own.draw = file.given;
    for (const auto& key : file.keys) {
      // The kept sets of a file stand in the order of wanted_keys().
      for (const auto& kept : reports[key.file].kept) {
        if (kept.columns != key.other_columns) continue;
        own.draw.push_back({key.columns, kept.rows});
        break;
      }
    }
    own.keep = wanted_keys(files, i);
    reports.push_back(RUNINK_TRY(maker.make(targets[i], own)));
  }
  return maker.publish();
}

Result<int> run(Invocation& invocation) {
  const local::SynthOptions options = RUNINK_TRY(read_options(invocation));
  const bool feature = invocation.text("WHAT").ends_with(".dsl");
  RUNINK_RETURN_IF_ERROR(feature ? of_feature(invocation, options) : of_contract(invocation, options));
  return kExitDone;
}

}  // namespace

Command synth_command() {
  return {
      .name = "synth",
      .group = "project",
      .summary = "make synthetic records from a contract or a feature",
      .description =
          "Every record keeps the contract: types, ranges, patterns, unique fields, checks. Names, cities, e-mail "
          "addresses and the like follow from what fields are called. The same seed gives the same bytes.\n"
          "\n"
          "With --invalid a share of the records breaks one rule each, all rules of the contract in turn; --labels "
          "says which line breaks which rule of which field, so that it can be seen that each rule fires.\n"
          "\n"
          "Of a feature, the file of each source that has a contract is made, under its path in the project or, with "
          "--out, "
          "under the same path in another folder. Keys of a join are drawn from the file joined with, which gets a "
          "tenth of "
          "the records (at most 10,000).",
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
                 .help = "write which line breaks which rule, as NDJSON",
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
