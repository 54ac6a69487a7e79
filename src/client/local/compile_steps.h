// The project's C++ steps: found, built, and known to be current.
//
// steps/FILE.cpp is built to a shared object, .runink/steps/lib/FILE.so. It may hold several steps (RUNINK_STEP); each
// gets a link .runink/steps/NAME.so, which is the path that a compiled feature names. Beside the library lies a record,
// lib/FILE.json: what it was built from and by, and the steps in it.
//
// Headers of all contracts of the project are made first, below .runink/steps/include: contracts/flight.contract becomes
// flight.h, contracts/a/b.contract a/b.h. Steps include them in quotes.
//
// The compiler is that of CXX (which may have arguments), else c++; CXXFLAGS, LDFLAGS and LDLIBS are added. A file is built
// again when its text, any header below steps/, a generated header, the SDK, the compiler or a flag has changed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"

namespace runink::local {

struct StepFile {
  std::string source;              // from the project root: "steps/score.cpp"
  std::string library;             // from the project root: ".runink/steps/lib/score.so"
  std::vector<std::string> steps;  // names registered in it, in order
  bool was_current = false;        // nothing had to be done
  double seconds = 0;              // of the compiler and of loading the library once
};

struct CompileStepsOptions {
  std::string project_root;
  std::vector<std::string> only;   // names of steps, or files ("steps/score.cpp", "score.cpp", "score"); empty: all
  bool force = false;              // also what is current
  std::string sdk_include;         // folder that holds runink/step/step.h; empty: found by find_step_sdk()
  std::string runi_slice;          // empty: found by find_runi_slice()
  int diagnostics = 2;             // the descriptor to which the compiler writes
  const StopFlag* stop = nullptr;
  std::function<void(const std::string& source)> on_start;  // before a file is built
  std::function<void(const StepFile& file)> on_done;        // after each file that is built, or was current
};

// Goes on after a file that does not compile; then the error says how many did not (kFailedPrecondition, kind
// "step.compile"). Contracts with errors are reported whole, as details. No steps/*.cpp at all is no error: the list is
// empty.
Result<std::vector<StepFile>> compile_steps(const CompileStepsOptions& options);

// kFailedPrecondition where the library of this step was built from other sources than those that are there now.
Status check_step_is_current(const std::string& project_root, const std::string& step);

// Names of the project's steps: those in the sources (by their text, so they need not be built) and those built.
std::vector<std::string> known_step_names(const std::string& project_root);

// The folder of the SDK: `include` of the prefix that this program is installed in, or of the build folder it lies in.
Result<std::string> find_step_sdk();
// The program runi-slice: beside this program, in libexec of its prefix, or in its build folder.
Result<std::string> find_runi_slice();

}  // namespace runink::local
