#include "data/plan/parts.h"

#include <algorithm>

namespace runink::plan {
namespace {

bool is_step(const Operator& op) { return std::holds_alternative<Program>(op.parameters); }

// Whether rows of its own may come from it once its input has ended, or without one: what then runs behind it runs at a
// time of its own.
bool begins_pipeline(const Operator& op) {
  const auto& p = op.parameters;
  return !std::holds_alternative<Check>(p) && !std::holds_alternative<Filter>(p) &&
         !std::holds_alternative<Derive>(p) && !std::holds_alternative<Project>(p) &&
         !std::holds_alternative<Split>(p) && !std::holds_alternative<Limit>(p) && !std::holds_alternative<Sample>(p) &&
         !std::holds_alternative<Sink>(p) && !std::holds_alternative<Output>(p);
}

// Everything that rows of `from` come to; an operator stands after all its inputs.
std::vector<bool> behind(const ScenarioPlan& scenario, OperatorId from) {
  std::vector<bool> reached(scenario.operators.size(), false);
  for (const Operator& op : scenario.operators) {
    for (const Input& input : op.inputs) {
      if (input.from == from || reached[input.from]) reached[op.id] = true;
    }
  }
  return reached;
}

std::vector<bool> before(const ScenarioPlan& scenario, OperatorId of) {
  std::vector<bool> reaches(scenario.operators.size(), false);
  reaches[of] = true;
  for (size_t i = scenario.operators.size(); i-- > 0;) {
    if (!reaches[i]) continue;
    for (const Input& input : scenario.operators[i].inputs) reaches[input.from] = true;
  }
  return reaches;
}

bool can_cut_behind(const ScenarioPlan& scenario, OperatorId step) {
  const std::vector<bool> after = behind(scenario, step), ancestors = before(scenario, step);
  bool any = false;
  for (const Operator& op : scenario.operators) {
    if (after[op.id]) {
      any = true;
      for (const Input& input : op.inputs) {
        if (input.from != step && !after[input.from]) return false;
      }
    } else if (begins_pipeline(op) && !ancestors[op.id]) {
      return false;
    }
  }
  return any;
}

// In the place of an operator that runs in another part: no rows, no letters, no output.
Operator absent(const Operator& op) {
  Operator out;
  out.id = op.id;
  out.parameters = Sink{.rejected = true};
  out.name = op.name;
  out.location = op.location;
  return out;
}

Operator answers_of(const Operator& step) {
  Operator out = step;
  out.parameters = ScenarioInput{.scenario = "", .output = step.name, .to_the_end = true};
  out.inputs.clear();
  out.tap = out.checkpoint = false;  // its sample is kept where it runs
  return out;
}

Operator hand_on(const Operator& step, OperatorId id) {
  Operator out;
  out.id = id;
  out.parameters = Output{.name = step.name, .spool = true};
  out.name = "hand on " + step.name;
  out.location = step.location;
  out.inputs = {{step.id, 0}};
  out.columns = step.columns;
  out.schema = step.schema;
  return out;
}

Part make_part(const ScenarioPlan& whole, const std::vector<uint32_t>& part_of, uint32_t number,
               std::optional<OperatorId> begins, std::optional<OperatorId> last_step) {
  Part part;
  part.scenario = whole;
  part.begins = begins;
  for (Operator& op : part.scenario.operators) {
    if (part_of[op.id] == number) {
      part.operators.push_back(op.id);
    } else {
      op = begins == op.id ? answers_of(op) : absent(op);
    }
  }
  if (last_step) {
    part.hands_on = static_cast<OperatorId>(whole.operators.size());
    part.scenario.operators.push_back(hand_on(whole.operators[*last_step], *part.hands_on));
  }
  const auto is_here = [&](OperatorId id) { return part_of[id] == number; };
  std::erase_if(part.scenario.qualities, [&](const Quality& q) { return !is_here(q.after); });
  const bool valid_here = !whole.valid.empty() && is_here(whole.valid[0].from);
  if (!valid_here) part.scenario.valid.clear();
  std::erase_if(part.scenario.assertions,
                [&](const Assertion& a) { return a.kind != Assertion::Kind::kExpression || !valid_here; });
  return part;
}

}  // namespace

std::vector<Part> cut_into_parts(const ScenarioPlan& scenario) {
  std::vector<OperatorId> cuts;
  for (const Operator& op : scenario.operators) {
    if (is_step(op) && can_cut_behind(scenario, op.id)) cuts.push_back(op.id);
  }
  if (cuts.empty()) {
    Part whole;
    whole.scenario = scenario;
    for (const Operator& op : scenario.operators) whole.operators.push_back(op.id);
    return {std::move(whole)};
  }
  // Each step that can be cut behind is an ancestor of the next one, so the parts are a chain.
  std::vector<uint32_t> part_of(scenario.operators.size(), 0);
  for (const OperatorId cut : cuts) {
    const std::vector<bool> after = behind(scenario, cut);
    for (size_t i = 0; i < after.size(); ++i) part_of[i] += after[i] ? 1 : 0;
  }
  std::vector<Part> parts;
  for (uint32_t number = 0; number <= cuts.size(); ++number) {
    parts.push_back(make_part(scenario, part_of, number, number > 0 ? std::optional(cuts[number - 1]) : std::nullopt,
                              number < cuts.size() ? std::optional(cuts[number]) : std::nullopt));
  }
  return parts;
}

}  // namespace runink::plan
