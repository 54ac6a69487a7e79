// Fuzz target: any bytes as a feature file, parsed, compiled against a project in memory, linted, rendered. Nothing may
// crash or run away; what is compiled must render and turn into JSON that reads back.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/check.h"
#include "data/dsl/compile.h"
#include "data/dsl/lint.h"
#include "data/plan/change_impact.h"
#include "data/plan/lineage.h"
#include "data/plan/render.h"
#include "data/plan/to_json.h"

namespace {

runink::dsl::CompileEnvironment make_environment() {
  runink::dsl::CompileEnvironment environment;
  environment.load = runink::contract::map_loader(
      {{"c.contract",
        "[[version(\"1.0.0\")]] contract C { int32 a [[required, range(0, 9)]]; string b [[pii, mask(\"last4\")]]; "
        "timestamp t; list<string> l; check c: a < 5; quality q: avg(a) < 3; }"},
       {"d.contract", "contract D { string k [[key]]; float64 v; }"}});
  environment.infer_schema = [](const runink::plan::Source&) -> runink::Result<runink::columnar::Schema> {
    using runink::columnar::TypeId;
    return runink::columnar::Schema({{"a", TypeId::kInt32}, {"k", TypeId::kString}, {"v", TypeId::kFloat64}});
  };
  environment.limits.steps = 2000;
  environment.limits.scenarios = 500;
  environment.limits.column_facts = 50'000;
  return environment;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const runink::dsl::CompileEnvironment kEnvironment = make_environment();
  if (size > 100'000) return 0;
  auto source =
      std::make_shared<const runink::SourceText>("fuzz.dsl", std::string(reinterpret_cast<const char*>(data), size));
  runink::Diagnostics diagnostics;
  const auto document = runink::dsl::parse_feature(source, &diagnostics);
  if (!document) {
    RUNINK_CHECK(diagnostics.has_errors());
    return 0;
  }
  const auto plan = runink::dsl::compile(*document, kEnvironment, &diagnostics);
  runink::dsl::lint(*document, plan ? &*plan : nullptr, &diagnostics);
  RUNINK_CHECK(plan.has_value() != diagnostics.has_errors());
  (void)diagnostics.render();
  if (!plan) return 0;
  (void)runink::plan::render_text(*plan);
  (void)runink::plan::render_dot(*plan);
  for (const auto& s : plan->scenarios) (void)runink::plan::lineage_of(s);
  const auto shape = runink::plan::shape_from_json(runink::plan::to_json(*plan));
  RUNINK_CHECK(shape.ok());
  RUNINK_CHECK(runink::plan::compare(*shape, runink::plan::shape_of(*plan)).empty());
  return 0;
}
