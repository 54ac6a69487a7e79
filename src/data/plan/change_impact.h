// What differs between two plans, and whom it breaks: `runi diff` for two feature files, `runi plan` against the plan
// of the last run.
//
// Plans are compared by shape: what a plan's JSON holds too (see to_json.h), so either side may come from a ledger.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/plan/plan.h"

namespace runink::plan {

struct PlanShape {
  struct Column {
    std::string name, type;
    bool nullable = true;
    std::string mask;  // at a sink: how it is masked; "" not
    bool operator==(const Column&) const = default;
  };
  struct Endpoint {  // a source or a sink
    std::string name, locator, format, mode;
    std::string contract, contract_version, contract_hash;
    std::vector<Column> columns;
    std::vector<std::string> rules;
    bool rejected = false;
  };
  struct Scenario {
    std::string name;
    std::vector<std::string> operators;  // describe() of each, in order, sources and sinks left out
    std::vector<Endpoint> sources, sinks;
    std::vector<Column> valid;  // columns of the valid branch
    bool has_valid = false;
    std::vector<std::string> reads;  // scenarios it needs
    std::vector<std::string> assertions, qualities, notifications;
    std::vector<std::string> needs;  // "check: cpu 2"
    std::vector<std::pair<std::string, std::string>> metadata;
  };
  std::string feature;
  std::vector<Scenario> scenarios;
  std::vector<std::pair<std::string, std::string>> metadata;
};

PlanShape shape_of(const Plan& plan);
// From the text that to_json gave; kDataLoss when it is not such, kFailedPrecondition for a newer format.
Result<PlanShape> shape_from_json(std::string_view json);

enum class ChangeImpact {
  kNone,           // words only: metadata, names
  kMeaning,        // other rows or values come out, in the same shape
  kBreaksReaders,  // whoever reads an output finds a column gone, retyped, newly null or masked, or no file at all
};

struct Change {
  ChangeImpact impact = ChangeImpact::kMeaning;
  std::string kind;      // stable: "scenario.removed", "sink.column.removed", "step.added", "contract.changed", …
  std::string scenario;  // empty: of the feature
  std::string subject;   // sink, source, column or step
  std::string before, after;
  std::string sentence;  // "out/x.csv loses column delay"
  bool operator==(const Change&) const = default;
};

// Feature first, then scenarios in the order of `after`, removed ones last. Empty: they mean the same.
std::vector<Change> compare(const PlanShape& before, const PlanShape& after);

// A line per change with its mark; "no difference in meaning" when there is none.
std::string render_changes(const std::vector<Change>& changes);

}  // namespace runink::plan
