// The zsh completion script: one function per command, made of _arguments specifications.
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/generate.h"
#include "client/cli/generate_shell.h"

namespace runink::cli {
namespace {

// Inside '…' of a specification: ' ends the quote, and [ ] : are syntax of _arguments.
std::string spec_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':' || c == '\\') {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string function_name(const CommandPath& path) {
  std::string name = "_runi";
  for (std::string word : path.words) {
    for (char& c : word) c = c == '-' ? '_' : c;
    name += "_" + word;
  }
  return name;
}

std::string action(Completion completion, const std::vector<std::string>& choices, const Command& root) {
  if (!choices.empty()) return "(" + join(choices, " ") + ")";
  if (!dynamic_kind(completion).empty())
    return fmt::format(" _runi_ask {}", dynamic_kind(completion));  // with a space: no options put in
  switch (completion) {
    case Completion::kFile:
      return "_files";
    case Completion::kFolder:
      return "_files -/";
    case Completion::kFeature:
    case Completion::kContract:
      return fmt::format("_files -g \"{}\"", file_pattern(completion));
    case Completion::kCommand:
      return "(" + join(subcommand_names(root), " ") + ")";
    default:
      return " ";
  }
}

std::string flag_specs(const Flag& flag, const Command& root) {
  std::string value;
  if (flag.type != ValueType::kSwitch) {
    value = fmt::format(":{}:{}", spec_text(flag.value_name), action(flag.completion, flag.choices, root));
  }
  const std::string help = spec_text(flag.help);
  const std::string star = flag.repeated ? "*" : "";
  const char* equals = flag.type == ValueType::kSwitch ? "" : "=";
  std::string out = fmt::format("    '{}--{}{}[{}]{}' \\\n", star, flag.name, equals, help, value);
  if (flag.letter) {
    const char* plus = flag.type == ValueType::kSwitch ? "" : "+";
    out += fmt::format("    '{}-{}{}[{}]{}' \\\n", star, flag.letter, plus, help, value);
  }
  return out;
}

std::string command_function(const CommandPath& path, const Command& root) {
  const Command& command = *path.command;
  std::string flags;
  for (const Flag& flag : completed_flags(command)) flags += flag_specs(flag, root);
  std::string subs = join(subcommand_names(command), " ");
  std::string out = function_name(path) + "() {\n";
  if (subs.empty()) {
    out += "  _arguments -s -S \\\n" + flags;
    for (size_t i = 0; i < command.positionals.size(); ++i) {
      const Positional& positional = command.positionals[i];
      std::string position = positional.repeated ? "*" : std::to_string(i + 1);
      out += fmt::format("    '{}:{}{}:{}' \\\n", position, positional.optional && !positional.repeated ? ":" : "",
                         spec_text(positional.name), action(positional.completion, positional.choices, root));
    }
    return out + "    && return 0\n}\n\n";
  }
  out += "  local context state state_descr line\n  typeset -A opt_args\n";
  out += "  _arguments -s -S -C \\\n" + flags + "    '1: :->command' '*:: :->rest' && return 0\n";
  out += "  case $state in\n  command)\n    local -a commands=(\n";
  for (const Command& sub : command.subcommands) {
    if (!sub.hidden) out += fmt::format("      '{}:{}'\n", sub.name, spec_text(sub.summary));
  }
  out += "    )\n    _describe command commands\n";
  if (!command.positionals.empty()) {
    const Positional& first = command.positionals[0];
    if (!dynamic_kind(first.completion).empty()) {
      out += fmt::format("    _runi_ask {}\n", dynamic_kind(first.completion));
    }
  }
  out += "    ;;\n  rest)\n    case $line[1] in\n";
  for (const Command& sub : command.subcommands) {
    if (sub.hidden) continue;
    CommandPath child = path;
    child.words.push_back(sub.name);
    out += fmt::format("      {}) {} ;;\n", sub.name, function_name(child));
  }
  return out + "    esac\n    ;;\n  esac\n}\n\n";
}

constexpr std::string_view kHead = R"sh(#compdef runi
# zsh completion for runi. Generated from its command tree by `runi completion zsh`; do not edit.

# Values that only the program knows, one per line.
_runi_ask() {
  local -a values
  values=("${(@f)$(_call_program values runi __complete $1 2>/dev/null)}")
  [[ -n $values ]] && compadd -a values
}

)sh";

constexpr std::string_view kTail = R"sh(if [[ ${funcstack[1]} == _runi ]]; then
  _runi "$@"
else
  compdef _runi runi
fi
)sh";

}  // namespace

std::string zsh_completion(const Command& root) {
  std::string out(kHead);
  for (const CommandPath& path : shown_commands(root)) out += command_function(path, root);
  return out + std::string(kTail);
}

}  // namespace runink::cli
