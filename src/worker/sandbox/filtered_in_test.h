// A child process that runs under the default filter, for tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace runink::sandbox::testing {

struct ChildEnd {
  bool exited = false;
  int code = 0;    // when exited
  int signal = 0;  // else
  std::string output;
};

// Runs `body` in a forked child with no_new_privs and, if `filtered`, the default filter. What it writes to standard
// output and standard error comes back, and its return value is the exit code. Exit code 120: the filter was refused.
ChildEnd in_child(const std::function<int()>& body, bool filtered = true);

// The same for a program, looked up in PATH; exit code 127 where there is none. `input` becomes its standard input.
ChildEnd run_program(const std::vector<std::string>& argv, const std::string& input = "", bool filtered = true);

bool has_program(const std::string& name);

}  // namespace runink::sandbox::testing
