// The bash completion script. It needs nothing but bash 4; bash-completion only loads it on demand.
//
// The script walks the words typed so far once, following subcommands and skipping the values of flags, and so knows
// the command ("/contract/check") and how many positionals it has. Three `case` tables, generated here, then answer:
// which flags take a value, what completes a value, what completes a positional.
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/generate.h"
#include "client/cli/generate_shell.h"

namespace runink::cli {
namespace {

std::string path_of(const CommandPath& path) { return path.words.empty() ? "" : "/" + path.joined("/"); }

// The shell command that fills COMPREPLY for one value.
std::string action(Completion completion, const std::vector<std::string>& choices, const Command& root) {
  if (!choices.empty()) return fmt::format("_runi_words \"{}\"", join(choices, " "));
  if (!dynamic_kind(completion).empty()) return fmt::format("_runi_ask {}", dynamic_kind(completion));
  switch (completion) {
    case Completion::kFile:
      return "_runi_files ''";
    case Completion::kFolder:
      return "_runi_folders";
    case Completion::kFeature:
    case Completion::kContract:
      return fmt::format("_runi_files '{}'", file_pattern(completion));
    case Completion::kCommand:
      return fmt::format("_runi_words \"{}\"", join(subcommand_names(root), " "));
    default:
      return ":";
  }
}

constexpr std::string_view kHead =
    R"sh(# bash completion for runi. Generated from its command tree by `runi completion bash`; do not edit.

_runi_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }

_runi_files() {
  local IFS=$'\n'
  compopt -o filenames 2>/dev/null
  if [[ -n $1 ]]; then
    COMPREPLY=($(compgen -f -X "!$1" -- "$cur") $(compgen -d -- "$cur"))
  else
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}

_runi_folders() {
  local IFS=$'\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -d -- "$cur"))
}

# Values that only the program knows, one per line.
_runi_ask() {
  local line
  while IFS= read -r line; do
    [[ $line == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
  done < <("${COMP_WORDS[0]}" __complete "$1" 2>/dev/null)
}

)sh";

constexpr std::string_view kBody = R"sh(_runi() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  local path="" positionals=0 i word
  COMPREPLY=()
  # "=" is a word of its own to bash: --flag=value arrives as three.
  if [[ $cur == "=" ]]; then
    cur=""
  elif [[ $prev == "=" ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if _runi_takes_value "$path" "$word"; then
      ((i++))
      [[ ${COMP_WORDS[i]} == "=" ]] && ((i++))
    elif [[ $word != -* && $word != "=" ]]; then
      if ((positionals == 0)) && _runi_is_command "$path/$word"; then path=$path/$word; else ((positionals++)); fi
    fi
  done
  if _runi_takes_value "$path" "$prev"; then
    _runi_value "$path" "$prev"
  elif [[ $cur == -* ]]; then
    _runi_flags "$path"
  else
    _runi_positional "$path" "$positionals"
  fi
}

complete -F _runi runi
)sh";

// "path --flag|path -f" for a case label; global flags match under every path.
std::string flag_labels(const std::string& path, const Flag& flag, bool global) {
  std::string where = global ? "*" : "\"" + path + "\"";
  std::string out = fmt::format("{}\" --{}\"", where, flag.name);
  if (flag.letter) out += fmt::format("|{}\" -{}\"", where, flag.letter);
  return out;
}

}  // namespace

std::string bash_completion(const Command& root) {
  std::string commands, takes_value, values, flags, positionals;
  for (const Flag& flag : global_flags()) {
    if (flag.type == ValueType::kSwitch) continue;
    takes_value += fmt::format("    {}) return 0 ;;\n", flag_labels("", flag, true));
    values += fmt::format("    {}) {} ;;\n", flag_labels("", flag, true), action(flag.completion, flag.choices, root));
  }
  for (const CommandPath& entry : shown_commands(root)) {
    const std::string path = path_of(entry);
    if (!path.empty()) commands += fmt::format("    \"{}\") return 0 ;;\n", path);
    std::string names;
    for (const Flag& flag : completed_flags(*entry.command)) names += " --" + flag.name;
    flags += fmt::format("    \"{}\") _runi_words \"{}\" ;;\n", path, trim(names));
    for (const Flag& flag : flags_of(*entry.command)) {
      if (flag.hidden || flag.type == ValueType::kSwitch) continue;
      takes_value += fmt::format("    {}) return 0 ;;\n", flag_labels(path, flag, false));
      values +=
          fmt::format("    {}) {} ;;\n", flag_labels(path, flag, false), action(flag.completion, flag.choices, root));
    }
    std::string subs = join(subcommand_names(*entry.command), " ");
    if (!subs.empty() && entry.command->positionals.empty()) {
      positionals += fmt::format("    \"{} 0\") _runi_words \"{}\" ;;\n", path, subs);
    }
    const auto& declared = entry.command->positionals;
    for (size_t i = 0; i < declared.size(); ++i) {
      std::string what = action(declared[i].completion, declared[i].choices, root);
      if (i == 0 && !subs.empty()) {
        what += fmt::format("; COMPREPLY+=($(compgen -W \"{}\" -- \"$cur\"))", subs);
      }
      if (declared[i].repeated) {
        positionals += fmt::format("    \"{} \"*) {} ;;\n", path, what);
      } else {
        positionals += fmt::format("    \"{} {}\") {} ;;\n", path, i, what);
      }
    }
  }
  auto function = [](std::string_view name, std::string_view subject, const std::string& cases, std::string_view last) {
    return fmt::format("{}() {{\n  case {} in\n{}    *) {} ;;\n  esac\n}}\n\n", name, subject, cases, last);
  };
  return std::string(kHead) + function("_runi_is_command", "\"$1\"", commands, "return 1") +
         function("_runi_takes_value", "\"$1 $2\"", takes_value, "return 1") +
         function("_runi_value", "\"$1 $2\"", values, ":") + function("_runi_flags", "\"$1\"", flags, ":") +
         function("_runi_positional", "\"$1 $2\"", positionals, ":") + std::string(kBody);
}

}  // namespace runink::cli
