// A bundle: everything that a feature was compiled from, so that it can be compiled again where none of it can be seen.
// A slice gets one instead of the project's files; what it makes of it is the same plan.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/columnar/type.h"
#include "data/dsl/compile.h"
#include "data/plan/plan.h"

namespace runink::dsl {

struct Bundle {
  struct File {
    std::string path, text;
  };
  struct Inferred {
    std::string source;  // source_key()
    columnar::Schema schema;
  };
  std::string feature_path, feature_text;
  std::vector<File> files;         // that were read: contracts and what they import
  std::vector<Inferred> inferred;  // columns of sources without a contract
  std::string project_root, step_folder;
  bool allow_unenforced = false;
};

// The environment with which a compilation writes down what it reads into `bundle`.
CompileEnvironment recording(CompileEnvironment environment, std::shared_ptr<Bundle> bundle);

// Compiles the bundle as far as `scenario` needs it (empty: all of it). Reads nothing else. kDataLoss for a bundle that
// does not compile, with the diagnostics as details: it did when it was made.
Result<plan::Plan> compile_bundle(const Bundle& bundle, const std::string& scenario);

}  // namespace runink::dsl
