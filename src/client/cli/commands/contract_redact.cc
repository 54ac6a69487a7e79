// runi contract redact CONTRACT DATA
#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/redact.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, invocation.text("CONTRACT")));
  config::ProjectConfig project = RUNINK_TRY(find_project_or_here());
  contract::Reader reader;
  reader.roles = project.held_roles;
  const std::string& data = invocation.text("DATA");
  // Without a key, hash and tokenise mask wholly: a file that is given away must not be open to guessing.
  contract::MaskKey no_key;
  uint64_t records = 0;
  Console& console = invocation.console();
  if (invocation.given("out")) {
    const std::string& out = invocation.text("out");
    if (!invocation.enabled("force") && os::exists(out)) {
      return already_exists("{} is there already", escape_control(out)).with_hint("--force replaces it");
    }
    RUNINK_RETURN_IF_ERROR(contract::redact_file(*contract, data, out, reader, no_key, &records));
  } else {
    auto write = [&](std::string_view text) {
      console.out(text);
      return Status();
    };
    RUNINK_RETURN_IF_ERROR(contract::redact_records(*contract, data, reader, no_key, write, &records));
  }
  console.say(human_count(records) + " records");
  return kExitDone;
}

}  // namespace

Command contract_redact_command() {
  Command command{
      .name = "redact",
      .summary = "copy a data file with personal data masked",
      .description =
          "Fields marked pii are masked by their mask, else wholly; roles held in runink.toml lift it. The rest of "
          "each record stays byte for byte as it came. A record that cannot be read is masked wholly.",
      .positionals = {contract_positional(),
                      {.name = "DATA", .help = "NDJSON, CSV or TSV file", .completion = Completion::kFile}},
      .examples = {{"runi contract redact contracts/customer.contract data/customers.csv -O out/customers.csv",
                    "A copy that may be shown."}},
      .run = run};
  for (Flag& flag : out_flags()) command.flags.push_back(std::move(flag));
  return command;
}

}  // namespace runink::cli
