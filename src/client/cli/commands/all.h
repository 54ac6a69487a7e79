// One function per command; each is defined in the file of its name.
#pragma once

#include "client/cli/command.h"

namespace runink::cli {

// project
Command init_command();
Command doctor_command();
Command fmt_command();
Command lint_command();
Command steps_command();
Command plan_command();
Command run_command();
Command watch_command();  // run_command.cc
Command compile_command();
Command diff_command();
Command gc_command();
Command test_command();
Command synth_command();

// contracts
Command contract_command();

// runs
Command runs_command();
Command status_command();
Command logs_command();
Command cancel_command();
Command resume_command();   // run_command.cc
Command restart_command();  // run_command.cc
Command lineage_command();
Command dlq_command();
Command quality_command();
Command show_command();

// the program
Command completion_command();
Command help_command();
Command complete_command();  // completion.cc; hidden
Command generate_command();  // hidden

}  // namespace runink::cli
