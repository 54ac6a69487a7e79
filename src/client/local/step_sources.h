// The files that C++ steps are made from, and what is known of those built. Internal to compile_steps.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::local {

inline constexpr const char* kStepFolder = ".runink/steps";

// The text of a step's source, and of all headers below steps/, as one hash.
struct StepSources {
  std::vector<std::string> files;  // "steps/score.cpp", sorted
  std::string headers_hash;        // of all headers below steps/
};
Result<StepSources> find_step_sources(const std::string& project_root);
Result<std::string> step_source_hash(const std::string& project_root, const std::string& source, const StepSources& all);

// "steps/score.cpp" → "score"
std::string step_stem(std::string_view source);

// Names in RUNINK_STEP("…" of a text, in order. By the text alone: comments are not told apart.
std::vector<std::string> step_names_in_text(std::string_view text);

// .runink/steps/lib/STEM.json, beside STEM.so.
struct StepRecord {
  std::string source, source_hash;  // what it was built from
  std::string key;                  // of everything that the library depends on
  std::vector<std::string> steps;
};
std::string step_record_path(const std::string& project_root, std::string_view stem);
// Nothing where there is none, or none that can be read (then the step is built again).
std::optional<StepRecord> read_step_record(const std::string& path);
Status write_step_record(const std::string& path, const StepRecord& record);

}  // namespace runink::local
