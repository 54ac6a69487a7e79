// runi contract diff CONTRACT [OTHER]: two versions, the working file against the highest release, or against data.
#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "client/local/check_data.h"
#include "client/local/data_file.h"
#include "data/contract/diff.h"
#include "data/contract/history.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/signals.h"

namespace runink::cli {
namespace {

using contract::ContractPtr;

bool is_contract_words(const std::string& words) {
  return words.find('@') != std::string::npos || words.find(".contract") != std::string::npos;
}

Style style_of(contract::Impact impact) {
  switch (impact) {
    case contract::Impact::kNone:
      return Style::kDim;
    case contract::Impact::kCompatible:
      return Style::kGreen;
    default:
      return Style::kRed;
  }
}

Status print_changes(Invocation& invocation, const ContractPtr& before, const ContractPtr& after,
                     const contract::ContractDiff& diff) {
  Table table({{"impact", "IMPACT"},
               {"change", "CHANGE"},
               {"kind", "KIND", true},
               {"field", "FIELD", true},
               {"before", "BEFORE", true},
               {"after", "AFTER", true}});
  for (const contract::Change& change : diff.changes) {
    table.add({Cell(std::string(contract::impact_text(change.impact))).styled(style_of(change.impact)), change.sentence,
               change.kind, change.field, change.before, change.after});
  }
  table.set_empty_note("no difference");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  if (!diff.changes.empty()) {
    invocation.console().say(fmt::format("{} {} -> {}: asks for a {} version", after->name, before->version_text(),
                                         after->version_text(), contract::bump_text(diff.required())));
  }
  return {};
}

// The working file against the highest release. A breaking change without a major bump is an error.
Result<int> diff_with_release(Invocation& invocation, const ContractPtr& working) {
  config::ProjectConfig project = RUNINK_TRY(find_project());
  Result<ContractPtr> released = contract::History(project.root).load_highest(working->name);
  if (!released.ok()) {
    if (released.status().code() != Code::kNotFound) return std::move(released).status();
    return not_found("{} has no released version to compare with", working->name)
        .with_hint("release it with: runi contract release " + place_of(*working) +
                   "; or name another contract or a data file");
  }
  contract::ContractDiff diff = contract::diff_contracts(**released, *working);
  RUNINK_RETURN_IF_ERROR(print_changes(invocation, *released, working, diff));
  if (!diff.changes.empty()) RUNINK_RETURN_IF_ERROR(contract::check_bump(**released, *working, diff));
  return kExitDone;
}

// The same records through the checker that runs use: what it says decides, drift only says how the data came to differ.
Result<local::DataCheck> check_sample(const contract::Contract& contract, const local::DataFile& file,
                                      uint64_t records_max) {
  config::ProjectConfig project = RUNINK_TRY(find_project_or_here());
  static StopFlag stop;
  os::install_stop_signals(&stop);
  local::DataCheckOptions options;
  options.root = project.root;
  options.contract = RUNINK_TRY(os::absolute_path(place_of(contract))) + "#" + contract.name;
  options.data = "file://" + RUNINK_TRY(os::absolute_path(file.path));
  options.format = file.format;
  options.records_max = records_max;
  options.threads = static_cast<uint32_t>(os::usable_cpu_count());
  options.memory_budget_bytes = project.memory_budget_bytes;
  options.stop = &stop;
  return local::check_data(options);
}

Result<int> diff_with_data(Invocation& invocation, const ContractPtr& contract, const std::string& path) {
  contract::InferOptions options;
  options.max_records = static_cast<uint64_t>(invocation.integer("records"));
  const local::RereadableFile data = RUNINK_TRY(local::make_rereadable({path, ""}));
  contract::DataProfile profile = RUNINK_TRY(local::profile_data(data.file, options));
  Table table({{"severity", "SEVERITY"},
               {"drift", "DRIFT"},
               {"kind", "KIND", true},
               {"field", "FIELD", true},
               {"expected", "EXPECTED", true},
               {"found", "FOUND", true}});
  Result<local::DataCheck> check = check_sample(*contract, data.file, profile.complete ? 0 : options.max_records);
  // What cannot be judged at all (a CSV header without a required column) is refused too, where drift says the same.
  const bool judged = check.ok();
  // By field; rules of whole records by their own name.
  const auto place = [](const local::BrokenByData& broken) { return broken.field.empty() ? broken.rule : broken.field; };
  std::set<std::string> refused, told;
  for (size_t i = 0; judged && i < check->broken.size(); ++i) refused.insert(place(check->broken[i]));
  bool wrong = judged && check->rejected > 0;
  if (profile.unreadable > 0) {
    told.insert("record");
    wrong = true;
    table.add({Cell("error").styled(Style::kRed),
               fmt::format("{} records cannot be read, the first at {}", human_count(profile.unreadable),
                           profile.first_unreadable),
               "record.unreadable", "", "", ""});
  }
  for (const contract::Drift& drift : contract::drift_of(*contract, profile)) {
    const bool error = drift.error && (!judged || refused.contains(drift.field));
    wrong |= error;
    if (error) told.insert(drift.field);
    table.add({error ? Cell("error").styled(Style::kRed) : Cell("note").styled(Style::kYellow), drift.sentence,
               drift.kind, drift.field, drift.expected, drift.found});
  }
  if (!judged && !wrong) return std::move(check).status();
  for (size_t i = 0; judged && i < check->broken.size(); ++i) {
    const local::BrokenByData& broken = check->broken[i];
    if (told.contains(place(broken))) continue;
    table.add({Cell("error").styled(Style::kRed),
               fmt::format("{}: {} {} refused, the first{}: {}", broken.rule, human_count(broken.records),
                           broken.records == 1 ? "record is" : "records are",
                           broken.line > 0 ? fmt::format(" at line {}", broken.line) : "", broken.first),
               "rule.broken", broken.field, "", human_count(broken.records)});
  }
  for (size_t i = 0; judged && profile.complete && i < check->qualities.size(); ++i) {
    const local::QualityOfData& quality = check->qualities[i];
    if (quality.holds) continue;
    wrong |= !quality.warn_only;
    table.add({quality.warn_only ? Cell("note").styled(Style::kYellow) : Cell("error").styled(Style::kRed),
               fmt::format("quality {} does not hold: {}: {}", quality.name, quality.text, quality.actual),
               "quality.broken", "quality " + quality.name, quality.text, quality.actual});
  }
  table.set_empty_note(fmt::format("{} fits {}", escape_control(path), contract->name));
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  invocation.console().say(fmt::format("{} records of {} looked at{}", human_count(profile.records),
                                       escape_control(path), profile.complete ? "" : "; --records 0 looks at all"));
  return wrong ? kExitDataWrong : kExitDone;
}

Result<int> run(Invocation& invocation) {
  ContractPtr first = RUNINK_TRY(load_contract_words(invocation, invocation.text("CONTRACT")));
  if (!invocation.given("OTHER")) return diff_with_release(invocation, first);
  const std::string& other = invocation.text("OTHER");
  if (!is_contract_words(other)) return diff_with_data(invocation, first, other);
  ContractPtr second = RUNINK_TRY(load_contract_words(invocation, other));
  const contract::ContractDiff diff = contract::diff_contracts(*first, *second);
  RUNINK_RETURN_IF_ERROR(print_changes(invocation, first, second, diff));
  // Two contracts of other names are two contracts, not two versions of one.
  const bool versions = first->name == second->name && first->version && second->version;
  if (versions && (diff.breaks_readers() || diff.breaks_writers())) {
    RUNINK_RETURN_IF_ERROR(contract::check_bump(*first, *second, diff));
  }
  return kExitDone;
}

}  // namespace

Command contract_diff_command() {
  return {
      .name = "diff",
      .summary = "say what changed and whom it breaks, or how far data has drifted",
      .description =
          "With one contract: the working file against its highest release; a breaking change without a major bump is "
          "an "
          "error. With two: the first (older) against the second, by the same measure where both are versions of one "
          "contract. With a data file: drift, fields and values that the contract does not expect; exit code 3 when "
          "records would be rejected, or (of a file that was read whole) a quality rule of severity error does not hold: "
          "judged as contract check --data does.\n"
          "\n"
          "A change breaks readers when new data may not be what they were promised (removed, retyped, loosened, enum "
          "value "
          "added), and writers when data that was valid may now be refused (required added, tightened, enum value "
          "removed).",
      .positionals = {contract_positional(),
                      {.name = "OTHER",
                       .help = "another contract, a release (Flight@1.2.0), or a data file",
                       .completion = Completion::kFile,
                       .optional = true}},
      .flags = {{.name = "records",
                 .type = ValueType::kInteger,
                 .value_name = "N",
                 .help = "records of a data file to look at; 0 is all",
                 .default_value = "100000"}},
      .lists = true,
      .examples = {{"runi contract diff contracts/flight.contract", "Against the highest release."},
                   {"runi contract diff Flight@1.0.0 Flight@2.0.0", "Two releases."},
                   {"runi contract diff contracts/flight.contract data/new.ndjson", "Has the feed drifted?"}},
      .run = run};
}

}  // namespace runink::cli
