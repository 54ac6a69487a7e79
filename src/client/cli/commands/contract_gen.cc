// runi contract gen CONTRACT: the C++ header for custom steps.
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/gen.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, invocation.text("CONTRACT")));
  contract::GenOptions options;
  options.name_space = invocation.text("namespace");
  RUNINK_RETURN_IF_ERROR(write_output(invocation, contract::generate_cpp_header(*contract, options)));
  return kExitDone;
}

}  // namespace

Command contract_gen_command() {
  Command command{
      .name = "gen",
      .summary = "print the C++ header of a contract for custom steps",
      .description =
          "The header holds the row's struct, the view of its columns, and the hash that ties a compiled step to "
          "the contract it was compiled for. It needs only the step SDK. `runi compile` makes it by itself.",
      .positionals = {contract_positional()},
      .flags = {{.name = "namespace",
                 .type = ValueType::kText,
                 .value_name = "NAME",
                 .help = "C++ namespace of the types",
                 .default_value = "contracts"}},
      .examples = {{"runi contract gen contracts/flight.contract -O steps/flight.h",
                    "Write the header beside the steps."}},
      .run = run};
  for (Flag& flag : out_flags()) command.flags.push_back(std::move(flag));
  return command;
}

}  // namespace runink::cli
