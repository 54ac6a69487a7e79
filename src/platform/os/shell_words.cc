#include "platform/os/shell_words.h"

namespace runink::os {

namespace {

constexpr std::string_view kNeedsShell = "$*?[|&;<>()`~#!{}";
constexpr size_t kMaxWords = 4096;

Status refuse(std::string_view command, size_t at) {
  return invalid_argument("split the command at column {}: '{}' has a meaning only to a shell, and none is used", at + 1,
                          command[at])
      .with_hint(fmt::format("write sh -c '…' around it, or put the character in quotes: {}",
                             quote_word(std::string_view(&command[at], 1))));
}

}  // namespace

Result<std::vector<std::string>> split_command(std::string_view command) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  const auto finish = [&] {
    if (in_word) words.push_back(std::move(word));
    word.clear();
    in_word = false;
  };
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (c == '\0') return invalid_argument("split the command at column {}: NUL byte", i + 1);
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      finish();
      if (words.size() > kMaxWords) return invalid_argument("split the command: more than {} words", kMaxWords);
      continue;
    }
    if (c == '\'') {
      const size_t end = command.find('\'', i + 1);
      if (end == std::string_view::npos) {
        return invalid_argument("split the command: the ' at column {} has no end", i + 1);
      }
      word += command.substr(i + 1, end - i - 1);
      i = end;
    } else if (c == '"') {
      const size_t begin = i;
      for (++i; i < command.size() && command[i] != '"'; ++i) {
        if (command[i] == '\\' && i + 1 < command.size()) {
          const char next = command[i + 1];
          if (next == '\n') {
            ++i;
            continue;
          }
          if (next == '"' || next == '\\' || next == '$' || next == '`') ++i;
        } else if (command[i] == '$' || command[i] == '`') {
          return refuse(command, i);  // a shell would expand it here, too
        }
        word += command[i];
      }
      if (i >= command.size()) return invalid_argument("split the command: the \" at column {} has no end", begin + 1);
    } else if (c == '\\') {
      if (i + 1 >= command.size()) return invalid_argument("split the command: nothing follows the \\ at its end");
      if (command[++i] == '\n') continue;  // a continued line
      word += command[i];
    } else if (kNeedsShell.find(c) != std::string_view::npos) {
      // Inside a word these mean nothing to a shell: a#b, {} of find -exec, x=~ and the like.
      const bool harmless = ((c == '#' || c == '~') && in_word) || c == '{' || c == '}' || c == '!';
      if (!harmless) return refuse(command, i);
      word += c;
    } else {
      word += c;
    }
    in_word = true;
  }
  finish();
  if (words.empty()) return invalid_argument("split the command: it is empty");
  return words;
}

std::string quote_word(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%^";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') quoted += "'\\''";
    else quoted += c;
  }
  return quoted + "'";
}

std::string join_command(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += quote_word(word);
  }
  return line;
}

}  // namespace runink::os
