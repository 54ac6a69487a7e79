#include "data/plan/plan.h"

namespace runink::plan {

const char* kind_name(const Parameters& parameters) {
  static constexpr const char* kNames[] = {"source",  "input",       "check", "unique",  "filter", "derive",
                                           "project", "deduplicate", "sort",  "limit",   "sample", "union",
                                           "split",   "join",        "group", "program", "sink",   "output"};
  static_assert(std::size(kNames) == std::variant_size_v<Parameters>);
  return kNames[parameters.index()];
}

const ScenarioPlan* Plan::scenario(const std::string& name) const {
  for (const auto& s : scenarios) {
    if (s.name == name) return &s;
  }
  return nullptr;
}

}  // namespace runink::plan
