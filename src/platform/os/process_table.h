// What /proc says about processes. Private to platform/os.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace runink::os {

struct ProcessStat {
  pid_t pid = 0, parent = 0, group = 0, session = 0;
  char state = '?';
  uint64_t start_ticks = 0;
  bool ended() const { return state == 'Z' || state == 'X'; }
};

std::optional<ProcessStat> read_process_stat(pid_t pid);
std::vector<ProcessStat> read_process_table();
// Whether NAME=value is in the environment the process was started with; false where that cannot be read.
bool process_has_environment(pid_t pid, const std::string& entry);

}  // namespace runink::os
