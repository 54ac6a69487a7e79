// A small command tree for tests, with one of everything.
#pragma once

#include <string>
#include <vector>

#include "client/cli/invocation.h"
#include "client/cli/program.h"

namespace runink::cli::testing_tree {

// What the last command that ran was given, for tests to look at.
inline std::string& last_call() {
  static std::string text;
  return text;
}

inline Result<int> remember(Invocation& invocation) {
  last_call() = invocation.path();
  return kExitDone;
}

inline Result<int> run_run(Invocation& invocation) {
  std::string text = invocation.path();
  for (const std::string& feature : invocation.texts("FEATURE")) text += " [" + feature + "]";
  text += " memory=" + std::to_string(invocation.bytes("memory"));
  text += " threads=" + std::to_string(invocation.integer("threads", -1));
  text += " timeout=" + std::to_string(invocation.duration_micros("timeout"));
  for (const std::string& set : invocation.texts("set")) text += " set=" + set;
  if (invocation.enabled("strict")) text += " strict";
  if (invocation.enabled("verbose")) text += " verbose";
  last_call() = text;
  return kExitDone;
}

inline Command sample_tree() {
  Command run{
      .name = "run",
      .group = "project",
      .summary = "run the scenarios of a feature",
      .description =
          "Runs every scenario of the features in the order of what they need.\n\n"
          "Nothing is published until all assertions hold.",
      .positionals =
          {{.name = "FEATURE", .help = "feature file", .completion = Completion::kFeature, .repeated = true}},
      .flags =
          {{.name = "memory",
            .letter = 'm',
            .type = ValueType::kBytes,
            .value_name = "SIZE",
            .help = "memory budget",
            .default_value = "256Mi"},
           {.name = "threads", .letter = 'j', .type = ValueType::kInteger, .value_name = "N", .help = "threads"},
           {.name = "timeout", .type = ValueType::kDuration, .value_name = "TIME", .help = "give up after this long"},
           {.name = "set", .type = ValueType::kText, .value_name = "NAME=VALUE", .help = "a setting", .repeated = true},
           {.name = "mode",
            .type = ValueType::kText,
            .value_name = "MODE",
            .help = "how to write",
            .choices = {"replace", "append", "fail"}},
           {.name = "scenario",
            .letter = 's',
            .type = ValueType::kText,
            .value_name = "NAME",
            .help = "only this scenario",
            .completion = Completion::kScenario},
           {.name = "strict", .help = "what has no effect here is an error"},
           {.name = "verbose", .letter = 'v', .help = "say more"}},
      .examples = {{"runi run features/flights.dsl", "Run everything in one feature."}},
      .run = run_run};
  Command runs{.name = "runs", .group = "runs", .summary = "list runs", .lists = true, .run = remember};
  Command show{.name = "show",
               .group = "runs",
               .summary = "show a step's sample",
               .positionals = {{.name = "RUN", .help = "id of the run", .completion = Completion::kRun},
                               {.name = "STEP", .help = "name of the step", .optional = true}},
               .run = remember};
  Command check{.name = "check",
                .group = "contracts",
                .summary = "check a contract",
                .positionals = {{.name = "CONTRACT", .help = "contract file", .completion = Completion::kContract}},
                .flags = {{.name = "data",
                           .type = ValueType::kText,
                           .value_name = "FILE",
                           .help = "data to check it with",
                           .completion = Completion::kFile}},
                .run = remember};
  Command release{.name = "release", .group = "contracts", .summary = "release a version", .run = remember};
  Command contract{
      .name = "contract", .group = "contracts", .summary = "work with contracts", .subcommands = {check, release}};
  Command secret{.name = "__secret", .group = "runs", .summary = "not shown", .run = remember, .hidden = true};
  return {.name = "runi",
          .summary = "a sample of a program",
          .description = "What it is for.",
          .flags = {{.name = "version", .help = "print the version and exit"}},
          .subcommands = {run, contract, runs, show, secret}};
}

}  // namespace runink::cli::testing_tree
