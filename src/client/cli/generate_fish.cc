// The fish completion script: one `complete` line per flag, subcommand and positional, each under the condition that
// its command is the one being typed.
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/generate.h"
#include "client/cli/generate_shell.h"

namespace runink::cli {
namespace {

std::string quote(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string action(Completion completion, const std::vector<std::string>& choices, const Command& root) {
  if (!choices.empty()) return "-x -a " + quote(join(choices, " "));
  if (!dynamic_kind(completion).empty()) {
    return "-x -a " + quote(fmt::format("(runi __complete {} 2>/dev/null)", dynamic_kind(completion)));
  }
  switch (completion) {
    case Completion::kFile:
      return "-r -F";
    case Completion::kFolder:
      return "-x -a '(__fish_complete_directories)'";
    case Completion::kFeature:
      return "-x -a '(__fish_complete_suffix .dsl)'";
    case Completion::kContract:
      return "-x -a '(__fish_complete_suffix .contract)'";
    case Completion::kCommand:
      return "-x -a " + quote(join(subcommand_names(root), " "));
    default:
      return "-x";
  }
}

std::string flag_line(const std::string& condition, const Flag& flag, const Command& root) {
  std::string out = fmt::format("complete -c runi{} -l {}", condition, flag.name);
  if (flag.letter) out += fmt::format(" -s {}", flag.letter);
  out += " -d " + quote(flag.help);
  if (flag.type != ValueType::kSwitch) out += " " + action(flag.completion, flag.choices, root);
  return out + "\n";
}

constexpr std::string_view kHead =
    R"sh(# fish completion for runi. Generated from its command tree by `runi completion fish`; do not edit.

# True when the command typed so far is exactly the one named by the arguments (none: only `runi`).
function __runi_at
    set -l path
    for word in (commandline -opc)[2..]
        string match -q -- '-*' $word; and continue
        if contains -- (string join / $path $word) $__runi_commands
            set -a path $word
        else
            break
        end
    end
    test "$path" = "$argv"
end

)sh";

}  // namespace

std::string fish_completion(const Command& root) {
  std::string names, lines = "complete -c runi -f\n";
  for (const Flag& flag : global_flags()) lines += flag_line("", flag, root);
  for (const CommandPath& path : shown_commands(root)) {
    const Command& command = *path.command;
    const std::string at = path.words.empty() ? "__runi_at" : "__runi_at " + path.joined(" ");
    const std::string condition = " -n " + quote(at);
    if (!path.words.empty()) names += " " + path.joined("/");
    for (const Command& sub : command.subcommands) {
      if (!sub.hidden) {
        lines += fmt::format("complete -c runi{} -a {} -d {}\n", condition, sub.name, quote(sub.summary));
      }
    }
    for (const Flag& flag : flags_of(command)) {
      if (!flag.hidden) lines += flag_line(condition, flag, root);
    }
    for (const Positional& positional : command.positionals) {
      std::string what = action(positional.completion, positional.choices, root);
      if (what == "-x") continue;
      if (what == "-r -F") what = "-F";
      lines += fmt::format("complete -c runi{} {}\n", condition, what);
    }
  }
  return std::string(kHead) + "set -g __runi_commands" + names + "\n\n" + lines;
}

}  // namespace runink::cli
