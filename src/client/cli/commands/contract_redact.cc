// runi contract redact CONTRACT DATA
#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "client/local/data_file.h"
#include "platform/os/file.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, invocation.text("CONTRACT")));
  config::ProjectConfig project = RUNINK_TRY(find_project_or_here());
  contract::Reader reader;
  reader.roles = project.held_roles;
  const std::string& format = invocation.text("format");
  const local::DataFile data{invocation.text("DATA"), format == "guess" ? "" : format};
  // Without a key, hash and tokenise mask wholly: a file that is given away must not be open to guessing.
  contract::MaskKey no_key;
  uint64_t records = 0;
  Console& console = invocation.console();
  if (invocation.given("out")) {
    const std::string& out = invocation.text("out");
    if (!invocation.enabled("force") && os::exists(out)) {
      return already_exists("{} is there already", escape_control(out)).with_hint("--force replaces it");
    }
    records = RUNINK_TRY(local::redact_data_to(out, *contract, data, reader, no_key));
  } else {
    os::TerminalText terminal;
    auto write = [&](std::string_view text) {
      console.out(console.out_is_terminal() ? terminal.next(text) : text);
      return Status();
    };
    records = RUNINK_TRY(local::redact_data(*contract, data, reader, no_key, write));
    console.out(terminal.rest());
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
          "Fields marked pii are masked by their mask, else wholly; roles held in runink.toml (docs/guide/settings.md) lift it. The rest of "
          "each record stays byte for byte as it came. A record that cannot be read is masked wholly. Arrow stays Arrow; "
          "what was compressed is written plain, unless the name of --out ends in .gz or .zst.",
      .positionals = {contract_positional(),
                      {.name = "DATA",
                       .help = "NDJSON, CSV, TSV or Arrow IPC, plain, gzip or zstd; \"-\" is standard input",
                       .completion = Completion::kFile}},
      .flags = {{.name = "format",
                 .type = ValueType::kText,
                 .value_name = "FORMAT",
                 .help = "form of the data",
                 .default_value = "guess",
                 .choices = {"guess", "ndjson", "csv", "tsv", "arrow"}}},
      .examples = {{"runi contract redact contracts/customer.contract data/customers.csv -O out/customers.csv",
                    "A copy that may be shown."}},
      .run = run};
  for (Flag& flag : out_flags()) command.flags.push_back(std::move(flag));
  return command;
}

}  // namespace runink::cli
