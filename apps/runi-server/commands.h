// What carries out the commands of plane_commands.h, by subject.
#pragma once

#include "base/status.h"
#include "client/cli/invocation.h"

namespace runink::plane {

// member_making.cc: what --key-file names; "" when it is not given. An empty name is refused: where a script's variable
// was not set, nothing must be written that is not sealed.
Result<std::string> key_file_of(const cli::Invocation& invocation);
// member_making.cc: an argument that names a file or folder, and is empty, is a usage error.
Status check_not_empty(const cli::Invocation& invocation, const char* argument);

// server_command.cc
Result<int> run_server(cli::Invocation& invocation);
// local_cluster.cc
Result<int> run_local(cli::Invocation& invocation);
// member_making.cc
Result<int> run_init(cli::Invocation& invocation);
Result<int> run_join(cli::Invocation& invocation);
Result<int> run_restore(cli::Invocation& invocation);
// operator_commands.cc
Result<int> run_status(cli::Invocation& invocation);
Result<int> run_members(cli::Invocation& invocation);
Result<int> run_add(cli::Invocation& invocation);
Result<int> run_remove(cli::Invocation& invocation);
Result<int> run_promote(cli::Invocation& invocation);
Result<int> run_transfer(cli::Invocation& invocation);
Result<int> run_snapshot(cli::Invocation& invocation);
Result<int> run_backup(cli::Invocation& invocation);
// identity_command.cc
Result<int> run_identity(cli::Invocation& invocation);
// member_files.cc
Result<int> run_inspect(cli::Invocation& invocation);
Result<int> run_verify(cli::Invocation& invocation);

}  // namespace runink::plane
