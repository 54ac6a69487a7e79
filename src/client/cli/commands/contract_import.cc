// runi contract import FILE
#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/exchange.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  const std::string& file = invocation.text("FILE");
  std::string standard = invocation.text("from");
  if (standard == "guess") standard = file.ends_with(".json") ? "json-schema" : "odcs";
  std::string text = RUNINK_TRY(os::read_file(file));
  contract::Exchanged exchanged = RUNINK_TRY_CONTEXT(
      standard == "odcs" ? contract::import_odcs(text, file) : contract::import_json_schema(text, file),
      "import " + file + " as " + standard);
  RUNINK_RETURN_IF_ERROR(write_output(invocation, exchanged.text));
  for (const std::string& sentence : exchanged.not_carried) invocation.console().warn("not carried over: " + sentence);
  return kExitDone;
}

}  // namespace

Command contract_import_command() {
  Command command{
      .name = "import",
      .summary = "make a contract from ODCS 3.1 or JSON Schema 2020-12",
      .description = "What Runink cannot say is listed on standard error, one sentence each.",
      .positionals = {{.name = "FILE", .help = "ODCS YAML or JSON Schema", .completion = Completion::kFile}},
      .flags = {{.name = "from",
                 .type = ValueType::kText,
                 .value_name = "STANDARD",
                 .help = "standard of the file; guess: JSON Schema for *.json, else ODCS",
                 .default_value = "guess",
                 .choices = {"guess", "odcs", "json-schema"}}},
      .examples = {{"runi contract import flight.odcs.yaml -O contracts/flight.contract",
                    "Make a contract of an ODCS file."}},
      .run = run};
  for (Flag& flag : out_flags()) command.flags.push_back(std::move(flag));
  return command;
}

}  // namespace runink::cli
