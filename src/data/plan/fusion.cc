#include "data/plan/fusion.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace runink::plan {
namespace {

// Sets of operators that grow together; each is one stage in the end.
class Groups {
 public:
  explicit Groups(size_t count) : parent_(count) {
    for (size_t i = 0; i < count; ++i) parent_[i] = static_cast<OperatorId>(i);
  }
  OperatorId find(OperatorId a) {
    while (parent_[a] != a) a = parent_[a] = parent_[parent_[a]];
    return a;
  }
  // The lower id stands for the set, so stages are numbered by their first operator.
  void unite(OperatorId a, OperatorId b) {
    a = find(a);
    b = find(b);
    if (a < b)
      parent_[b] = a;
    else
      parent_[a] = b;
  }

 private:
  std::vector<OperatorId> parent_;
};

bool same_needs(const Operator& a, const Operator& b) { return a.needs == b.needs && a.affinity == b.affinity; }
bool is_program(const Operator& op) { return std::holds_alternative<Program>(op.parameters); }

std::string difference(const Operator& a, const Operator& b) {
  if (a.affinity != b.affinity && a.needs == b.needs) return "its affinity differs from that of " + a.name;
  const std::string mine = needs_text(b.needs), theirs = needs_text(a.needs);
  return fmt::format("it needs {}, and {} needs {}", mine.empty() ? "nothing in particular" : mine, a.name,
                     theirs.empty() ? "nothing in particular" : theirs);
}

// Whether stages would wait for each other in a circle if the sets of `a` and `b` were one.
bool circle_if_united(const ScenarioPlan& scenario, Groups& groups, OperatorId a, OperatorId b) {
  const size_t count = scenario.operators.size();
  const OperatorId first = groups.find(a), second = groups.find(b);
  const auto set_of = [&](OperatorId id) {
    const OperatorId set = groups.find(id);
    return set == second ? first : set;
  };
  std::vector<std::vector<OperatorId>> next(count);
  std::vector<uint32_t> waiting(count, 0);
  size_t sets = 0;
  for (const Operator& op : scenario.operators) {
    const OperatorId own = set_of(op.id);
    sets += own == op.id;
    for (const Input& i : op.inputs) {
      const OperatorId from = set_of(i.from);
      if (from == own) continue;
      next[from].push_back(own);
      ++waiting[own];
    }
  }
  std::vector<OperatorId> ready;
  for (OperatorId id = 0; id < count; ++id) {
    if (set_of(id) == id && waiting[id] == 0) ready.push_back(id);
  }
  size_t done = 0;
  while (!ready.empty()) {
    const OperatorId set = ready.back();
    ready.pop_back();
    ++done;
    for (const OperatorId to : next[set]) {
      if (--waiting[to] == 0) ready.push_back(to);
    }
  }
  return done != sets;
}

}  // namespace

std::string memory_text(uint64_t bytes) {
  if (bytes % (uint64_t{1} << 30) == 0) return fmt::format("{}Gi", bytes >> 30);
  if (bytes % (uint64_t{1} << 20) == 0) return fmt::format("{}Mi", bytes >> 20);
  return human_bytes(bytes);
}

std::string needs_text(const Requires& needs) {
  std::vector<std::string> parts;
  if (needs.cpu > 0) parts.push_back(fmt::format("cpu {}", needs.cpu));
  if (needs.memory_bytes > 0) parts.push_back("memory " + memory_text(needs.memory_bytes));
  if (needs.gpu > 0) parts.push_back(fmt::format("gpu {}", needs.gpu));
  if (!needs.label.empty()) parts.push_back("label " + needs.label);
  return join(parts, ", ");
}

uint32_t threads_allowed(const Requires& needs) {
  return needs.cpu > 0 ? static_cast<uint32_t>(std::max(1.0, needs.cpu)) : 0;
}

std::vector<Stage> fuse(const ScenarioPlan& scenario) {
  const size_t count = scenario.operators.size();
  Groups groups(count);
  std::vector<std::string> why(count);
  // Circles need an operator that is never fused; without one every connected set is simply one stage.
  bool splits = false;
  for (const Operator& op : scenario.operators) {
    splits = splits || is_program(op) || !same_needs(op, scenario.operators[0]);
  }
  for (const Operator& op : scenario.operators) {
    if (is_program(op)) {
      why[op.id] = "a custom step runs in a process of its own";
      continue;
    }
    for (const Input& input : op.inputs) {
      const Operator& from = scenario.operators[input.from];
      if (is_program(from)) {
        if (why[op.id].empty()) why[op.id] = "its records come from the custom step " + from.name;
      } else if (!same_needs(from, op)) {
        if (why[op.id].empty()) why[op.id] = difference(from, op);
      } else if (splits && groups.find(from.id) != groups.find(op.id) &&
                 circle_if_united(scenario, groups, from.id, op.id)) {
        if (why[op.id].empty()) why[op.id] = "its records come from several stages";
      } else {
        groups.unite(from.id, op.id);
      }
    }
  }
  // Sinks of dead letters have no inputs: they belong to the first stage, which begins with a source.
  for (const Operator& op : scenario.operators) {
    const auto* sink = std::get_if<Sink>(&op.parameters);
    if (sink != nullptr && sink->rejected && same_needs(scenario.operators[0], op)) groups.unite(0, op.id);
  }

  std::vector<Stage> stages;
  std::vector<int> stage_of(count, -1);
  for (const Operator& op : scenario.operators) {
    const OperatorId first = groups.find(op.id);
    if (stage_of[first] < 0) {
      stage_of[first] = static_cast<int>(stages.size());
      Stage stage;
      stage.id = static_cast<uint32_t>(stages.size());
      stage.needs = op.needs;
      stage.affinity = op.affinity;
      stage.own_process = is_program(op);
      stage.name = stage.own_process ? op.name : fmt::format("stage {}", stages.size() + 1);
      stage.why = why[op.id];
      stages.push_back(std::move(stage));
    }
    stage_of[op.id] = stage_of[first];
    stages[static_cast<size_t>(stage_of[op.id])].operators.push_back(op.id);
  }
  for (Stage& stage : stages) {
    std::set<uint32_t> from;
    for (const OperatorId id : stage.operators) {
      for (const Input& i : scenario.operators[id].inputs) {
        const auto source = static_cast<uint32_t>(stage_of[i.from]);
        if (source != stage.id) from.insert(source);
      }
    }
    stage.reads_from.assign(from.begin(), from.end());
    if (stage.why.empty() && stage.id > 0) stage.why = "it reads a source of its own";
  }
  return stages;
}

}  // namespace runink::plan
