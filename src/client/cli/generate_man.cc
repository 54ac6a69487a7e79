// Manual pages in mdoc(7).
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/generate.h"
#include "client/cli/generate_shell.h"
#include "client/cli/help.h"

namespace runink::cli {
namespace {

// The day on which the pages last changed in meaning; not the day of the build, so that builds are reproducible.
constexpr std::string_view kPageDate = "November 21, 2026";

// Text of a page: a backslash is \e, a leading dot or quote must not look like a request, ASCII minus is \-.
std::string man_text(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool line_start = i == 0 || text[i - 1] == '\n';
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '(' && text.substr(i, 2) == "()") {
      out += "\\&(";  // "now()" is not the name of a C function
    } else if (static_cast<unsigned char>(c) == 0xE2 && text.substr(i, 3) == "…") {
      out += "...";
      i += 2;
    } else {
      out += c;
    }
  }
  return out;
}

// Running text: a new line for each sentence, lines under 80 bytes, as mandoc -T lint asks.
std::string man_lines(std::string_view text) {
  std::string out, line;
  auto end_line = [&] {
    if (!line.empty()) out += man_text(line) + "\n";
    line.clear();
  };
  for (std::string_view word : split(text, ' ')) {
    if (word.empty()) continue;
    if (!line.empty() && line.size() + 1 + word.size() > 72) end_line();
    if (!line.empty()) line += ' ';
    line += word;
    if (word.ends_with('.') || word.ends_with('?') || word.ends_with('!')) end_line();
  }
  end_line();
  return out;
}

std::string paragraphs(std::string_view text) {
  std::string out;
  bool literal = false;
  for (std::string_view line : split(text, '\n')) {
    bool indented = !line.empty() && line[0] == ' ';
    if (indented != literal && !(literal && trim(line).empty())) {
      out += indented ? ".Bd -literal -offset indent\n" : ".Ed\n";
      literal = indented;
    }
    if (trim(line).empty()) {
      if (!literal && !out.empty()) out += ".Pp\n";
      continue;
    }
    out += literal ? man_text(line) + "\n" : man_lines(trim(line));
  }
  if (literal) out += ".Ed\n";
  // A paragraph break right before a display or at the end is one too many.
  for (size_t at; (at = out.find(".Pp\n.Bd")) != std::string::npos;) out.erase(at, 4);
  while (out.ends_with(".Pp\n")) out.erase(out.size() - 4);
  return out;
}

std::string flag_list(const std::vector<Flag>& flags) {
  std::string items;
  for (const Flag& flag : flags) {
    if (flag.hidden) continue;
    items += ".It ";
    if (flag.letter) items += fmt::format("Fl {} , ", flag.letter);
    items += "Fl \\-" + flag.name;
    if (flag.type != ValueType::kSwitch) items += " Ar " + flag.value_name;
    items += "\n" + man_lines(flag.help + ".");
    if (!flag.choices.empty()) items += man_lines("One of: " + join(flag.choices, ", ") + ".");
    if (!flag.default_value.empty()) items += "Default: " + man_text(flag.default_value) + ".\n";
    if (flag.repeated) items += "May be given several times.\n";
  }
  return items.empty() ? "" : ".Bl -tag -width Ds\n" + items + ".El\n";
}

std::string synopsis(const CommandPath& path) {
  const Command& command = *path.command;
  std::string out = path.words.empty() ? ".Nm\n" : ".Nm runi " + path.joined(" ") + "\n";
  if (!flags_of(command).empty()) out += ".Op Ar flags\n";
  if (!command.run && !command.subcommands.empty()) return out + ".Ar COMMAND\n";
  for (const Positional& positional : command.positionals) {
    out += positional.optional ? ".Op Ar " : ".Ar ";
    out += positional.name + (positional.repeated ? " ..." : "") + "\n";
  }
  return out;
}

std::string sentence(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  if (!out.ends_with('.')) out += ".";
  return out;
}

// Description, arguments, flags and examples of one command.
std::string body(const CommandPath& path) {
  const Command& command = *path.command;
  std::string out = man_lines(sentence(command.summary));
  if (!command.description.empty()) out += ".Pp\n" + paragraphs(command.description);
  std::string items;
  for (const Positional& positional : command.positionals) {
    items += ".It Ar " + positional.name + "\n" + man_lines(positional.help + ".");
  }
  if (!items.empty()) out += ".Pp\nArguments:\n.Bl -tag -width Ds\n" + items + ".El\n";
  std::string flags = flag_list(flags_of(command));
  if (!flags.empty()) out += ".Pp\nFlags:\n" + flags;
  return out;
}

std::string examples(const Command& command) {
  std::string out;
  for (const Example& example : command.examples) {
    if (!out.empty()) out += ".Pp\n";
    out += man_lines(sentence(example.says)) + ".Dl $ " + man_text(example.line) + "\n";
  }
  return out;
}

constexpr std::string_view kExitStatus = R"(.Sh EXIT STATUS
.Bl -tag -width Ds -compact
.It 0
done; rejected records alone are a warning
.It 1
failed
.It 2
wrong usage
.It 3
the data is wrong: an assertion, a quality rule of severity error,
a golden case, or
.Ic contract check Fl \-data
.It 4
cannot reach the server
.It 5
not allowed
.It 6
not found
.It 7
conflict
.It 124
timed out
.It 130
interrupted
.El
)";

std::string header(std::string_view title, std::string_view name, std::string_view summary) {
  std::string upper;
  for (char c : title) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return fmt::format(".Dd {}\n.Dt {} 1\n.Os\n.Sh NAME\n.Nm {}\n.Nd {}\n", kPageDate, upper, name, man_text(summary));
}

// Section title of a subcommand inside the page of its parent: "runi contract check".
std::string subcommand_sections(const Command& top) {
  std::string out;
  for (const CommandPath& path : shown_commands(top)) {
    if (path.words.empty()) continue;
    CommandPath full = path;
    full.words.insert(full.words.begin(), top.name);
    out += ".Ss runi " + full.joined(" ") + "\n";
    out += body(full);
    std::string shown = examples(*path.command);
    if (!shown.empty()) out += ".Pp\n" + shown;
  }
  return out;
}

std::string top_page(const Command& root) {
  std::string out = header(root.name, root.name, root.summary) + ".Sh SYNOPSIS\n.Nm\n.Ar COMMAND\n.Op Ar flags\n";
  out += ".Sh DESCRIPTION\n" + paragraphs(root.description);
  out += ".Pp\nCommands, each with a page of its own:\n.Bl -tag -width Ds\n";
  for (const Command& sub : root.subcommands) {
    if (!sub.hidden) out += fmt::format(".It Xr runi-{} 1\n{}", sub.name, man_lines(sentence(sub.summary)));
  }
  out += ".El\n.Pp\nFlags that every command takes:\n" + flag_list(global_flags());
  out += ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev NO_COLOR\nIf set and not empty, nothing is coloured.\n";
  out += ".It Ev TMPDIR\nWhere temporary files go that belong to no project.\n.El\n" + std::string(kExitStatus);
  if (!root.examples.empty()) out += ".Sh EXAMPLES\n" + examples(root);
  return out;
}

std::string command_page(const Command& command) {
  CommandPath path{{command.name}, &command};
  std::string out = header("runi-" + command.name, "runi-" + command.name, command.summary);
  out += ".Sh SYNOPSIS\n";
  if (command.run || command.subcommands.empty()) out += synopsis(path);
  for (const Command& sub : command.subcommands) {
    if (!sub.hidden) out += synopsis({{command.name, sub.name}, &sub});
  }
  out += ".Sh DESCRIPTION\n" + body(path);
  if (!command.subcommands.empty()) out += subcommand_sections(command);
  out += ".Pp\nThe flags that every command takes are in\n.Xr runi 1 .\n" + std::string(kExitStatus);
  std::string shown = examples(command);
  if (!shown.empty()) out += ".Sh EXAMPLES\n" + shown;
  return out + ".Sh SEE ALSO\n.Xr runi 1\n";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> man_pages(const Command& root) {
  std::vector<std::pair<std::string, std::string>> pages;
  pages.emplace_back(root.name + ".1", top_page(root));
  for (const Command& command : root.subcommands) {
    if (!command.hidden) pages.emplace_back("runi-" + command.name + ".1", command_page(command));
  }
  return pages;
}

}  // namespace runink::cli
