// A plan for people: text for `runi plan`, DOT for drawings.
#pragma once

#include <string>
#include <vector>

#include "data/plan/change_impact.h"
#include "data/plan/plan.h"

namespace runink::plan {

struct RenderOptions {
  bool columns = true;  // schema in and out of each stage
  std::string where = "this machine";
  const std::vector<Change>* changes = nullptr;  // against an earlier plan: what this one would break
};

// One paragraph per scenario: stages with where they run and why, the operators with the user's sentences, contracts
// and schemas in and out, sinks with what is masked and how they are published, assertions, and what is without effect
// here. Control bytes are escaped; ends with a newline.
std::string render_text(const Plan& plan, const RenderOptions& options = {});

// Graphviz: a cluster per scenario and stage.
std::string render_dot(const Plan& plan);

}  // namespace runink::plan
