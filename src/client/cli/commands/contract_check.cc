// runi contract check [CONTRACT…]
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "client/local/check_data.h"
#include "data/contract/history.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/signals.h"

namespace runink::cli {
namespace {

// All contracts of a file; problems are printed, and counted in `failed`.
std::vector<contract::ContractPtr> check_file(Console& console, const std::string& path, size_t* failed) {
  Result<std::string> text = os::read_file(path);
  if (!text.ok()) {
    console.print_error(text.status());
    ++*failed;
    return {};
  }
  Diagnostics diagnostics;
  auto source = std::make_shared<const SourceText>(path, std::move(*text));
  contract::ParsedFile parsed = contract::parse_contracts(source, contract::file_loader(), diagnostics);
  console.err(diagnostics.render());
  if (diagnostics.has_errors()) ++*failed;
  return parsed.contracts;
}

Style verdict_style(const local::QualityOfData& quality) {
  return quality.holds ? Style::kGreen : quality.warn_only ? Style::kYellow : Style::kRed;
}

// --data: every record of the file against the one contract.
Result<int> check_with_data(Invocation& invocation) {
  if (invocation.texts("CONTRACT").size() != 1) return invocation.usage_error("--data goes with exactly one CONTRACT");
  config::ProjectConfig project = RUNINK_TRY(find_project_or_here());
  static StopFlag stop;
  os::install_stop_signals(&stop);
  contract::ContractReference reference = contract::split_reference(invocation.text("CONTRACT"));
  local::DataCheckOptions options;
  options.root = project.root;
  options.contract = RUNINK_TRY(os::absolute_path(reference.path));
  if (!reference.name.empty()) options.contract += "#" + reference.name;
  options.data = "file://" + RUNINK_TRY(os::absolute_path(invocation.text("data")));
  options.format = invocation.text("format");
  options.threads = static_cast<uint32_t>(os::usable_cpu_count());
  options.memory_budget_bytes = project.memory_budget_bytes;
  options.stop = &stop;
  local::DataCheck check = RUNINK_TRY_CONTEXT(local::check_data(options), "check " + invocation.text("data"));

  Table table({{"rule", "RULE"},
               {"verdict", "VERDICT"},
               {"records", "RECORDS"},
               {"line", "FIRST AT"},
               {"example", "EXAMPLE"},
               {"field", "FIELD", true}});
  for (const local::BrokenByData& broken : check.broken) {
    table.add({broken.rule, Cell("rejects").styled(Style::kRed), Cell::count(broken.records),
               broken.line > 0 ? Cell(broken.line) : Cell(), broken.first, broken.field});
  }
  for (const local::QualityOfData& quality : check.qualities) {
    table.add({"quality " + quality.name,
               Cell(quality.holds       ? "holds"
                    : quality.warn_only ? "warns"
                                        : "fails")
                   .styled(verdict_style(quality)),
               Cell(), Cell(), quality.text + ": " + quality.actual, ""});
  }
  for (const auto& [field, records] : check.drift) {
    table.add({"drift", Cell("dropped").styled(Style::kYellow), Cell::count(records), Cell(),
               "field \"" + field + "\" is not in the contract", field});
  }
  if (!table.rows().empty()) RUNINK_RETURN_IF_ERROR(invocation.print(table));
  invocation.console().say(fmt::format("{} records: {} valid, {} rejected", human_count(check.records),
                                       human_count(check.valid), human_count(check.rejected)));
  return check.good() ? kExitDone : kExitDataWrong;
}

Result<int> run(Invocation& invocation) {
  if (invocation.given("data")) return check_with_data(invocation);
  std::vector<std::string> words = invocation.texts("CONTRACT");
  if (words.empty()) {
    words = RUNINK_TRY(contract_files(RUNINK_TRY(find_project()).root));
    if (words.empty())
      return not_found("this project has no contracts")
          .with_hint("write one into contracts/, or: runi contract infer FILE");
  }
  Table table({{"contract", "CONTRACT"},
               {"version", "VERSION"},
               {"fields", "FIELDS"},
               {"rules", "RULES"},
               {"qualities", "QUALITY"},
               {"file", "FILE"},
               {"hash", "HASH", true}});
  size_t failed = 0;
  for (const std::string& path : words) {
    contract::ContractReference reference = contract::split_reference(path);
    for (const contract::ContractPtr& contract : check_file(invocation.console(), reference.path, &failed)) {
      if (!reference.name.empty() && contract->name != reference.name) continue;
      table.add({contract->name, contract->version_text(), Cell(static_cast<uint64_t>(contract->fields.size())),
                 Cell(static_cast<uint64_t>(contract::count_rules(*contract))),
                 Cell(static_cast<uint64_t>(contract->qualities.size())), reference.path, contract->hash});
    }
  }
  if (!table.rows().empty()) RUNINK_RETURN_IF_ERROR(invocation.print(table));
  if (failed > 0) return failed_precondition("{} of {} files do not hold", failed, words.size());
  return kExitDone;
}

}  // namespace

Command contract_check_command() {
  Positional contract = contract_positional();
  contract.optional = contract.repeated = true;
  contract.help = "contract files; all of the project when none is given";
  return {
      .name = "check",
      .summary = "say whether contracts are well written",
      .description =
          "Parses and checks contracts, and says for each problem where it is and what to do. With --data: checks "
          "every record "
          "of a file against one contract; exit code 3 when a record would be rejected or a quality rule of severity "
          "error does not hold. Nothing is written.",
      .positionals = {contract},
      .flags = {{.name = "data",
                 .letter = 'd',
                 .type = ValueType::kText,
                 .value_name = "FILE",
                 .help = "check the records of this file",
                 .completion = Completion::kFile},
                {.name = "format",
                 .type = ValueType::kText,
                 .value_name = "FORMAT",
                 .help = "form of the file, where its name does not say",
                 .choices = {"ndjson", "csv", "arrow"}}},
      .lists = true,
      .examples = {{"runi contract check", "All contracts of the project."},
                   {"runi contract check contracts/flight.contract -d data/new.ndjson", "Does this file keep it?"}},
      .run = run};
}

}  // namespace runink::cli
