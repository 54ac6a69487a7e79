#include "plane/exec_declaration.h"

#include "plane/agent_declaration.h"

namespace runink::plane {

using cli::Completion;
using cli::ValueType;

cli::Command exec_command(cli::RunFunction run) {
  return {
      .name = "exec",
      .group = "slices",
      .summary = "run a command in a slice: isolated, with what it is granted and no more",
      .description =
          "The command gets its own users, processes, network, files, host name, IPC and cgroups. It sees /usr of this "
          "host read-only, an empty /tmp of 256 MiB in memory, five devices, its own processes in /proc, and what "
          "--mount and "
          "--secret grant; nothing of /home, /root, /var, /run and /sys. It has no network but its own loopback and what "
          "--network names, no capabilities, and a list of allowed system calls. Standard input, output and error are yours.\n"
          "\n"
          "Started by root, the slice has users that nothing else on this host has. A mount is used as the owner of "
          "SRC, "
          "or, where that is root, as nobody in particular: read-only, and what everybody may read. Started by an "
          "ordinary user, the slice "
          "acts as that user on what is mounted, and a note says what is weaker; limits then are refused.\n"
          "\n"
          "The exit code is the command's own, or 128 and the number of the signal that ended it; 124 when --timeout "
          "did; 127 "
          "when there is no such program in the slice, 126 when it cannot be executed, 125 when the slice could not be "
          "made. "
          "Ctrl-C is passed on; after --grace, or at a second Ctrl-C, all processes of the slice are killed, and "
          "when the command ends, so are those it left behind.",
      .positionals = {{.name = "COMMAND",
                       .help = "the program, and its arguments",
                       .repeated = true,
                       .rest = true}},
      .flags = {{.name = "mount",
                 .type = ValueType::kText,
                 .value_name = "SRC:DST[:rw]",
                 .help = "show file or folder SRC of this host as DST, read-only unless :rw",
                 .repeated = true},
                {.name = "env",
                 .type = ValueType::kText,
                 .value_name = "NAME=VALUE",
                 .help = "set a variable; of yours, none is passed on",
                 .repeated = true},
                {.name = "secret",
                 .type = ValueType::kText,
                 .value_name = "NAME=FILE",
                 .help =
                     "show what FILE holds as /run/secrets/NAME: in memory, never swapped, for the command's user only",
                 .repeated = true},
                {.name = "user",
                 .type = ValueType::kText,
                 .value_name = "UID[:GID]",
                 .help = "who the command is inside",
                 .default_value = "1000"},
                {.name = "act-as",
                 .type = ValueType::kText,
                 .value_name = "USER",
                 .help = "who it is on mounts: a user of this host, by name or UID[:GID]; by default the owner of each"},
                {.name = "terminal",
                 .letter = 't',
                 .help = "give the command a terminal of its own, with job control, and connect yours to it"},
                {.name = "workdir",
                 .type = ValueType::kText,
                 .value_name = "FOLDER",
                 .help = "the folder, in the slice, that the command starts in",
                 .default_value = "/"},
                {.name = "cpu",
                 .type = ValueType::kNumber,
                 .value_name = "N",
                 .help = "at most so many processors' worth of time, such as 0.5 or 2; root only"},
                {.name = "cpu-weight",
                 .type = ValueType::kInteger,
                 .value_name = "N",
                 .help = "share of busy processors, 1 to 10000, where other slices have 100; root only"},
                {.name = "cpuset",
                 .type = ValueType::kText,
                 .value_name = "LIST",
                 .help = "the processors it may use, by number, such as 0-3,6; root only"},
                {.name = "numa",
                 .type = ValueType::kText,
                 .value_name = "LIST",
                 .help = "the NUMA nodes its memory may come from, by number; root only"},
                {.name = "memory",
                 .letter = 'm',
                 .type = ValueType::kBytes,
                 .value_name = "SIZE",
                 .help = "at most so much memory, /tmp and other files in memory included; root only"},
                {.name = "memory-high",
                 .type = ValueType::kBytes,
                 .value_name = "SIZE",
                 .help = "above so much memory slow it down instead of ending it; root only, cgroup v2 only"},
                {.name = "swap",
                 .type = ValueType::kBytes,
                 .value_name = "SIZE",
                 .help = "at most so much swap besides --memory; without it, none"},
                {.name = "pids",
                 .type = ValueType::kInteger,
                 .value_name = "N",
                 .help = "at most so many processes and threads, one of which is the slice's own; root only"},
                {.name = "scratch",
                 .type = ValueType::kText,
                 .value_name = "SIZE[:FOLDER]",
                 .help = "the size of /tmp; with FOLDER it is kept there on disk, encrypted, instead of in memory, which "
                         "takes root",
                 .default_value = "256Mi"},
                {.name = "device",
                 .type = ValueType::kText,
                 .value_name = "DEVICE[:rw]",
                 .help = "let it open this device of the host, for reading unless :rw; root only",
                 .repeated = true},
                {.name = "gpu",
                 .type = ValueType::kText,
                 .value_name = "N|device=LIST",
                 .help = "give it N GPUs that no other slice has, or those of these numbers; root only"},
                {.name = "io",
                 .type = ValueType::kText,
                 .value_name = "DEVICE:LIMITS",
                 .help = "limit a disk: read=, write= (bytes a second), read-ops=, write-ops= (times a second), "
                         "separated by commas; root only",
                 .repeated = true},
                {.name = "network",
                 .type = ValueType::kText,
                 .value_name = "HOST:PORT[/udp]",
                 .help = "let it reach this service, by name, address or prefix; nothing else can be reached; root only",
                 .repeated = true},
                {.name = "network-rate",
                 .type = ValueType::kBytes,
                 .value_name = "SIZE",
                 .help = "at most so many bytes a second to and from them, each way; root only"},
                {.name = "timeout",
                 .type = ValueType::kDuration,
                 .value_name = "TIME",
                 .help = "end the command after this: SIGTERM, and SIGKILL after --grace"},
                {.name = "grace",
                 .type = ValueType::kDuration,
                 .value_name = "TIME",
                 .help = "how long a command that was asked to end may take",
                 .default_value = "10s"},
                {.name = "usage", .help = "print what it used, on standard error, when it has ended"},
                {.name = "herd",
                 .type = ValueType::kText,
                 .value_name = "NAME",
                 .help = "whose slice it is: control groups lie in their herd's",
                 .default_value = "local"},
                {.name = "detach",
                 .letter = 'd',
                 .help = "let it run on by itself and print its id; needs an agent (runi agent), which keeps its log"},
                agent_flag(),
                {.name = "explain", .help = "start nothing; print every operation by which the slice would be made"}},
      .examples = {{"runi exec -- python3 -c 'print(6 * 7)'", "Run a program that sees nothing of yours."},
                   {"runi exec --mount ./data:/data --timeout 5m -- wc -l /data/orders.csv",
                    "Let it read one folder, for at most five minutes."},
                   {"runi exec --explain -- true", "How would that slice be made?"}},
      .run = run};
}

}  // namespace runink::plane
