#include "client/cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "client/cli/text_width.h"

namespace runink::cli {
namespace {

constexpr int kWidestHeading = 28;  // longer ones put their help on the next line

std::string bold(std::string_view text, const HelpStyle& style) {
  return style.colour ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

// Two columns: what to type, and what it does, wrapped beside it.
class TwoColumns {
 public:
  void add(std::string heading, std::string help) { rows_.push_back({std::move(heading), std::move(help)}); }

  std::string text(const HelpStyle& style) const {
    int left = 0;
    for (const auto& [heading, help] : rows_) {
      int width = display_width(heading);
      if (width <= kWidestHeading) left = std::max(left, width);
    }
    const int indent = 2 + left + 2;
    std::string out;
    for (const auto& [heading, help] : rows_) {
      std::string wrapped = wrap_text(help, style.width, indent);
      int width = display_width(heading);
      std::string padding(static_cast<size_t>(std::max(0, left - width)), ' ');
      if (width > left) {
        out += "  " + bold(heading, style) + "\n" + wrapped;
      } else {
        out += "  " + bold(heading, style) + padding + "  " + wrapped.substr(static_cast<size_t>(indent));
      }
    }
    return out;
  }

  bool empty() const { return rows_.empty(); }

 private:
  std::vector<std::pair<std::string, std::string>> rows_;
};

std::string with_choices(std::string help, const std::vector<std::string>& choices) {
  if (!choices.empty()) help += fmt::format(" ({})", join(choices, ", "));
  return help;
}

std::string flag_help(const Flag& flag) {
  std::string help = with_choices(flag.help, flag.choices);
  if (!flag.default_value.empty()) help += fmt::format(" [default: {}]", flag.default_value);
  if (flag.repeated) help += "; may be given several times";
  return help;
}

std::string section(std::string_view title, const TwoColumns& rows, const HelpStyle& style) {
  return rows.empty() ? "" : "\n" + bold(title, style) + "\n" + rows.text(style);
}

// Commands under the headings of their groups, in the order in which the groups first appear.
std::string command_sections(const Command& command, const HelpStyle& style) {
  std::vector<std::string> groups;
  for (const Command& sub : command.subcommands) {
    if (!sub.hidden && std::find(groups.begin(), groups.end(), sub.group) == groups.end()) groups.push_back(sub.group);
  }
  std::string out;
  for (const std::string& group : groups) {
    TwoColumns rows;
    for (const Command& sub : command.subcommands) {
      if (!sub.hidden && sub.group == group) rows.add(sub.name, sub.summary);
    }
    out += section(group.empty() ? "Commands:" : group + ":", rows, style);
  }
  return out;
}

std::string flag_section(std::string_view title, const std::vector<Flag>& flags, const HelpStyle& style) {
  TwoColumns rows;
  for (const Flag& flag : flags) {
    if (!flag.hidden) rows.add(flag_heading(flag), flag_help(flag));
  }
  return section(title, rows, style);
}

}  // namespace

std::string flag_heading(const Flag& flag) {
  std::string out = flag.letter ? fmt::format("-{}, --{}", flag.letter, flag.name) : "    --" + flag.name;
  if (flag.type != ValueType::kSwitch) out += " " + flag.value_name;
  return out;
}

std::string positional_heading(const Positional& positional) {
  std::string name = positional.name + (positional.repeated ? "…" : "");
  return positional.optional ? "[" + name + "]" : name;
}

std::string usage_line(const Command& command, const std::string& path) {
  std::string out = path;
  bool has_flags = std::any_of(command.flags.begin(), command.flags.end(), [](const Flag& f) { return !f.hidden; });
  if (has_flags || command.lists) out += " [flags]";
  if (!command.run && !command.subcommands.empty()) return out + " COMMAND";
  for (const Positional& positional : command.positionals) out += " " + positional_heading(positional);
  return out;
}

std::string help_text(const Command& command, const std::string& path, const HelpStyle& style) {
  HelpStyle narrow = style;
  narrow.width = std::min(std::max(style.width, 40), 100);
  std::string out = wrap_text(fmt::format("{}: {}", path, command.summary), narrow.width, 0);
  out += "\n" + bold("Usage:", style) + " " + usage_line(command, path) + "\n";
  if (command.run && !command.subcommands.empty()) out += "       " + path + " COMMAND\n";
  if (!command.description.empty()) out += "\n" + wrap_text(command.description, narrow.width, 0);

  TwoColumns arguments;
  for (const Positional& positional : command.positionals) {
    arguments.add(positional_heading(positional), with_choices(positional.help, positional.choices));
  }
  out += section("Arguments:", arguments, narrow);
  out += command_sections(command, narrow);
  out += flag_section("Flags:", flags_of(command), narrow);
  out += flag_section("Everywhere:", global_flags(), narrow);

  if (!command.examples.empty()) {
    out += "\n" + bold("Examples:", style) + "\n";
    for (const Example& example : command.examples) {
      out += "  " + bold(example.line, style) + "\n" + wrap_text(example.says, narrow.width, 6);
    }
  }
  if (command.run == nullptr && !command.subcommands.empty()) {
    out += fmt::format("\nMore about one of them: {} COMMAND --help\n", path);
  }
  return out;
}

}  // namespace runink::cli
