#include "platform/os/process_table.h"

#include <charconv>
#include <string_view>

#include "platform/os/file.h"

namespace runink::os {

namespace {

constexpr uint64_t kProcReadLimit = 8u << 20;

// "4711 (a name with ) and spaces) S 1 4711 4711 …": fields are counted from behind the last parenthesis.
std::optional<ProcessStat> parse_stat(pid_t pid, std::string_view text) {
  const size_t close = text.rfind(')');
  if (close == std::string_view::npos || close + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(close + 2);
  ProcessStat stat;
  stat.pid = pid;
  int field = 3;
  while (!text.empty()) {
    size_t end = text.find(' ');
    if (end == std::string_view::npos) end = text.size();
    const std::string_view word = text.substr(0, end);
    uint64_t number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    if (field == 3 && !word.empty()) stat.state = word[0];
    else if (field == 4) stat.parent = static_cast<pid_t>(number);
    else if (field == 5) stat.group = static_cast<pid_t>(number);
    else if (field == 6) stat.session = static_cast<pid_t>(number);
    else if (field == 22) {
      stat.start_ticks = number;
      return stat;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    ++field;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid), kProcReadLimit);
  if (!text.ok()) return std::nullopt;
  return parse_stat(pid, *text);
}

std::vector<ProcessStat> read_process_table() {
  std::vector<ProcessStat> table;
  const auto names = list_directory("/proc");
  if (!names.ok()) return table;
  for (const std::string& name : *names) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (const auto stat = read_process_stat(pid)) table.push_back(*stat);
  }
  return table;
}

bool process_has_environment(pid_t pid, const std::string& entry) {
  const auto text = read_file(fmt::format("/proc/{}/environ", pid), kProcReadLimit);
  if (!text.ok()) return false;
  const std::string wanted = '\0' + entry + '\0';
  return ('\0' + *text).find(wanted) != std::string::npos;
}

}  // namespace runink::os
