// runink.toml: the few settings a project has.
//
//   name = "flights"                 # default: the folder's name
//   herd = "default"
//   context = "local"                # where runs take place: "local" (or "") is this machine
//   namespace = "runink://flights"   # of jobs and datasets in lineage; default "runink://" + herd
//
//   [engine]
//   memory_budget = "256Mi"          # for sort, join, group, unique, deduplicate together; at least 1Mi
//   threads = 4                      # default: as many as this process may use
//   max_record = "128Mi"             # a longer record of a text input is an error; 1Mi to 1Gi
//
//   [keep]                           # what `runi gc` keeps; see docs/internals/ledger.md
//   runs = "30d"                     # how long
//   runs_size = "1GiB"               # how much
//   dead_letters = "90d"
//   dead_letters_size = "4GiB"
//
//   [roles]                          # access roles that this project's user holds on this machine
//   held = ["compliance"]
//
// An unknown key is an error that names the nearest known one, with file, line and column. docs/guide/settings.md tells users
// of all keys; a test compares it with the parser.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/status.h"

namespace runink::config {

struct ProjectConfig {
  std::string root;  // folder of runink.toml, absolute
  std::string file;  // path of runink.toml; empty where there is none and all are defaults

  std::string name;
  std::string herd = "default";
  std::string context;      // "" and "local": this machine
  std::string lineage_namespace;  // never empty after loading

  uint64_t memory_budget_bytes = 256u << 20;
  int threads = 0;  // 0, when not set: os::usable_cpu_count()
  uint64_t max_record_bytes = 128u << 20;

  int64_t keep_runs_micros = int64_t{30} * 24 * 3600 * 1'000'000;
  uint64_t keep_runs_bytes = uint64_t{1} << 30;
  int64_t keep_dead_letters_micros = int64_t{90} * 24 * 3600 * 1'000'000;
  uint64_t keep_dead_letters_bytes = uint64_t{4} << 30;

  std::vector<std::string> held_roles;
};

inline constexpr const char* kProjectFile = "runink.toml";
// What settings and flags of the command line allow.
inline constexpr uint64_t kLeastMemoryBudget = 1u << 20;
inline constexpr int kMostThreads = 1024;
inline constexpr uint64_t kLeastMaxRecord = 1u << 20;
inline constexpr uint64_t kMostMaxRecord = 1u << 30;  // places in a piece of input have 32 bits

// The text of a runink.toml. `root` becomes ProjectConfig::root and gives the default name. Problems go to
// `diagnostics`; where it has errors the value returned holds defaults for the keys in question.
ProjectConfig parse_project_config(const SourceText& text, const std::string& root, Diagnostics* diagnostics);

// Reads <root>/runink.toml; without that file all settings are defaults. Errors of the text are one
// kInvalidArgument with every diagnostic as a detail.
Result<ProjectConfig> load_project_config(const std::string& root);

// The nearest folder with a runink.toml, from `start` (a file or a folder; it need not exist) upwards, as an absolute
// path. kNotFound, kind "project.not_found", with a hint where there is none.
Result<std::string> find_project_root(const std::string& start);

}  // namespace runink::config
