// runi: the one program. Commands that need nothing running come from client/cli; those that start or open a plane are
// registered here.
#include <csignal>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/program.h"

int main(int argc, char** argv) {
  // A reader that goes away is an error of the write that meets it, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  runink::cli::Console console = runink::cli::Console::of_process();
  return runink::cli::run_program(runink::cli::command_tree(), std::vector<std::string>(argv + 1, argv + argc),
                                  console);
}
