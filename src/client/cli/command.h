// The command tree: what `runi` can do, declared once as data.
//
// Everything a person sees of the command line comes from this tree: parsing, `--help`, near-miss suggestions, shell
// completion (generate.h), man pages and docs/reference/cli.md. A command is a value; to add one, write a function
// that returns it (commands/x.cc), and name that function in the tree (commands/tree.cc, or apps/plane for commands that
// start or open a plane). docs/checklists/cli-command.md lists the steps.
//
// Building the tree touches no file and starts no thread, so that `runi --help` stays instant. Immutable after
// building; may be read by several threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::cli {

class Invocation;  // invocation.h

// What a command does. The int is the exit code (exit_code.h); a Status becomes a printed error and the exit code that
// fits it, so a command returns its errors and prints none of them itself.
using RunFunction = Result<int> (*)(Invocation& invocation);

enum class ValueType {
  kText,
  kInteger,   // -12, 1_000 is not one
  kNumber,    // 0.5
  kPercent,   // 2% or 0.02; as a share from 0 to 1
  kBytes,     // 512Mi, 2GB
  kDuration,  // 250ms, 30s, 2h30m, 7d
  kSwitch,    // no value: given or not
};

// What the shell offers for a value. The dynamic ones are answered by the hidden command `__complete KIND`.
enum class Completion {
  kNone,
  kFile,  // any file
  kFolder,
  kFeature,   // *.dsl
  kContract,  // *.contract
  kRun,       // ids of runs in this project's ledger (dynamic)
  kScenario,  // names of scenarios in the project's features (dynamic)
  kCommand,   // names of top-level commands
};

struct Positional {
  std::string name;  // "FEATURE", as help shows it; also the name for Invocation
  std::string help;  // one sentence, lower case, no full stop
  Completion completion = Completion::kNone;
  bool optional = false;
  bool repeated = false;  // only the last one may be
  bool rest = false;      // what follows the first of a repeated one is its, whatever it looks like
  ValueType type = ValueType::kText;
  std::vector<std::string> choices;  // when not empty, the only values allowed
};

struct Flag {
  std::string name;  // "memory", given as --memory; also the name for Invocation
  char letter = 0;   // 'm' for -m; 0 for none
  ValueType type = ValueType::kSwitch;
  std::string value_name;            // "SIZE"; needed unless kSwitch
  std::string help;                  // one sentence, lower case, no full stop
  std::string default_value;         // as it would be typed; "" for none
  std::vector<std::string> choices;  // when not empty, the only values allowed
  Completion completion = Completion::kNone;
  bool repeated = false;  // may be given several times; else a second one is an error
  bool hidden = false;    // not in help, completion or documents
};

struct Example {
  std::string line;  // "runi run features/flights.dsl"
  std::string says;  // what it does, one short sentence
};

struct Command {
  std::string name;         // one word, lower case
  std::string group;        // "project", "contracts", "runs" …: the heading under which `runi --help` lists it
  std::string summary;      // one line, lower case, no full stop
  std::string description;  // paragraphs separated by empty lines; plain text, wrapped when shown
  std::vector<Positional> positionals;
  std::vector<Flag> flags;
  bool lists = false;  // takes -o table|wide|json|yaml|csv|name (output.h); adds the flag "output"
  std::vector<Example> examples;
  std::vector<Command> subcommands;
  RunFunction run = nullptr;  // null for one that only has subcommands
  bool hidden = false;        // not in help, completion or documents
};

// Flags that every command takes: --help, --quiet, --color, --project.
const std::vector<Flag>& global_flags();
// Flags of this command: its own, then "output" if it lists; without the global ones.
std::vector<Flag> flags_of(const Command& command);

// Direct subcommand by name; null if there is none.
const Command* find_subcommand(const Command& command, std::string_view name);
// Names of subcommands that are shown.
std::vector<std::string> subcommand_names(const Command& command);

// Bugs of a declaration, one sentence each: two flags of one name or letter, an optional positional before a required
// one, no help text, a default that its own type refuses, … A unit test holds the real tree to this being empty.
std::vector<std::string> check_tree(const Command& root);

}  // namespace runink::cli
