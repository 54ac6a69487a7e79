// Which files a feature's sources read, and which of their columns are keys of each other.
#include <algorithm>

#include "client/local/local_io.h"
#include "client/local/synth.h"

namespace runink::local {
namespace {

// A column of a source, followed back to where it is read.
struct Origin {
  const plan::Source* source = nullptr;
  int column = -1;
};

Origin origin_of(const plan::Plan& plan, const plan::ScenarioPlan& scenario, plan::Input at, int column, int depth = 0) {
  if (depth > 100 || column < 0) return {};
  const auto& columns = scenario.operators[at.from].columns;
  if (static_cast<size_t>(column) >= columns.size()) return {};
  const auto& lineage = columns[static_cast<size_t>(column)].lineage;
  if (lineage.size() != 1 || lineage[0].how != "IDENTITY" || lineage[0].source >= scenario.operators.size()) return {};
  const auto& from = scenario.operators[lineage[0].source];
  const auto index_in = [&](const std::vector<plan::ColumnInfo>& all, const std::string& name) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].field.name == name) return static_cast<int>(i);
    }
    return -1;
  };
  if (const auto* source = std::get_if<plan::Source>(&from.parameters)) {
    return source->contract ? Origin{source, source->contract->column_of(lineage[0].column)} : Origin{};
  }
  const auto* input = std::get_if<plan::ScenarioInput>(&from.parameters);
  const plan::ScenarioPlan* other = input != nullptr && input->output.empty() ? plan.scenario(input->scenario) : nullptr;
  if (other == nullptr || other->valid.empty()) return {};
  return origin_of(plan, *other, other->valid[0], index_in(other->operators[other->valid[0].from].columns, lineage[0].column), depth + 1);
}

struct Join {
  Origin probe, build;
};

std::vector<Join> joins_of(const plan::Plan& plan) {
  std::vector<Join> out;
  for (const auto& scenario : plan.scenarios) {
    for (const auto& op : scenario.operators) {
      const auto* join = std::get_if<plan::Join>(&op.parameters);
      if (join == nullptr) continue;
      for (size_t i = 0; i < join->probe_keys.size(); ++i) {
        const Join one = {origin_of(plan, scenario, op.inputs[0], join->probe_keys[i].column_if_plain()),
                          origin_of(plan, scenario, op.inputs[1], join->build_keys[i].column_if_plain())};
        if (one.probe.column >= 0 && one.build.column >= 0) out.push_back(one);
      }
    }
  }
  return out;
}

}  // namespace

Result<SynthPlan> plan_synthesis(const Project& project, const plan::Plan& plan) {
  SynthPlan out;
  const std::vector<Join> joins = joins_of(plan);
  std::vector<std::pair<const plan::Source*, SynthFile>> found;
  for (const auto& scenario : plan.scenarios) {
    for (const auto& op : scenario.operators) {
      const auto* source = std::get_if<plan::Source>(&op.parameters);
      if (source == nullptr) continue;
      if (!source->exec.empty() || source->locator == "-") {
        out.left_out.push_back(source->locator + ": not a file");
        continue;
      }
      if (!source->contract) {
        out.left_out.push_back(source->locator + ": it has no contract");
        continue;
      }
      const connectors::Locator locator = RUNINK_TRY(source_locator(*source, project.root()));
      SynthFile file;
      file.path = locator.path;
      std::replace(file.path.begin() + static_cast<std::ptrdiff_t>(file.path.rfind('/') + 1), file.path.end(), '*', '1');
      if (locator.is_glob && file.path.find_first_of("*?[") != std::string::npos) {
        out.left_out.push_back(source->locator + ": a pattern of several files");
        continue;
      }
      const bool known = std::any_of(found.begin(), found.end(), [&](const auto& f) { return f.second.path == file.path; });
      if (known) continue;
      file.contract = source->contract;
      file.format = locator.format;
      file.compression = locator.compression;
      file.csv = csv_dialect(source->dialect, locator);
      found.emplace_back(source, std::move(file));
    }
  }
  // What others join with first.
  const auto is_joined = [&](const auto& f) {
    return std::any_of(joins.begin(), joins.end(), [&](const Join& j) { return j.build.source->locator == f.first->locator; });
  };
  std::stable_partition(found.begin(), found.end(), is_joined);
  for (size_t i = 0; i < found.size(); ++i) {
    for (const Join& join : joins) {
      if (join.probe.source->locator != found[i].first->locator) continue;
      for (size_t k = 0; k < i; ++k) {
        if (found[k].first->locator != join.build.source->locator) continue;
        const auto& mine = found[i].second.contract->fields[static_cast<size_t>(join.probe.column)];
        const auto& other = found[k].second.contract->fields[static_cast<size_t>(join.build.column)];
        if (mine.type == other.type) found[i].second.keys.push_back({join.probe.column, k, join.build.column});
      }
    }
  }
  for (auto& f : found) out.files.push_back(std::move(f.second));
  return out;
}

}  // namespace runink::local
