#include "client/cli/parse.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/nearest.h"
#include "base/text.h"
#include "client/cli/help.h"

namespace runink::cli {
namespace {

std::string quoted(std::string_view text) { return "\"" + escape_control(text) + "\""; }

class Parser {
 public:
  Parser(const Command& root, const std::vector<std::string>& arguments)
      : root_(root), arguments_(arguments), command_(&root), path_(root.name) {
    // Help wins over every error, so it is looked for first.
    wants_help_ = asks_for_help(arguments.size());
  }

  Result<ParseOutcome> parse() {
    Status first;
    while (next_ < arguments_.size()) {
      Status status = parse_one(arguments_[next_++]);
      if (first.ok()) first = std::move(status);
      if (!first.ok() && !wants_help_) return first;
    }
    ParseOutcome outcome;
    outcome.command = command_;
    outcome.path = path_;
    if (wants_help_) {
      outcome.kind = ParseOutcome::Kind::kHelp;
    } else if (values_.count("version")) {
      outcome.kind = ParseOutcome::Kind::kVersion;
    } else if (!command_->run) {
      if (command_ != &root_) return missing_subcommand();
      outcome.kind = ParseOutcome::Kind::kHelp;
    } else {
      RUNINK_RETURN_IF_ERROR(check_missing());
    }
    fill_defaults();
    outcome.values = std::move(values_);
    return outcome;
  }

 private:
  Status usage(std::string message, std::string hint = {}) const {
    std::string see = fmt::format("see: {} --help", path_);
    return invalid_argument("{}", std::move(message))
        .with_kind(kKindUsage)
        .with_hint(hint.empty() ? see : hint + "; " + see);
  }

  // In the arguments before `end`, up to a `--`.
  bool asks_for_help(size_t end) const {
    for (size_t i = 0; i < end && arguments_[i] != "--"; ++i) {
      if (arguments_[i] == "--help" || arguments_[i] == "-h") return true;
    }
    return false;
  }

  Status parse_one(const std::string& argument) {
    if (only_positionals_ || argument == "-" || argument.empty() || argument[0] != '-') {
      return parse_word(argument);
    }
    if (argument == "--") {
      only_positionals_ = true;
      return {};
    }
    if (argument.starts_with("--")) return parse_long(argument.substr(2));
    if (argument[1] >= '0' && argument[1] <= '9') return parse_word(argument);  // a negative number
    return parse_letters(argument.substr(1));
  }

  // A word is the name of a subcommand while there can be one, else a positional.
  Status parse_word(const std::string& word) {
    if (!only_positionals_ && positionals_seen_ == 0 && !command_->subcommands.empty()) {
      if (const Command* sub = find_subcommand(*command_, word)) {
        command_ = sub;
        path_ += " " + sub->name;
        return {};
      }
      if (command_->positionals.empty()) return unknown_command(word);
    }
    return add_positional(word);
  }

  Status unknown_command(const std::string& word) const {
    std::vector<std::string> near = nearest(word, subcommand_names(*command_), 3);
    std::string hint;
    if (!near.empty()) {
      for (std::string& name : near) name = "\"" + path_ + " " + name + "\"";
      hint = "did you mean " + join(near, " or ") + "?";
    } else {
      // Perhaps the noun was left out: `runi release` for `runi contract release`.
      for (const Command& top : root_.subcommands) {
        if (!top.hidden && find_subcommand(top, word)) {
          hint = fmt::format("did you mean \"{} {} {}\"?", root_.name, top.name, word);
        }
      }
    }
    return usage(fmt::format("there is no command {} in \"{}\"", quoted(word), path_), hint);
  }

  Status missing_subcommand() const {
    return usage(fmt::format("\"{}\" needs a subcommand: {}", path_, join(subcommand_names(*command_), ", ")));
  }

  Status add_positional(const std::string& word) {
    const auto& declared = command_->positionals;
    size_t index = positionals_seen_;
    if (index >= declared.size() && !declared.empty() && declared.back().repeated) index = declared.size() - 1;
    if (index >= declared.size()) {
      return usage(fmt::format("unexpected argument {}: \"{}\" takes {}", quoted(word), path_,
                               declared.empty() ? "none" : std::to_string(declared.size())));
    }
    const Positional& positional = declared[index];
    Status status = check_value(positional.type, positional.choices, word, positional.name);
    if (!status.ok()) return usage(status.message(), status.hint());
    ParsedValues& values = values_[positional.name];
    if (positional.rest && !values.given) {
      only_positionals_ = true;
      wants_help_ = asks_for_help(next_ - 1);  // what follows asks somebody else
    }
    values.given = true;
    values.texts.push_back(word);
    ++positionals_seen_;
    return {};
  }

  std::vector<Flag> known_flags() const {
    std::vector<Flag> flags = flags_of(*command_);
    flags.insert(flags.end(), global_flags().begin(), global_flags().end());
    return flags;
  }

  Status parse_long(const std::string& text) {
    size_t equals = text.find('=');
    std::string name = text.substr(0, equals);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = text.substr(equals + 1);
    for (const Flag& flag : known_flags()) {
      if (flag.name == name) return add_flag(flag, "--" + name, std::move(value));
    }
    return unknown_flag("--" + name, name);
  }

  Status parse_letters(const std::string& letters) {
    const std::vector<Flag> flags = known_flags();
    for (size_t i = 0; i < letters.size(); ++i) {
      const Flag* found = nullptr;
      for (const Flag& flag : flags) {
        if (flag.letter == letters[i]) found = &flag;
      }
      std::string shown = std::string("-") + letters[i];
      if (!found) return unknown_flag(i == 0 ? "-" + letters : shown, letters);
      if (found->type == ValueType::kSwitch) {
        RUNINK_RETURN_IF_ERROR(add_flag(*found, shown, std::nullopt));
        continue;
      }
      std::optional<std::string> value;
      if (i + 1 < letters.size()) value = letters.substr(i + (letters[i + 1] == '=' ? 2 : 1));
      return add_flag(*found, shown, std::move(value));
    }
    return {};
  }

  Status add_flag(const Flag& flag, const std::string& shown, std::optional<std::string> value) {
    if (flag.type == ValueType::kSwitch) {
      if (value) return usage(fmt::format("{} takes no value, but got {}", shown, quoted(*value)));
      value = "true";
    } else if (!value) {
      if (next_ >= arguments_.size())
        return usage(fmt::format("{} needs a value: {} {}", shown, shown, flag.value_name));
      value = arguments_[next_++];
    }
    Status status = check_value(flag.type, flag.choices, *value, shown);
    if (!status.ok()) return usage(status.message(), status.hint());
    ParsedValues& values = values_[flag.name];
    if (values.given && !flag.repeated && flag.type != ValueType::kSwitch) {
      return usage(fmt::format("{} is given twice: {} and {}", shown, quoted(values.texts[0]), quoted(*value)));
    }
    values.given = true;
    values.texts.push_back(std::move(*value));
    return {};
  }

  Status unknown_flag(const std::string& shown, const std::string& name) const {
    std::vector<std::string> candidates;
    for (const Flag& flag : known_flags()) {
      if (!flag.hidden) candidates.push_back(flag.name);
    }
    std::vector<std::string> near = nearest(name, candidates, 1);
    std::string hint;
    if (!near.empty()) {
      hint = fmt::format("did you mean --{}?", near[0]);
    } else {
      std::vector<std::string> owners;
      collect_owners(root_, root_.name, name, &owners);
      if (!owners.empty()) hint = fmt::format("it is a flag of \"{}\"", join(owners, "\", \""));
    }
    return usage(fmt::format("\"{}\" has no flag {}", path_, escape_control(shown)), hint);
  }

  static void collect_owners(const Command& command, const std::string& path, const std::string& name,
                             std::vector<std::string>* owners) {
    if (command.hidden) return;
    for (const Flag& flag : flags_of(command)) {
      if (flag.name == name && !flag.hidden && owners->size() < 3) owners->push_back(path);
    }
    for (const Command& sub : command.subcommands) collect_owners(sub, path + " " + sub.name, name, owners);
  }

  Status check_missing() const {
    for (size_t i = positionals_seen_; i < command_->positionals.size(); ++i) {
      const Positional& positional = command_->positionals[i];
      if (positional.optional || (positional.repeated && positionals_seen_ > i)) continue;
      if (positionals_seen_ == 0 && !command_->subcommands.empty()) return missing_subcommand();
      return usage(fmt::format("{} is missing: {}", positional.name, positional.help),
                   "usage: " + usage_line(*command_, path_));
    }
    return {};
  }

  void fill_defaults() {
    for (const Flag& flag : known_flags()) {
      ParsedValues& values = values_[flag.name];
      if (!values.given && !flag.default_value.empty()) values.texts = {flag.default_value};
    }
    for (const Positional& positional : command_->positionals) values_[positional.name];
  }

  const Command& root_;
  const std::vector<std::string>& arguments_;
  const Command* command_;
  std::string path_;
  std::map<std::string, ParsedValues> values_;
  size_t next_ = 0, positionals_seen_ = 0;
  bool only_positionals_ = false, wants_help_ = false;
};

Status wrong_value(std::string_view what, std::string_view value, std::string_view wanted) {
  return invalid_argument("{}: {} is not {}", what, quoted(value), wanted);
}

}  // namespace

bool parse_percent(std::string_view text, double* share) {
  bool percent = text.ends_with('%');
  if (percent) text.remove_suffix(1);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return false;
  if (percent) value /= 100;
  if (!(value >= 0 && value <= 1)) return false;
  *share = value;
  return true;
}

Status check_value(ValueType type, const std::vector<std::string>& choices, std::string_view value,
                   std::string_view what) {
  if (!choices.empty()) {
    for (const std::string& choice : choices) {
      if (choice == value) return {};
    }
    Status status = invalid_argument("{}: {} is not one of: {}", what, quoted(value), join(choices, ", "));
    std::vector<std::string> near = nearest(value, choices, 1);
    return near.empty() ? std::move(status)
                        : std::move(status).with_hint(fmt::format("did you mean {}?", quoted(near[0])));
  }
  const char* end_of_value = value.data() + value.size();
  switch (type) {
    case ValueType::kText:
    case ValueType::kSwitch:
      return {};
    case ValueType::kInteger: {
      int64_t number = 0;
      auto [end, error] = std::from_chars(value.data(), end_of_value, number);
      if (error == std::errc::result_out_of_range) return wrong_value(what, value, "a number of 64 bits");
      return error == std::errc() && end == end_of_value ? Status() : wrong_value(what, value, "a whole number");
    }
    case ValueType::kNumber: {
      double number = 0;
      auto [end, error] = std::from_chars(value.data(), end_of_value, number);
      return error == std::errc() && end == end_of_value && std::isfinite(number)
                 ? Status()
                 : wrong_value(what, value, "a number");
    }
    case ValueType::kPercent: {
      double share = 0;
      return parse_percent(value, &share) ? Status() : wrong_value(what, value, "a share from 0% to 100% (2% or 0.02)");
    }
    case ValueType::kBytes: {
      uint64_t bytes = 0;
      return parse_bytes(value, &bytes) ? Status() : wrong_value(what, value, "a size (512Mi, 2GB, 100k)");
    }
    case ValueType::kDuration: {
      int64_t micros = 0;
      return parse_duration_micros(value, &micros) ? Status()
                                                   : wrong_value(what, value, "a duration (250ms, 30s, 2h30m, 7d)");
    }
  }
  return internal_error("{}: unknown type of value", what);
}

Result<ParseOutcome> parse_arguments(const Command& root, const std::vector<std::string>& arguments) {
  return Parser(root, arguments).parse();
}

}  // namespace runink::cli
