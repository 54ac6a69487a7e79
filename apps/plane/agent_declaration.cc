#include "plane/agent_declaration.h"

namespace runink::plane {
namespace {

using cli::Command;
using cli::Completion;
using cli::Flag;
using cli::Positional;
using cli::ValueType;

Positional slice_id() {
  return {.name = "ID", .help = "of a slice, as `runi slice list` shows it, or the beginning of it"};
}

std::vector<Flag> daemon_flags() {
  return {
      {.name = "local", .help = "serve this machine alone, without a cluster"},
      {.name = "state",
       .type = ValueType::kText,
       .value_name = "FOLDER",
       .help = "for logs and records of slices; default: /var/lib/runink/agent, or ~/.local/state/runink/agent",
       .completion = Completion::kFolder},
      {.name = "socket",
       .type = ValueType::kText,
       .value_name = "PATH",
       .help = "where callers reach it; default: /run/runink/agent.sock, or $XDG_RUNTIME_DIR/runink/agent.sock"},
      {.name = "allow-user",
       .type = ValueType::kText,
       .value_name = "NAME",
       .help = "let this user start slices, and see and end those; root's agent only",
       .repeated = true},
      {.name = "allow-group",
       .type = ValueType::kText,
       .value_name = "NAME",
       .help = "the same for everybody in this group",
       .repeated = true},
      {.name = "on-start",
       .type = ValueType::kText,
       .value_name = "WHAT",
       .help = "what becomes of slices of a former agent that still run",
       .default_value = "adopt",
       .choices = {"adopt", "end"}},
      {.name = "on-stop",
       .type = ValueType::kText,
       .value_name = "WHAT",
       .help = "what becomes of detached slices when this agent is told to stop",
       .default_value = "end",
       .choices = {"end", "keep"}},
      {.name = "parked",
       .type = ValueType::kInteger,
       .value_name = "N",
       .help = "slices that stand ready, so that others like them start sooner: of each of the eight kinds used last",
       .default_value = "2"},
      {.name = "herd-limit",
       .type = ValueType::kText,
       .value_name = "HERD:LIMITS",
       .help = "limit all slices of a herd together, such as etl:cpu=2,memory=4Gi,pids=1000; limits are cpu, cpu-weight, "
               "cpuset, numa, memory, memory-high, swap, pids and io, as `runi exec` has them; root's agent only",
       .repeated = true},
      {.name = "metrics",
       .type = ValueType::kText,
       .value_name = "ADDRESS:PORT",
       .help = "serve metrics over HTTP there, such as 127.0.0.1:7474"},
      {.name = "fluentd",
       .type = ValueType::kText,
       .value_name = "HOST:PORT",
       .help = "send the lines of logs to this Fluentd-protocol server, too"},
      {.name = "fluentd-key-file",
       .type = ValueType::kText,
       .value_name = "FILE",
       .help = "holds the key that it shares with its clients",
       .completion = Completion::kFile},
      {.name = "fluentd-tls", .help = "speak TLS with it, and believe the authorities of this system"},
      {.name = "fluentd-ca",
       .type = ValueType::kText,
       .value_name = "FILE",
       .help = "speak TLS with it, and believe the authorities in this file alone",
       .completion = Completion::kFile},
      {.name = "label",
       .type = ValueType::kText,
       .value_name = "KEY=VALUE",
       .help = "a label of this node",
       .repeated = true},
      {.name = "labels",
       .type = ValueType::kText,
       .value_name = "FILE",
       .help = "labels of this node, one a line",
       .completion = Completion::kFile},
      {.name = "log",
       .type = ValueType::kText,
       .value_name = "FORM",
       .help = "how to log",
       .default_value = "auto",
       .choices = {"auto", "json", "text"}}};
}

Command status_command() {
  return {.name = "status",
          .summary = "ask the agent how it is, and what this node has",
          .description = "Fails with 4 where no agent serves you.",
          .flags = {agent_flag()},
          .lists = true,
          .examples = {{"runi agent status", "Does one run?"}, {"runi agent status -o json", "For programs."}}};
}

Command list_command() {
  return {.name = "list",
          .summary = "list slices that an agent has",
          .description =
              "Those that run, or with --all also those that have ended and were detached: their logs are kept as long "
              "as they are listed. Operators see all, other users their own. CPU and MEMORY are counted by control "
              "groups: slices without limits have no such numbers while they run.",
          .positionals = {{.name = "ID", .help = "only this one", .optional = true}},
          .flags = {{.name = "all", .letter = 'a', .help = "also those that have ended"}, agent_flag()},
          .lists = true,
          .examples = {{"runi slice list", "What runs?"},
                       {"runi slice list --all -o wide", "What ran, and how did it end?"}}};
}

Command logs_command() {
  return {.name = "logs",
          .summary = "print what a detached slice wrote",
          .description =
              "What it wrote to standard output goes to standard output, and the rest to standard error. A line that "
              "begins with \"runink:\" is the agent's: what happened to the slice, or how many lines are missing.",
          .positionals = {slice_id()},
          .flags = {{.name = "follow", .letter = 'f', .help = "go on until the slice has ended"},
                    {.name = "last",
                     .type = ValueType::kInteger,
                     .value_name = "N",
                     .help = "begin so many lines before the end"},
                    {.name = "times", .help = "begin each line with the time at which it was read"},
                    agent_flag()},
          .examples = {{"runi slice logs k3f9x2mq", "What did it write?"},
                       {"runi slice logs -f --last 10 k3f", "What does it write now?"}}};
}

Command metrics_command() {
  return {.name = "metrics",
          .summary = "print metrics in Prometheus' text form",
          .description =
              "Those of the agent and all its slices, or what is counted of one slice. Slices without "
              "limits run in no control group, and nothing is counted of them.",
          .positionals = {{.name = "ID", .help = "only this slice's", .optional = true}},
          .flags = {agent_flag()},
          .examples = {{"runi slice metrics", "How is the agent?"}}};
}

Command kill_command() {
  return {.name = "kill",
          .summary = "end slices, and wait until they have ended",
          .description =
              "The program gets SIGTERM; after the grace all processes of the slice are killed. What it wrote stays.",
          .positionals = {{.name = "ID",
                           .help = "of a slice, as `runi slice list` shows it, or the beginning of it",
                           .repeated = true}},
          .flags = {{.name = "grace",
                     .type = ValueType::kDuration,
                     .value_name = "TIME",
                     .help = "how long it may take; 0s kills at once; default: the slice's own"},
                    agent_flag()},
          .examples = {{"runi slice kill k3f9x2mq", "Ask it to end."},
                       {"runi slice kill --grace 0s k3f9x2mq", "At once."}}};
}

}  // namespace

Flag agent_flag() {
  return {.name = "agent",
          .type = ValueType::kText,
          .value_name = "PATH",
          .help = "the socket of the agent to ask; default: $RUNINK_AGENT, else your own, else root's"};
}

Command agent_command(const RunOf& run) {
  Command status = status_command();
  status.run = run("agent status");
  return {
      .name = "agent",
      .group = "slices",
      .summary = "run the agent of this machine, which starts slices and keeps their logs",
      .description =
          "Runs until it is told to stop (SIGTERM, Ctrl-C). While it runs, `runi exec` starts its slices there: "
          "faster, "
          "with --detach so that they run on by themselves, and listed by `runi slice list`. What happens is logged to "
          "standard error, one JSON object a line, or as text on a terminal; the line agent.ready says that callers "
          "are "
          "served.\n"
          "\n"
          "There is one agent a machine that root runs, or one of each user. Root and whoever runs it may do "
          "everything. Users who are allowed to use root's agent get slices as strong as root's, but these act on this "
          "host as the user, in herds of his own, and only he and operators see or end them.\n"
          "\n"
          "An agent that was killed leaves its detached slices running for ten minutes; the next one finds them, and "
          "loses no line of what they write.",
      .flags = daemon_flags(),
      .examples = {{"sudo runi agent --local --allow-group developers", "Serve root and the developers."},
                   {"runi agent --local &", "One of your own."}},
      .subcommands = {status},
      .run = run("agent")};
}

Command slice_command(const RunOf& run) {
  Command out{.name = "slice",
              .group = "slices",
              .summary = "list, follow and end slices that an agent runs",
              .description = "Asks the agent that `runi agent --local` runs.",
              .examples = {{"runi slice list", "What runs?"}},
              .subcommands = {list_command(), logs_command(), metrics_command(), kill_command()}};
  for (Command& sub : out.subcommands) sub.run = run("slice " + sub.name);
  return out;
}

}  // namespace runink::plane
