// runi-server: what `runi server` and `runi barn` become. It is given the command as it was typed, and has the same
// tree of commands for it, with these carried out.
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <map>
#include <string>
#include <vector>

#include "client/cli/commands.h"
#include "client/cli/program.h"
#include "commands.h"
#include "plane/plane_commands.h"
#include "platform/rpc/client_credentials.h"

namespace {

runink::cli::RunFunction run_of(const std::string& path) {
  using namespace runink::plane;
  static const std::map<std::string, runink::cli::RunFunction> runs = {
      {"server", run_server},          {"barn init", run_init},         {"barn join", run_join},
      {"barn local", run_local},       {"barn status", run_status},     {"barn members", run_members},
      {"barn add", run_add},           {"barn remove", run_remove},     {"barn promote", run_promote},
      {"barn transfer", run_transfer}, {"barn snapshot", run_snapshot}, {"barn backup", run_backup},
      {"barn restore", run_restore},   {"barn inspect", run_inspect},   {"barn verify", run_verify},
      {"barn identity", run_identity}};
  return runs.at(path);
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  // A core file would hold the keys that this process works with.
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  // All files that these commands make are the operator's alone. RocksDB asks for more, and cannot be told.
  ::umask(077);
  runink::rpc::prepare_grpc();
  runink::cli::Command tree = runink::cli::command_tree();
  tree.subcommands = runink::plane::plane_commands(run_of);
  runink::cli::Console console = runink::cli::Console::of_process();
  return runink::cli::run_program(tree, std::vector<std::string>(argv + 1, argv + argc), console);
}
