// docs/reference/cli.md.
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/generate.h"
#include "client/cli/generate_shell.h"
#include "client/cli/help.h"

namespace runink::cli {
namespace {

// Text of a table cell or paragraph: what Markdown would take as syntax is escaped.
std::string plain(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '`') out += '\\';
    out += c;
  }
  return out;
}

std::string code(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return "`" + out + "`";
}

std::string codes(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) out.push_back(code(text));
  return join(out, ", ");
}

std::string flag_table(const std::vector<Flag>& flags) {
  std::string rows;
  for (const Flag& flag : flags) {
    if (flag.hidden) continue;
    std::string help = plain(flag.help);
    if (!flag.choices.empty()) help += ": " + codes(flag.choices);
    if (flag.repeated) help += "; may be given several times";
    rows += fmt::format("| {} | {} | {} |\n", code(trim(flag_heading(flag))), help,
                        flag.default_value.empty() ? "" : code(flag.default_value));
  }
  return rows.empty() ? "" : "\n| Flag | Meaning | Default |\n|---|---|---|\n" + rows;
}

// A description as it stands; indented lines are Markdown code blocks once they have four spaces.
std::string description(std::string_view text) {
  std::string out;
  for (std::string_view line : split(text, '\n')) {
    out += !line.empty() && line[0] == ' ' ? "  " + std::string(line) : plain(line);
    out += '\n';
  }
  return out;
}

std::string command_section(const CommandPath& path) {
  const Command& command = *path.command;
  const std::string full = "runi " + path.joined(" ");
  std::string out =
      fmt::format("\n{} {}\n\n{}.\n", path.words.size() == 1 ? "##" : "###", full, plain(command.summary));
  out += "\n```\n" + usage_line(command, full) + "\n```\n";
  if (!command.description.empty()) out += "\n" + description(command.description);
  if (!command.positionals.empty()) {
    out += "\n| Argument | Meaning |\n|---|---|\n";
    for (const Positional& positional : command.positionals) {
      std::string help = plain(positional.help);
      if (!positional.choices.empty()) help += ": " + codes(positional.choices);
      out += fmt::format("| {} | {} |\n", code(positional_heading(positional)), help);
    }
  }
  out += flag_table(flags_of(command));
  if (!command.examples.empty()) out += "\n";
  for (const Example& example : command.examples) {
    out += fmt::format("* {}: {}\n", code(example.line), plain(example.says));
  }
  return out;
}

constexpr std::string_view kExitCodes = R"(
## Exit codes

| Code | Meaning |
|---|---|
| 0 | done; rejected records alone are a warning |
| 1 | failed |
| 2 | wrong usage |
| 3 | the data is wrong: an assertion, a quality rule of severity error, a golden case, `contract check --data` |
| 4 | cannot reach the server |
| 5 | not allowed |
| 6 | not found |
| 7 | conflict |
| 124 | timed out |
| 130 | interrupted |
)";

}  // namespace

std::string markdown_reference(const Command& root) {
  std::string out = "# The runi command line\n\n";
  out += "Generated from the command tree by `./dev fmt reference`; do not edit by hand.\n\n";
  out += description(root.description);
  out += "\n| Group | Command | What it does |\n|---|---|---|\n";
  std::string group;
  for (const Command& sub : root.subcommands) {
    if (sub.hidden) continue;
    out += fmt::format("| {} | [{}](#runi-{}) | {} |\n", sub.group == group ? "" : sub.group, sub.name, sub.name,
                       plain(sub.summary));
    group = sub.group;
  }
  out += "\n## Flags of every command\n" + flag_table(global_flags());
  for (const CommandPath& path : shown_commands(root)) {
    if (!path.words.empty()) out += command_section(path);
  }
  return out + std::string(kExitCodes);
}

}  // namespace runink::cli
