#include "client/local/synth_feature.h"

#include <algorithm>
#include <optional>

#include "client/local/local_io.h"
#include "data/connectors/record_reader.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr size_t kGivenRows = 20'000;  // read of a file that is there, for its keys

// A column of a source, followed back to where it is read.
struct Origin {
  const plan::ScenarioPlan* scenario = nullptr;
  const plan::Operator* op = nullptr;  // a Source
  int column = -1;
  const plan::Source& source() const { return std::get<plan::Source>(op->parameters); }
};

int index_of(const std::vector<plan::ColumnInfo>& columns, const std::string& name) {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].field.name == name) return static_cast<int>(i);
  }
  return -1;
}

// Where the rows of a scenario's output come from.
std::optional<plan::Input> output_of(const plan::ScenarioPlan& scenario, const std::string& name) {
  if (name.empty()) return scenario.valid.empty() ? std::nullopt : std::optional<plan::Input>(scenario.valid[0]);
  for (const auto& op : scenario.operators) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink != nullptr && sink->name == name && !op.inputs.empty()) return op.inputs[0];
  }
  return std::nullopt;
}

Origin origin_of(const plan::Plan& plan, const plan::ScenarioPlan& scenario, plan::Input at, int column,
                 int depth = 0) {
  if (depth > 100 || column < 0) return {};
  const auto& columns = scenario.operators[at.from].columns;
  if (static_cast<size_t>(column) >= columns.size()) return {};
  const auto& lineage = columns[static_cast<size_t>(column)].lineage;
  if (lineage.size() != 1 || lineage[0].how != "IDENTITY" || lineage[0].masked ||
      lineage[0].source >= scenario.operators.size())
    return {};
  const auto& from = scenario.operators[lineage[0].source];
  if (std::holds_alternative<plan::Source>(from.parameters))
    return {&scenario, &from, index_of(from.columns, lineage[0].column)};
  const auto* input = std::get_if<plan::ScenarioInput>(&from.parameters);
  const plan::ScenarioPlan* other = input != nullptr ? plan.scenario(input->scenario) : nullptr;
  if (other == nullptr) return {};
  const auto output = output_of(*other, input->output);
  if (!output) return {};
  return origin_of(plan, *other, *output, index_of(other->operators[output->from].columns, lineage[0].column),
                   depth + 1);
}

// Columns that a join compares, pairwise: of one source with another's.
struct Join {
  std::vector<Origin> probe, build;
};

std::vector<Join> joins_of(const plan::Plan& plan) {
  std::vector<Join> out;
  for (const auto& scenario : plan.scenarios) {
    for (const auto& op : scenario.operators) {
      const auto* join = std::get_if<plan::Join>(&op.parameters);
      if (join == nullptr) continue;
      Join one;
      for (size_t i = 0; i < join->probe_keys.size(); ++i) {
        const Origin probe = origin_of(plan, scenario, op.inputs[0], join->probe_keys[i].column_if_plain());
        const Origin build = origin_of(plan, scenario, op.inputs[1], join->build_keys[i].column_if_plain());
        if (probe.column < 0 || build.column < 0) continue;
        // Keys of one join may come from several sources: those of the first are drawn together.
        if (!one.probe.empty() && (probe.op != one.probe[0].op || build.op != one.build[0].op)) continue;
        one.probe.push_back(probe);
        one.build.push_back(build);
      }
      if (!one.probe.empty()) out.push_back(std::move(one));
    }
  }
  return out;
}

Result<std::string> path_of(const plan::Source& source, const std::string& root, connectors::Locator* locator) {
  *locator = RUNINK_TRY(source_locator(source, root));
  std::string path = locator->path;
  // "part-*.csv": one file that it matches.
  std::replace(path.begin() + static_cast<std::ptrdiff_t>(path.rfind('/') + 1), path.end(), '*', '1');
  return path;
}

// Rows of some columns of a source that has no contract, from the file that is there.
Result<SynthKeys> read_keys(const Project& project, const std::vector<Origin>& origins) {
  SynthKeys out;
  LocalIoOptions options;
  options.project_root = project.root();
  LocalIo io(*origins[0].scenario, options);
  const auto source = RUNINK_TRY(io.open_source(*origins[0].op, {}));
  const auto reader = RUNINK_TRY(source->make_reader());
  while (out.rows.size() < kGivenRows) {
    const std::optional<engine::Morsel> morsel = RUNINK_TRY(source->next());
    if (!morsel) break;
    RUNINK_RETURN_IF_ERROR(status_of(reader->read(*morsel, [&](columnar::Batch&& batch) -> Status {
      for (int64_t r = 0; r < batch.rows && out.rows.size() < kGivenRows; ++r) {
        std::vector<columnar::Value> row;
        for (const Origin& o : origins)
          row.push_back(columnar::value_at(batch.columns[static_cast<size_t>(o.column)], r));
        out.rows.push_back(std::move(row));
      }
      return {};
    })));
  }
  return out;
}

class Planner {
 public:
  Planner(const Project& project, const plan::Plan& plan) : project_(project), plan_(plan) {}
  Result<SynthPlan> run() {
    for (const auto& scenario : plan_.scenarios) {
      for (const auto& op : scenario.operators) {
        if (const auto* source = std::get_if<plan::Source>(&op.parameters)) RUNINK_RETURN_IF_ERROR(add(*source));
      }
    }
    for (const Join& join : joins_of(plan_)) RUNINK_RETURN_IF_ERROR(add_keys(join));
    return in_order();
  }

 private:
  Status add(const plan::Source& source) {
    if (!source.exec.empty()) return leave_out(source.exec[0] + ": a program");
    if (source.locator == "-") return leave_out("-: standard input");
    if (!source.contract) return leave_out(source.locator + ": it has no contract");
    connectors::Locator locator;
    SynthFile file;
    file.path = RUNINK_TRY(path_of(source, project_.root(), &locator));
    if (locator.is_glob && os::has_glob_characters(file.path))
      return leave_out(source.locator + ": a pattern of several files");
    const bool known = std::any_of(files_.begin(), files_.end(), [&](const auto& f) { return f.path == file.path; });
    if (known) return {};
    const bool inside = file.path.starts_with(project_.root() + "/");
    file.name = inside ? file.path.substr(project_.root().size() + 1) : os::file_name_of(file.path);
    file.contract = source.contract;
    file.format = locator.format;
    file.compression = locator.compression;
    file.csv = csv_dialect(source.dialect, locator);
    files_.push_back(std::move(file));
    return {};
  }
  Status leave_out(std::string what) {
    if (std::find(left_out_.begin(), left_out_.end(), what) == left_out_.end()) left_out_.push_back(std::move(what));
    return {};
  }

  std::optional<size_t> file_of(const plan::Source& source) const {
    connectors::Locator locator;
    if (!source.exec.empty() || source.locator == "-" || !source.contract) return std::nullopt;
    const auto path = path_of(source, project_.root(), &locator);
    for (size_t i = 0; path.ok() && i < files_.size(); ++i) {
      if (files_[i].path == *path) return i;
    }
    return std::nullopt;
  }

  Status add_keys(const Join& join) {
    const auto probe = file_of(join.probe[0].source());
    if (!probe) return {};
    const auto build = file_of(join.build[0].source());
    if (build == probe) return {};
    if (build) files_[*build].joined_with = true;
    SynthFile::Key key;
    key.file = build.value_or(0);
    std::vector<Origin> origins;
    for (size_t i = 0; i < join.probe.size(); ++i) {
      const Origin &mine = join.probe[i], &other = join.build[i];
      const auto& field = files_[*probe].contract->fields[static_cast<size_t>(mine.column)];
      if (field.type != other.op->columns[static_cast<size_t>(other.column)].field.type) continue;
      key.columns.push_back(mine.column);
      key.other_columns.push_back(other.column);
      origins.push_back(other);
    }
    if (key.columns.empty()) return {};
    if (build) {
      files_[*probe].keys.push_back(std::move(key));
    } else if (!join.build[0].source().contract && join.build[0].source().exec.empty()) {
      SynthKeys given =
          RUNINK_TRY_CONTEXT(read_keys(project_, origins), "read keys of " + join.build[0].source().locator);
      given.columns = key.columns;
      files_[*probe].given.push_back(std::move(given));
    }
    return {};
  }

  // Each file after those whose keys it has; of files that need each other, the first of them first.
  SynthPlan in_order() {
    std::vector<size_t> place(files_.size(), SIZE_MAX);
    SynthPlan out;
    out.left_out = std::move(left_out_);
    while (out.files.size() < files_.size()) {
      size_t next = SIZE_MAX;
      for (const bool patient : {true, false}) {
        for (size_t i = 0; i < files_.size() && next == SIZE_MAX; ++i) {
          const bool ready = std::all_of(files_[i].keys.begin(), files_[i].keys.end(),
                                         [&](const auto& k) { return place[k.file] != SIZE_MAX; });
          if (place[i] == SIZE_MAX && (ready || !patient)) next = i;
        }
      }
      place[next] = out.files.size();
      SynthFile file = files_[next];
      std::erase_if(file.keys, [&](const auto& key) { return place[key.file] == SIZE_MAX; });
      for (auto& key : file.keys) key.file = place[key.file];
      out.files.push_back(std::move(file));
    }
    return out;
  }

  const Project& project_;
  const plan::Plan& plan_;
  std::vector<SynthFile> files_;
  std::vector<std::string> left_out_;
};

}  // namespace

Result<SynthPlan> plan_synthesis(const Project& project, const plan::Plan& plan) {
  return Planner(project, plan).run();
}

uint64_t records_to_look_up(uint64_t records) {
  return std::min<uint64_t>(records, std::clamp<uint64_t>(records / 10, 20, 10'000));
}

}  // namespace runink::local
