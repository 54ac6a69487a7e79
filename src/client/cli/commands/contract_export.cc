// runi contract export CONTRACT --to odcs|json-schema
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/exchange.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, invocation.text("CONTRACT")));
  contract::ExportOptions options;
  options.extensions = !invocation.enabled("plain");
  contract::Exchanged exchanged =
      RUNINK_TRY(invocation.text("to") == "odcs" ? contract::export_odcs(*contract, options)
                                                 : contract::export_json_schema(*contract, options));
  RUNINK_RETURN_IF_ERROR(write_output(invocation, exchanged.text));
  for (const std::string& sentence : exchanged.not_carried) invocation.console().warn("not carried over: " + sentence);
  return kExitDone;
}

}  // namespace

Command contract_export_command() {
  Command command{
      .name = "export",
      .summary = "write a contract as ODCS 3.1 or JSON Schema 2020-12",
      .description =
          "What only Runink can say travels in the standard's own room for extensions, so that the contract comes "
          "back by import with the same hash. What the standard cannot say is listed on standard error; with --plain "
          "everything that is not the same when the text is read back.",
      .positionals = {contract_positional()},
      .flags = {{.name = "to",
                 .letter = 't',
                 .type = ValueType::kText,
                 .value_name = "STANDARD",
                 .help = "standard to write",
                 .default_value = "odcs",
                 .choices = {"odcs", "json-schema"}},
                {.name = "plain", .help = "no extensions: only words of the standard itself"}},
      .examples = {{"runi contract export contracts/flight.contract -O flight.odcs.yaml", "ODCS YAML."},
                   {"runi contract export contracts/flight.contract --to json-schema", "JSON Schema."}},
      .run = run};
  for (Flag& flag : out_flags()) command.flags.push_back(std::move(flag));
  return command;
}

}  // namespace runink::cli
