// Which files of the project the programs of a plan are made of.
#pragma once

#include <string>
#include <vector>

#include "data/plan/plan.h"

namespace runink::local {

// Files in the project that the commands of its sources, steps and sinks name, in a word or in a part of one (as in
// `sh -c 'sh steps/a.sh | sort'`), and the libraries of its C++ steps. Left out is what lies in .runink/ otherwise, and
// below folders that the plan writes to (`tee out/seen.txt`), unless that is steps/. Paths from the root, sorted.
std::vector<std::string> program_files(const plan::Plan& plan, const std::string& project_root);

// The files in the project that one command names, wherever they lie in it but in .runink/. Paths from the root, sorted.
std::vector<std::string> files_of_command(const std::vector<std::string>& command, const std::string& project_root);

}  // namespace runink::local
