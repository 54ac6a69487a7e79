#include "data/ledger/lineage_graph.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "base/nearest.h"
#include "base/text.h"
#include "data/ledger/json_access.h"
#include "data/ledger/ledger.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

constexpr size_t kNone = SIZE_MAX;

std::string key_of(LineageNodeKind kind, const std::string& name_space, const std::string& name,
                   const std::string& field) {
  std::string key = kind == LineageNodeKind::kDataset ? "d" : kind == LineageNodeKind::kJob ? "j" : "c";
  for (const std::string& part : {name_space, name, field}) {
    key += '\0';
    key += part;
  }
  return key;
}

// "IDENTITY", "TRANSFORMATION origin + …, masked"
std::string note_of(const Json& transformation) {
  std::string note = get_text(transformation, "subtype");
  const std::string description = get_text(transformation, "description");
  if (!description.empty()) note += (note.empty() ? "" : " ") + description;
  if (get_flag(transformation, "masking")) note += note.empty() ? "masked" : ", masked";
  return note;
}

}  // namespace

std::string LineageNode::label() const { return field.empty() ? name : name + ":" + field; }

std::string LineageGraph::display_name(const LineageNode& node) const {
  std::string label = node.label();
  if (!display_root_.empty() && label.starts_with(display_root_)) label.erase(0, display_root_.size());
  return label;
}

size_t LineageGraph::find_node(LineageNodeKind kind, const std::string& name_space, const std::string& name,
                               const std::string& field) const {
  const auto found = index_.find(key_of(kind, name_space, name, field));
  return found == index_.end() ? kNone : found->second;
}

size_t LineageGraph::node(LineageNodeKind kind, const std::string& name_space, const std::string& name,
                          const std::string& field) {
  const auto [entry, is_new] = index_.try_emplace(key_of(kind, name_space, name, field), nodes_.size());
  if (is_new) nodes_.push_back({kind, name_space, name, field, ""});
  return entry->second;
}

void LineageGraph::edge(size_t from, size_t to, const std::string& note, bool direct, size_t job) {
  if (edge_index_.insert(fmt::format("{} {} {} {} {}", from, to, direct, job, note)).second) {
    edges_.push_back({from, to, note, direct, job});
  }
}

void LineageGraph::rebuild_edge_index() {
  edge_index_.clear();
  for (const LineageEdge& e : edges_) {
    edge_index_.insert(fmt::format("{} {} {} {} {}", e.from, e.to, e.direct, e.job, e.note));
  }
}

Status LineageGraph::add_event(std::string_view json_line) {
  const Json j = RUNINK_TRY(parse_json(json_line, "a lineage event"));
  const Json& job_json = get_object(j, "job");
  const std::string job_name = get_text(job_json, "name");
  if (job_name.empty() || get_text(j, "eventTime").empty()) return invalid_argument("read a lineage event: it has no job");
  const Json &inputs = get_array(j, "inputs"), &outputs = get_array(j, "outputs");
  if (inputs.empty() && outputs.empty()) return {};  // a parent, or an event that tells nothing of data
  const size_t job = node(LineageNodeKind::kJob, get_text(job_json, "namespace"), job_name, "");
  const std::string type = get_text(j, "eventType");
  if (type != "RUNNING" && type != "OTHER") nodes_[job].note = type;

  const std::function<void(const Json&, const std::string&, const std::string&, const std::string&, int)> add_fields =
      [&](const Json& fields, const std::string& name_space, const std::string& name, const std::string& prefix,
          int depth) {
        for (const Json& field : fields) {
          const std::string path = prefix + get_text(field, "name");
          if (path.size() == prefix.size()) continue;
          nodes_[node(LineageNodeKind::kColumn, name_space, name, path)].note = get_text(field, "type");
          if (depth < 64) add_fields(get_array(field, "fields"), name_space, name, path + ".", depth + 1);
        }
      };
  const auto add_dataset = [&](const Json& d) -> size_t {
    const std::string name_space = get_text(d, "namespace"), name = get_text(d, "name");
    if (name.empty()) return kNone;
    const size_t dataset = node(LineageNodeKind::kDataset, name_space, name, "");
    const Json& facets = get_object(d, "facets");
    const Json& contract = get_object(facets, "runink_contract");
    if (!contract.empty()) {
      nodes_[dataset].note = get_text(contract, "name");
      const std::string version = get_text(contract, "version");
      if (!version.empty()) nodes_[dataset].note += " " + version;
    }
    add_fields(get_array(get_object(facets, "schema"), "fields"), name_space, name, "", 0);
    return dataset;
  };

  for (const Json& input : inputs) {
    const size_t dataset = add_dataset(input);
    if (dataset != kNone) edge(dataset, job, "", true, kNone);
  }
  for (const Json& output : outputs) {
    const size_t dataset = add_dataset(output);
    if (dataset == kNone) continue;
    edge(job, dataset, "", true, kNone);
    const Json& lineage = get_object(get_object(output, "facets"), "columnLineage");
    if (lineage.empty()) continue;
    const std::string said = dump_line(lineage);
    std::string& before = column_lineage_[fmt::format("{} {}", job, dataset)];
    if (before == said) continue;
    const std::string name_space = nodes_[dataset].name_space, name = nodes_[dataset].name;
    if (!before.empty()) {
      std::erase_if(edges_, [&](const LineageEdge& e) {
        return e.job == job && nodes_[e.to].name_space == name_space && nodes_[e.to].name == name;
      });
      rebuild_edge_index();
    }
    before = said;
    const auto add_inputs = [&](const Json& list, size_t to) {
      for (const Json& input : list) {
        const std::string field = get_text(input, "field");
        if (field.empty()) continue;
        const size_t from = node(LineageNodeKind::kColumn, get_text(input, "namespace"), get_text(input, "name"), field);
        const Json& transformations = get_array(input, "transformations");
        if (transformations.empty()) edge(from, to, "", true, job);
        for (const Json& t : transformations) edge(from, to, note_of(t), get_text(t, "type") != "INDIRECT", job);
      }
    };
    for (const auto& [field, value] : get_object(lineage, "fields").items()) {
      add_inputs(get_array(value, "inputFields"), node(LineageNodeKind::kColumn, name_space, name, field));
    }
    add_inputs(get_array(lineage, "dataset"), dataset);
  }
  return {};
}

Result<size_t> LineageGraph::find(std::string_view words) const {
  // Each way of naming a node, the strictest first; the first way that fits anything decides.
  const auto fits = [&](const LineageNode& n, int way) {
    const bool column = n.kind == LineageNodeKind::kColumn;
    switch (way) {
      case 0: return n.name_space + "/" + n.label() == words;
      case 1: return n.label() == words || display_name(n) == words;
      case 2:
        if (n.kind == LineageNodeKind::kJob) {
          const size_t hash = n.name.find('#');
          return hash != std::string::npos && std::string_view(n.name).substr(hash + 1) == words;
        }
        return os::file_name_of(n.name) + (column ? ":" + n.field : "") == words;
      default: return column && n.field == words;
    }
  };
  for (int way = 0; way < 4; ++way) {
    std::vector<size_t> found;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (fits(nodes_[i], way)) found.push_back(i);
    }
    if (found.size() == 1) return found[0];
    if (found.size() > 1) {
      Status status = invalid_argument("\"{}\" fits {} things in the lineage", escape_control(words), found.size());
      for (size_t i = 0; i < std::min<size_t>(found.size(), 10); ++i) {
        status = std::move(status).with_detail(escape_control(display_name(nodes_[found[i]])));
      }
      return std::move(status).with_hint("give the whole name");
    }
  }
  std::vector<std::string> names;
  for (const LineageNode& n : nodes_) names.push_back(display_name(n));
  Status status = not_found("nothing in the lineage is called \"{}\"", escape_control(words));
  const std::vector<std::string> near = nearest_any(words, names, 3);
  if (near.empty()) return std::move(status).with_hint("no run has written lineage yet");
  return std::move(status).with_hint("did you mean " + escape_control(join(near, ", or ")) + "?");
}

std::vector<size_t> LineageGraph::reachable(size_t from, LineageDirection direction) const {
  const bool columns = nodes_[from].kind == LineageNodeKind::kColumn;
  std::vector<std::vector<size_t>> next(nodes_.size());
  const auto dataset_of = [&](const LineageNode& n) {
    return find_node(LineageNodeKind::kDataset, n.name_space, n.name, "");
  };
  for (const LineageEdge& e : edges_) {
    const bool between_columns = e.job != kNone;
    if (between_columns != columns) continue;
    if (direction == LineageDirection::kUpstream) next[e.to].push_back(e.from);
    else next[e.from].push_back(e.to);
  }
  if (columns) {
    // What decides about all rows of a data set stands upstream of each of its columns.
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].kind != LineageNodeKind::kColumn) continue;
      const size_t dataset = dataset_of(nodes_[i]);
      if (dataset == kNone) continue;
      if (direction == LineageDirection::kUpstream) next[i].push_back(dataset);
      else next[dataset].push_back(i);
    }
  }
  std::vector<bool> seen(nodes_.size());
  std::vector<size_t> order = {from};
  seen[from] = true;
  for (size_t at = 0; at < order.size(); ++at) {
    for (const size_t to : next[order[at]]) {
      if (!seen[to]) {
        seen[to] = true;
        order.push_back(to);
      }
    }
  }
  return order;
}

LineageGraph LineageGraph::induced(const std::vector<bool>& keep) const {
  LineageGraph part;
  part.display_root_ = display_root_;
  std::vector<size_t> renumbered(nodes_.size(), kNone);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!keep[i]) continue;
    const LineageNode& n = nodes_[i];
    renumbered[i] = part.node(n.kind, n.name_space, n.name, n.field);
    part.nodes_[renumbered[i]].note = n.note;
  }
  for (const LineageEdge& e : edges_) {
    if (!keep[e.from] || !keep[e.to]) continue;
    // An edge of columns stays one even where its job is not in the part: any job that is not kNone says so.
    const size_t job = e.job == kNone ? kNone : keep[e.job] ? renumbered[e.job] : kNone - 1;
    part.edge(renumbered[e.from], renumbered[e.to], e.note, e.direct, job);
  }
  return part;
}

LineageGraph LineageGraph::slice(size_t from, LineageDirection direction, bool with_columns) const {
  std::vector<bool> keep(nodes_.size());
  const auto add = [&](LineageDirection way) {
    for (const size_t i : reachable(from, way)) keep[i] = true;
  };
  if (direction != LineageDirection::kDownstream) add(LineageDirection::kUpstream);
  if (direction != LineageDirection::kUpstream) add(LineageDirection::kDownstream);
  if (nodes_[from].kind == LineageNodeKind::kColumn) {
    // The data sets passed through only because they hold a column are no part of the answer; those with an edge are.
    std::vector<bool> decided(nodes_.size());
    for (const LineageEdge& e : edges_) {
      if (e.job != kNone && keep[e.from] && keep[e.to]) decided[e.from] = decided[e.to] = true;
    }
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].kind == LineageNodeKind::kDataset && !decided[i]) keep[i] = false;
    }
  } else if (with_columns) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].kind != LineageNodeKind::kColumn) continue;
      const size_t dataset = find_node(LineageNodeKind::kDataset, nodes_[i].name_space, nodes_[i].name, "");
      if (dataset != kNone && keep[dataset]) keep[i] = true;
    }
  }
  return induced(keep);
}

LineageGraph LineageGraph::without_columns() const {
  std::vector<bool> keep(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) keep[i] = nodes_[i].kind != LineageNodeKind::kColumn;
  return induced(keep);
}

namespace {

Status add_events_of(const Ledger& ledger, const std::string& run_id, LineageGraph* graph) {
  const std::string path = ledger.lineage_file(run_id);
  for (const std::string& line : RUNINK_TRY(read_event_lines(path))) {
    Status status = graph->add_event(line);
    if (!status.ok()) return std::move(status).with_context(path);
  }
  return {};
}

}  // namespace

Result<LineageGraph> load_lineage_graph(const Ledger& ledger, std::vector<Status>* problems) {
  LineageGraph graph;
  graph.set_display_root(ledger.project_root() + "/");
  auto names = os::list_directory(ledger.root() + "/runs");  // sorted by id, so by time
  if (!names.ok()) {
    if (names.status().code() == Code::kNotFound) return graph;
    return std::move(names).status();
  }
  for (const std::string& name : *names) {
    Status status = add_events_of(ledger, name, &graph);
    if (!status.ok() && problems != nullptr) problems->push_back(std::move(status));
  }
  return graph;
}

Result<LineageGraph> load_lineage_of_run(const Ledger& ledger, const std::string& run_id) {
  LineageGraph graph;
  graph.set_display_root(ledger.project_root() + "/");
  RUNINK_RETURN_IF_ERROR(add_events_of(ledger, run_id, &graph));
  RunFilter children;
  children.parent_id = run_id;
  std::vector<RunRecord> runs = RUNINK_TRY(ledger.list_runs(children));
  std::reverse(runs.begin(), runs.end());
  for (const RunRecord& run : runs) RUNINK_RETURN_IF_ERROR(add_events_of(ledger, run.id, &graph));
  return graph;
}

}  // namespace runink::ledger
