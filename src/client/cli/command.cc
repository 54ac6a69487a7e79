#include "client/cli/command.h"

#include <fmt/format.h>

#include <functional>
#include <set>

#include "client/cli/output.h"
#include "client/cli/parse.h"

namespace runink::cli {
namespace {

void check_positionals(const Command& command, const std::string& path, std::vector<std::string>* bugs) {
  bool seen_optional = false;
  for (size_t i = 0; i < command.positionals.size(); ++i) {
    const Positional& positional = command.positionals[i];
    if (positional.help.empty()) bugs->push_back(fmt::format("{}: {} has no help", path, positional.name));
    if (positional.repeated && i + 1 != command.positionals.size()) {
      bugs->push_back(fmt::format("{}: {} is repeated but not last", path, positional.name));
    }
    if (!positional.optional && seen_optional) {
      bugs->push_back(fmt::format("{}: {} is required but follows an optional one", path, positional.name));
    }
    seen_optional |= positional.optional;
  }
}

void check_flags(const Command& command, const std::string& path, std::vector<std::string>* bugs) {
  std::set<std::string> names;
  std::set<char> letters;
  std::vector<Flag> all = flags_of(command);
  all.insert(all.end(), global_flags().begin(), global_flags().end());
  for (const Flag& flag : all) {
    if (!names.insert(flag.name).second) bugs->push_back(fmt::format("{}: two flags --{}", path, flag.name));
    if (flag.letter && !letters.insert(flag.letter).second) {
      bugs->push_back(fmt::format("{}: two flags -{}", path, flag.letter));
    }
    if (flag.help.empty()) bugs->push_back(fmt::format("{}: --{} has no help", path, flag.name));
    if ((flag.type == ValueType::kSwitch) != flag.value_name.empty()) {
      bugs->push_back(fmt::format("{}: --{} must name its value, or be a switch", path, flag.name));
    }
    if (flag.default_value.empty()) continue;
    Status status = check_value(flag.type, flag.choices, flag.default_value, "--" + flag.name);
    if (!status.ok()) bugs->push_back(fmt::format("{}: its own default is refused: {}", path, status.message()));
  }
}

void check_command(const Command& command, const std::string& path, std::vector<std::string>* bugs) {
  if (command.summary.empty()) bugs->push_back(fmt::format("{}: no summary", path));
  if (command.summary.ends_with('.')) bugs->push_back(fmt::format("{}: summary ends in a full stop", path));
  if (!command.run && command.subcommands.empty()) bugs->push_back(fmt::format("{}: does nothing", path));
  check_positionals(command, path, bugs);
  check_flags(command, path, bugs);
  std::set<std::string> names;
  for (const Command& sub : command.subcommands) {
    if (!names.insert(sub.name).second) bugs->push_back(fmt::format("{}: two subcommands {}", path, sub.name));
    check_command(sub, path + " " + sub.name, bugs);
  }
  for (const Example& example : command.examples) {
    if (example.says.empty()) bugs->push_back(fmt::format("{}: example without words: {}", path, example.line));
  }
}

}  // namespace

const std::vector<Flag>& global_flags() {
  static const std::vector<Flag> flags = {
      {.name = "help", .letter = 'h', .help = "show this help"},
      {.name = "project",
       .letter = 'C',
       .type = ValueType::kText,
       .value_name = "FOLDER",
       .help = "as if runi had been started in this folder",
       .completion = Completion::kFolder},
      {.name = "quiet", .letter = 'q', .help = "say nothing on standard error but warnings and errors"},
      {.name = "color",
       .type = ValueType::kText,
       .value_name = "WHEN",
       .help = "colour the output; auto: on a terminal, unless NO_COLOR is set",
       .default_value = "auto",
       .choices = {"auto", "always", "never"}},
  };
  return flags;
}

std::vector<Flag> flags_of(const Command& command) {
  std::vector<Flag> flags = command.flags;
  if (command.lists) {
    flags.push_back({.name = "output",
                     .letter = 'o',
                     .type = ValueType::kText,
                     .value_name = "FORM",
                     .help = "form of the listing",
                     .default_value = "table",
                     .choices = output_form_names()});
  }
  return flags;
}

const Command* find_subcommand(const Command& command, std::string_view name) {
  for (const Command& sub : command.subcommands) {
    if (sub.name == name) return &sub;
  }
  return nullptr;
}

std::vector<std::string> subcommand_names(const Command& command) {
  std::vector<std::string> names;
  for (const Command& sub : command.subcommands) {
    if (!sub.hidden) names.push_back(sub.name);
  }
  return names;
}

std::vector<std::string> check_tree(const Command& root) {
  std::vector<std::string> bugs;
  check_command(root, root.name, &bugs);
  return bugs;
}

}  // namespace runink::cli
