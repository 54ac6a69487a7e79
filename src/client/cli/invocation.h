// One call of a command: the values of its arguments and flags, checked against their types, and where to write.
//
// Getters are called with names that the command itself declared; a name or type that it did not declare is a bug and
// aborts. Values were validated while parsing, so getters cannot fail.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/console.h"
#include "client/cli/exit_code.h"
#include "client/cli/output.h"

namespace runink::cli {

// What the parser found for one positional or flag.
struct ParsedValues {
  std::vector<std::string> texts;  // as typed; for a switch "true" once per time given
  bool given = false;              // false: texts holds the default, or nothing
};

class Invocation {
 public:
  Invocation(const Command& root, const Command& command, std::string path, std::map<std::string, ParsedValues> values,
             std::string command_line, Console& console)
      : root_(&root),
        command_(&command),
        path_(std::move(path)),
        values_(std::move(values)),
        command_line_(std::move(command_line)),
        console_(&console) {}

  const Command& root() const { return *root_; }  // the whole tree
  const Command& command() const { return *command_; }
  const std::string& path() const { return path_; }  // "runi contract check"
  // As it was typed, quoted for a shell: for records of what was run.
  const std::string& command_line() const { return command_line_; }
  Console& console() { return *console_; }

  // For positionals (by their name, "FEATURE") and flags (by their long name, "memory") alike, global flags included.
  bool given(std::string_view name) const;                             // typed on the command line
  bool has(std::string_view name) const;                               // given, or has a default
  bool enabled(std::string_view name) const;                           // a switch
  const std::string& text(std::string_view name) const;                // "" when neither given nor defaulted
  const std::vector<std::string>& texts(std::string_view name) const;  // repeated ones
  int64_t integer(std::string_view name, int64_t otherwise = 0) const;
  double number(std::string_view name, double otherwise = 0) const;  // kNumber and kPercent
  uint64_t bytes(std::string_view name, uint64_t otherwise = 0) const;
  int64_t duration_micros(std::string_view name, int64_t otherwise = 0) const;

  // Of --output; for commands that list.
  OutputForm output_form() const;
  // Writes the listing to standard output in the form asked for.
  Status print(const Table& table) { return render(table, output_form(), *console_); }

  // kInvalidArgument of kind "usage" with a hint to the command's --help: for what the parser cannot know.
  Status usage_error(std::string message) const;

 private:
  const ParsedValues* find(std::string_view name) const;

  const Command* root_;
  const Command* command_;
  std::string path_;
  std::map<std::string, ParsedValues> values_;
  std::string command_line_;
  Console* console_;
};

}  // namespace runink::cli
