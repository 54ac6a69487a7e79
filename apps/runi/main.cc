// runi: the one program. Commands that need nothing running come from client/cli; those that start or open the control
// plane are carried out by runi-server, which this program then becomes; those about slices are its own.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "agent_command.h"
#include "client/cli/doctor.h"
#include "client/cli/program.h"
#include "client/local/scenario_runner.h"
#include "doctor_checks.h"
#include "exec_command.h"
#include "isolate/isolated_runner.h"
#include "plane/enter_plane.h"
#include "plane/program_tree.h"
#include "slice_commands.h"

// A stream that the caller closed becomes /dev/null: else the first file that is opened would be taken for it.
static void open_closed_streams() {
  int fd;
  while ((fd = ::open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO) {
  }
  if (fd >= 0) ::close(fd);
}

static runink::cli::RunFunction run_of(const std::string& path) {
  static const std::map<std::string, runink::cli::RunFunction> own = {
      {"exec", runink::run_exec},
      {"agent", runink::run_agent},
      {"agent status", runink::run_agent_status},
      {"slice list", runink::run_slice_list},
      {"slice logs", runink::run_slice_logs},
      {"slice metrics", runink::run_slice_metrics},
      {"slice kill", runink::run_slice_kill},
  };
  const auto at = own.find(path);
  return at == own.end() ? runink::plane::enter_plane : at->second;
}

int main(int argc, char** argv) {
  open_closed_streams();
  // A reader that goes away is an error of the write that meets it, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  runink::plane::remember_arguments(argv);
  runink::local::offer_isolation([](auto note) { return runink::isolate::make_runner(std::move(note)); });
  runink::cli::offer_slice_checks(runink::check_slices);
  const runink::cli::Command tree = runink::plane::program_tree(run_of);
  runink::cli::Console console = runink::cli::Console::of_process();
  return runink::cli::run_program(tree, std::vector<std::string>(argv + 1, argv + argc), console);
}
