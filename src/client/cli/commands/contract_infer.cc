// runi contract infer FILE
#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "client/local/data_file.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

// "data/flight-feed.ndjson" → "FlightFeed".
std::string name_from_file(const std::string& path) {
  std::string name;
  bool upper = true;
  for (char c : os::file_name_of(path)) {
    if (c == '.') break;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
    if (!letter && !(digit && !name.empty())) {
      upper = true;
      continue;
    }
    name += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return name.empty() ? "Data" : name;
}

Result<int> run(Invocation& invocation) {
  const std::string& file = invocation.text("FILE");
  contract::InferOptions options;
  options.contract_name = invocation.given("name") ? invocation.text("name") : name_from_file(file);
  options.owner = invocation.text("owner");
  options.max_records = static_cast<uint64_t>(invocation.integer("records"));
  options.ranges_as_comments = !invocation.enabled("ranges");
  const std::string& format = invocation.text("format");
  const local::DataFile data{file, format == "guess" ? "" : format};
  std::string text = RUNINK_TRY_CONTEXT(local::infer_contract(data, options), "infer a contract from " + file);
  RUNINK_RETURN_IF_ERROR(write_output(invocation, text));
  return kExitDone;
}

}  // namespace

Command contract_infer_command() {
  Command command{
      .name = "infer",
      .summary = "guess a contract from sample data",
      .description =
          "Reads records of a file and writes the contract that they all keep: types, formats of dates, which "
          "fields are always there, enums, and fields that look like personal data, marked pii. It is a first "
          "draft to be read by someone who knows the data.",
      .positionals = {{.name = "FILE",
                       .help = "NDJSON, CSV, TSV or Arrow IPC, plain, gzip or zstd; \"-\" is standard input",
                       .completion = Completion::kFile}},
      .flags = {{.name = "name",
                 .letter = 'n',
                 .type = ValueType::kText,
                 .value_name = "NAME",
                 .help = "name of the contract; made from the file's name otherwise"},
                {.name = "owner", .type = ValueType::kText, .value_name = "WHO", .help = "owner to write into it"},
                {.name = "format",
                 .type = ValueType::kText,
                 .value_name = "FORMAT",
                 .help = "form of the file",
                 .default_value = "guess",
                 .choices = {"guess", "ndjson", "csv", "tsv", "arrow"}},
                {.name = "records",
                 .type = ValueType::kInteger,
                 .value_name = "N",
                 .help = "records to look at; 0 is all",
                 .default_value = "100000"},
                {.name = "ranges", .help = "make rules of the smallest and largest values seen, not only comments"}},
      .examples = {{"runi contract infer data/flights.ndjson", "Print a draft."},
                   {"runi contract infer data/airports.csv -n Airport -O contracts/airport.contract",
                    "Write it to a file."},
                   {"curl -s https://example.org/orders.csv.gz | runi contract infer -", "From a pipe."}},
      .run = run};
  for (Flag& flag : out_flags()) command.flags.push_back(std::move(flag));
  return command;
}

}  // namespace runink::cli
