// A project on disk: where its root is, its settings, its ledger, its features compiled.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/status.h"
#include "data/dsl/bundle.h"
#include "data/dsl/compile.h"
#include "data/ledger/ledger.h"
#include "data/plan/plan.h"
#include "platform/config/project_config.h"

namespace runink::local {

struct CompileOptions {
  bool strict = false;
  bool allow_unenforced = false;
};

class Project {
 public:
  // The project that `start` (a file or folder) lies in.
  static Result<Project> find(const std::string& start);

  const std::string& root() const { return config_.root; }
  const config::ProjectConfig& config() const { return config_; }

  // A path as the user gave it (from the working directory or absolute) as a path from the project root.
  Result<std::string> relative_path(const std::string& path) const;

  // `feature` is a path from the project root. Warnings and hints go to `diagnostics`; errors are the Status, with every
  // rendered diagnostic as a detail. All that is read for it goes into `bundle` where that is not null.
  Result<plan::Plan> compile(const std::string& feature, const CompileOptions& options, Diagnostics* diagnostics,
                             std::shared_ptr<dsl::Bundle> bundle = nullptr) const;
  dsl::CompileEnvironment compile_environment(const CompileOptions& options) const;

  // The ledger, made if absent. Settles what dead processes left: torn publishes, runs killed without a word.
  Result<ledger::Ledger> open_ledger(std::vector<std::string>* notes) const;

  // Secret of hash() and tokenise(): 32 random bytes in .runink/key, made at first use, so tokens stay the same. Where it
  // has to be made although there are runs, `notes` (may be null) says what that means.
  Result<std::string> secret_key(std::vector<std::string>* notes = nullptr) const;
  Result<std::string> existing_key() const;  // kNotFound where there is none; makes none

  // Whether a run can take place here: kUnavailable where `asked` (what --context says; empty: what runink.toml says)
  // names a cluster. "local" and none are this machine.
  Status check_context(const std::string& asked) const;
  // SHA-256 over the named files and runink.toml: whether the project is still what a run was made from.
  Result<std::string> hash_files(const std::vector<std::string>& files) const;

 private:
  explicit Project(config::ProjectConfig config) : config_(std::move(config)) {}
  config::ProjectConfig config_;
};

}  // namespace runink::local
