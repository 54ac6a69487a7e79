#include "client/cli/generate_shell.h"

namespace runink::cli {
namespace {

void collect(const Command& command, std::vector<std::string>* words, std::vector<CommandPath>* out) {
  out->push_back({*words, &command});
  for (const Command& sub : command.subcommands) {
    if (sub.hidden) continue;
    words->push_back(sub.name);
    collect(sub, words, out);
    words->pop_back();
  }
}

}  // namespace

std::string CommandPath::joined(std::string_view separator) const {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += separator;
    out += word;
  }
  return out;
}

std::vector<CommandPath> shown_commands(const Command& root) {
  std::vector<CommandPath> out;
  std::vector<std::string> words;
  collect(root, &words, &out);
  return out;
}

std::vector<Flag> completed_flags(const Command& command) {
  std::vector<Flag> out;
  for (const Flag& flag : flags_of(command)) {
    if (!flag.hidden) out.push_back(flag);
  }
  out.insert(out.end(), global_flags().begin(), global_flags().end());
  return out;
}

std::string_view dynamic_kind(Completion completion) {
  switch (completion) {
    case Completion::kRun:
      return "runs";
    case Completion::kScenario:
      return "scenarios";
    default:
      return "";
  }
}

std::string_view file_pattern(Completion completion) {
  switch (completion) {
    case Completion::kFeature:
      return "*.dsl";
    case Completion::kContract:
      return "*.contract";
    default:
      return "";
  }
}

}  // namespace runink::cli
