#include "plane/plane_commands.h"

#include "client/cli/commands.h"
#include "plane/agent_declaration.h"
#include "plane/exec_declaration.h"
#include "plane/program_tree.h"

namespace runink::plane {

namespace {

using cli::Command;
using cli::Completion;
using cli::Flag;
using cli::Positional;
using cli::ValueType;

Flag key_file_flag() {
  return {.name = "key-file",
          .type = ValueType::kText,
          .value_name = "FILE",
          .help = "the key that this member's files are sealed with: 64 hexadecimal digits, or 32 bytes",
          .completion = Completion::kFile};
}
Flag cluster_flag() {
  return {.name = "cluster",
          .type = ValueType::kText,
          .value_name = "FOLDER",
          .help = "how to reach the cluster: a client folder, as the founder has it; default: $RUNINK_CLUSTER",
          .completion = Completion::kFolder};
}
Flag timeout_flag() {
  return {.name = "timeout",
          .type = ValueType::kDuration,
          .value_name = "TIME",
          .help = "give up after this",
          .default_value = "10s"};
}
std::vector<Flag> address_flags() {
  return {{.name = "host",
           .type = ValueType::kText,
           .value_name = "HOST",
           .help = "under which the other members and clients reach this one",
           .default_value = "127.0.0.1"},
          {.name = "port",
           .type = ValueType::kInteger,
           .value_name = "PORT",
           .help = "the first of four: clients, members, new nodes, metrics",
           .default_value = "7460"},
          {.name = "listen",
           .type = ValueType::kText,
           .value_name = "HOST",
           .help = "listen at this address of the host (0.0.0.0 for all); default: at --host"},
          key_file_flag()};
}
Flag name_flag() {
  return {.name = "name",
          .type = ValueType::kText,
          .value_name = "NAME",
          .help = "what people call the cluster",
          .default_value = "runink"};
}
Positional folder(const char* help) { return {.name = "FOLDER", .help = help, .completion = Completion::kFolder}; }

Command server_command() {
  return {
      .name = "server",
      .group = "cluster",
      .summary = "run a member of a cluster",
      .description =
          "Runs until it is told to stop (SIGTERM, Ctrl-C): it then hands the lead over first. What happens is "
          "logged to standard error, one JSON object a line, or as text on a terminal.\n"
          "\n"
          "For now a member holds the Barn and nothing else, which --barn-only says.\n"
          "\n"
          "The process ends by itself when what it writes may not be durable, when its state is found to differ "
          "from the others', or when it was taken out of the cluster; the reason is the last it logs. After the first "
          "two it is to be started again.",
      .positionals = {folder("of the member, as `runi barn init` or `join` made it")},
      .flags = {{.name = "barn-only", .help = "hold the cluster's state, and schedule nothing"},
                key_file_flag(),
                {.name = "moved", .help = "the folder was moved here, and the old one will never run again"},
                {.name = "log",
                 .type = ValueType::kText,
                 .value_name = "FORM",
                 .help = "how to log",
                 .default_value = "auto",
                 .choices = {"auto", "json", "text"}},
                {.name = "cache",
                 .type = ValueType::kBytes,
                 .value_name = "SIZE",
                 .help = "memory for blocks of the state",
                 .default_value = "128Mi"},
                {.name = "snapshot-entries",
                 .type = ValueType::kInteger,
                 .value_name = "N",
                 .help = "make a snapshot after so many entries, and keep a tenth of them",
                 .default_value = "100000"}},
      .examples = {{"runi server barn1 --barn-only", "Run the member in the folder barn1."}}};
}

Command init_command() {
  Command out{.name = "init",
              .summary = "found a cluster of one member",
              .description =
                  "Makes the member's folder, a certificate authority of the cluster's own, and in FOLDER/client what "
                  "the operator needs to reach it. Start the member with `runi server`; let others in with `runi barn "
                  "add`.",
              .positionals = {folder("for the member; must not be there, or be empty")},
              .flags = address_flags(),
              .examples = {{"runi barn init barn1 --name shop --host 10.0.0.1", "Found the cluster shop."}}};
  out.flags.insert(out.flags.begin(), name_flag());
  return out;
}

Command join_command() {
  return {.name = "join",
          .summary = "make this machine a member, with a token",
          .description =
              "The token comes from `runi barn add`; it is good for one node, once, for an hour. It proves the cluster "
              "to this node and this node to the cluster. Start the member with `runi server` then.",
          .positionals = {folder("for the member; must not be there, or be empty"),
                          {.name = "TOKEN", .help = "the token, or - to read it from standard input"}},
          .flags = address_flags(),
          .examples = {{"runi barn join barn2 runink-join-1.… --host 10.0.0.2", "Become the member that it names."},
                       {"runi barn join barn2 - --port 7470 < token", "Keep the token out of the process table."}}};
}

Command status_command() {
  return {.name = "status",
          .summary = "ask every member how it is",
          .description =
              "Asks each by itself, so that it also helps where no member leads. Fails where none does: with 5 where "
              "any that "
              "answer refuse, with 124 where none answers in time.",
          .flags = {cluster_flag(), timeout_flag()},
          .lists = true,
          .examples = {{"runi barn status", "How are they?"}, {"runi barn status -o wide", "All there is to know."}}};
}
Command members_command() {
  return {.name = "members",
          .summary = "list the members as the leader sees them",
          .description = "With those that have joined and do not vote, and tokens that are still good with -o wide.",
          .flags = {cluster_flag(), timeout_flag()},
          .lists = true,
          .examples = {{"runi barn members", "Who is in?"}}};
}
Command add_command() {
  return {.name = "add",
          .summary = "make a token with which one new node may join",
          .description =
              "Prints the token. Whoever has it can become a member: hand it over as a secret. The new member first "
              "receives all there is; it votes once it holds that, or with --learner once it is promoted.",
          .flags = {{.name = "learner", .help = "the new member does not vote until `runi barn promote`"},
                    {.name = "ttl",
                     .type = ValueType::kDuration,
                     .value_name = "TIME",
                     .help = "how long the token is good: 1s to 7d",
                     .default_value = "1h"},
                    cluster_flag(),
                    timeout_flag()},
          .examples = {{"runi barn add", "Print a token."}}};
}
Positional node() {
  return {.name = "NODE", .help = "its number, as `runi barn members` shows it", .type = ValueType::kInteger};
}
Command remove_command() {
  return {.name = "remove",
          .summary = "take a member out of the cluster, for good",
          .description =
              "Refused where those that are left, and can be reached, would be no majority. Its number is never given "
              "again. The member ends itself when it hears of it; remove its folder then. "
              "Of one that has not joined yet, the token is good no longer.",
          .positionals = {node()},
          .flags = {cluster_flag(), timeout_flag()},
          .examples = {{"runi barn remove 2", "Member 2 is broken, and will be replaced."}}};
}
Command promote_command() {
  return {.name = "promote",
          .summary = "let a member that only received vote",
          .description = "Refused while it has not caught up.",
          .positionals = {node()},
          .flags = {cluster_flag(), timeout_flag()},
          .examples = {{"runi barn promote 4", "Member 4 votes from now on."}}};
}
Command transfer_command() {
  Positional to = node();
  to.optional = true;
  to.help = "who is to lead; default: whoever is best fit";
  return {.name = "transfer",
          .summary = "hand the lead over",
          .description = "For maintenance: takes a few milliseconds, where a leader that stops costs an election.",
          .positionals = {to},
          .flags = {cluster_flag(), timeout_flag()},
          .examples = {{"runi barn transfer 2", "Member 2 leads from now on."}}};
}
Command snapshot_command() {
  return {.name = "snapshot",
          .summary = "have every member write a snapshot of its state",
          .description =
              "Members do so by themselves after enough entries. A snapshot lets the log before it go; it is no "
              "backup, for which there is `runi barn backup`.",
          .flags = {cluster_flag(), timeout_flag()},
          .examples = {{"runi barn snapshot", "Write one now."}}};
}
Command backup_command() {
  Flag find_within = timeout_flag();
  find_within.help = "give up when nobody leads, or nothing comes, for so long";
  return {
      .name = "backup",
      .summary = "write all that the cluster holds to a file",
      .description =
          "Consistent as of one moment, while the cluster works on. The file is checked before it gets its name; it "
          "is not encrypted, and holds what the cluster holds, its certificate authority included.\n"
          "\n"
          "With --folder, of a member that is stopped, or of a copy of its folder: what its state and its log hold, "
          "for when most of the members "
          "are lost. What only the lost ones had is lost.",
      .positionals = {{.name = "FILE", .help = "to write; must not be there", .completion = Completion::kFile}},
      .flags = {cluster_flag(),
                {.name = "folder",
                 .type = ValueType::kText,
                 .value_name = "FOLDER",
                 .help = "of a stopped member, instead of asking a cluster",
                 .completion = Completion::kFolder},
                key_file_flag(),
                find_within},
      .examples = {{"runi barn backup shop.barn", "Back up the cluster."},
                   {"runi barn backup shop.barn --folder barn3", "Save what the last member has."}}};
}
Command restore_command() {
  Command out{.name = "restore",
              .summary = "found a new cluster with what a backup holds",
              .description =
                  "Makes the folder of its first member. It is another cluster, with an authority of its own, and its "
                  "fencing tokens are greater than all of the old one; members of the old one cannot join it. Sessions "
                  "have ended; leases go on, and expire unless they are renewed.",
              .positionals = {{.name = "FILE", .help = "the backup", .completion = Completion::kFile},
                              folder("for the member; must not be there, or be empty")},
              .flags = address_flags(),
              .examples = {{"runi barn restore shop.barn barn1 --name shop", "Begin anew with the backup."}}};
  out.flags.insert(out.flags.begin(), name_flag());
  return out;
}
Command inspect_command() {
  return {.name = "inspect",
          .summary = "show what a stopped member's log and state hold, without changing that",
          .description =
              "Segments and entries of the log, the hard state, and up to which entry the state was applied. The "
              "member must be stopped; a copy of its folder will do.",
          .positionals = {folder("of a member")},
          .flags = {key_file_flag(), {.name = "batches", .help = "also list every batch that was written"}},
          .lists = true,
          .examples = {{"runi barn inspect barn1", "What is in the log?"}}};
}
Command verify_command() {
  return {
      .name = "verify",
      .summary = "check a stopped member's files, or a backup",
      .description =
          "Reads all of the log and the state and compares checksums (and, where they are sealed, tags); of a backup "
          "also that it is whole. Names what is damaged, and changes nothing. The member must be stopped; a copy of "
          "its "
          "folder will do.",
      .positionals = {{.name = "PATH",
                       .help = "folder of a member, or file of a backup",
                       .completion = Completion::kFile}},
      .flags = {key_file_flag()},
      .examples = {{"runi barn verify barn1", "Is all there?"}, {"runi barn verify shop.barn", "Is it whole?"}}};
}
Command identity_command() {
  return {.name = "identity",
          .summary = "make a new certificate for an operator or another user, from a stopped member's folder",
          .description =
              "The operator's certificate ends after a year, and no member renews it; commands warn 30 days before. "
              "Every member's state holds the cluster's certificate authority: whoever may read a member's folder may "
              "make certificates with it, also after the old one has ended. Stop one member of several, or copy the "
              "folder of one that is stopped; the others go on meanwhile. There has to be room for a copy beside the "
              "folder.\n"
              "\n"
              "Certificates that were given out before stay good until they end.",
          .positionals = {{.name = "OUT",
                           .help = "client folder to make, or of this cluster, whose certificate is replaced",
                           .completion = Completion::kFolder}},
          .flags = {{.name = "folder",
                     .type = ValueType::kText,
                     .value_name = "FOLDER",
                     .help = "of a stopped member, or a copy of it",
                     .completion = Completion::kFolder},
                    {.name = "user",
                     .type = ValueType::kText,
                     .value_name = "NAME",
                     .help = "who it is for; only operator may use `runi barn`",
                     .default_value = "operator"},
                    key_file_flag()},
          .examples = {{"runi barn identity ./client --folder barn2", "Go on for another year."},
                       {"runi barn identity ./ann --user ann --folder barn2", "Let ann read and write keys."}}};
}
Command local_command() {
  return {.name = "local",
          .summary = "run a whole cluster on this machine",
          .description =
              "For trying things out and for tests: each member is a process of its own and has its folder in FOLDER. "
              "What is not there is founded and joined first. Ctrl-C stops all of them; the next time they go on where "
              "they were. A folder that holds anything else, or that another such command uses, is refused.",
          .positionals = {folder("for the members' folders")},
          .flags = {{.name = "members",
                     .type = ValueType::kInteger,
                     .value_name = "N",
                     .help = "how many; later, as many join as are missing, and none is taken out. The first time 3",
                     .default_value = "3"},
                    {.name = "port",
                     .type = ValueType::kInteger,
                     .value_name = "PORT",
                     .help = "the first; each member takes four",
                     .default_value = "7460"},
                    key_file_flag()},
          .examples = {{"runi barn local ./barn", "Run three members on loopback."}}};
}

Command barn_command() {
  return {
      .name = "barn",
      .group = "cluster",
      .summary = "found, watch and change a cluster's state store",
      .description =
          "The Barn holds all that a cluster knows, on one, three or five members that agree on every write. These "
          "commands found one, let members in and out, back it up, and look into its files.",
      .examples = {{"runi barn local ./barn", "Run three members on this machine."}},
      .subcommands = {init_command(), join_command(), local_command(), status_command(), members_command(),
                      add_command(), remove_command(), promote_command(), transfer_command(), snapshot_command(),
                      backup_command(), restore_command(), inspect_command(), verify_command(), identity_command()}};
}

}  // namespace

std::vector<cli::Command> plane_commands(const RunOf& run) {
  std::vector<cli::Command> out = {server_command(), barn_command()};
  for (Command& command : out) {
    if (command.subcommands.empty()) command.run = run(command.name);
    for (Command& sub : command.subcommands) sub.run = run(command.name + " " + sub.name);
  }
  return out;
}

cli::Command program_tree(const RunOf& run) {
  cli::Command tree = cli::command_tree();
  tree.subcommands.push_back(exec_command(run("exec")));
  tree.subcommands.push_back(slice_command(run));
  tree.subcommands.push_back(agent_command(run));
  for (Command& command : plane_commands(run)) tree.subcommands.push_back(std::move(command));
  return tree;
}

}  // namespace runink::plane
