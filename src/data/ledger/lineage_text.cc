// The lineage graph as text, DOT and JSON.
#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.h"
#include "data/ledger/json_access.h"
#include "data/ledger/lineage_graph.h"

namespace runink::ledger {

namespace {

constexpr size_t kMaxTreeDepth = 256;

const char* kind_name(LineageNodeKind kind) {
  switch (kind) {
    case LineageNodeKind::kDataset: return "dataset";
    case LineageNodeKind::kJob: return "job";
    case LineageNodeKind::kColumn: return "column";
  }
  return "dataset";
}

std::string dot_quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : escape_control(text)) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

std::vector<size_t> LineageGraph::sorted_nodes() const {
  std::vector<size_t> order(nodes_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const LineageNode &x = nodes_[a], &y = nodes_[b];
    return std::tie(x.name, x.name_space, x.kind, x.field) < std::tie(y.name, y.name_space, y.kind, y.field);
  });
  return order;
}

std::string LineageGraph::to_text_tree(size_t root, LineageDirection direction) const {
  const bool columns = nodes_[root].kind == LineageNodeKind::kColumn;
  const auto walk = [&](bool upstream) {
    // Children of each node, with what the edge says, in the order of their names.
    std::vector<std::vector<std::pair<size_t, std::string>>> next(nodes_.size());
    for (const LineageEdge& e : edges_) {
      if ((e.job != SIZE_MAX) != columns) continue;
      std::string note = e.note;
      if (columns && !e.direct) note = note.empty() ? "decides" : "decides: " + note;
      next[upstream ? e.to : e.from].emplace_back(upstream ? e.from : e.to, std::move(note));
    }
    if (columns) {
      // What decides about a data set's rows stands upstream of each of its columns, and leads down to each.
      for (size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].kind != LineageNodeKind::kColumn) continue;
        const size_t dataset = find_node(LineageNodeKind::kDataset, nodes_[i].name_space, nodes_[i].name, "");
        if (dataset == SIZE_MAX) continue;
        if (upstream) next[i].insert(next[i].end(), next[dataset].begin(), next[dataset].end());
        else next[dataset].emplace_back(i, "");
      }
    }
    for (auto& list : next) {
      std::sort(list.begin(), list.end(), [&](const auto& a, const auto& b) {
        return std::make_pair(display_name(nodes_[a.first]), a.second) < std::make_pair(display_name(nodes_[b.first]), b.second);
      });
      list.erase(std::unique(list.begin(), list.end()), list.end());
    }

    std::string out;
    std::vector<bool> shown(nodes_.size());
    // Depth first without recursion: each entry is a node with the lines drawn left of it.
    struct Entry {
      size_t node;
      std::string note, before, below;
      size_t depth;
    };
    std::vector<Entry> stack = {{root, "", "", "", 0}};
    while (!stack.empty()) {
      const Entry entry = std::move(stack.back());
      stack.pop_back();
      const LineageNode& n = nodes_[entry.node];
      out += entry.before + escape_control(display_name(n));
      if (!n.note.empty()) out += " (" + escape_control(n.note) + ")";
      if (!entry.note.empty()) out += "  ← " + escape_control(entry.note);
      const auto& children = next[entry.node];
      if (shown[entry.node] && !children.empty()) {
        out += "  … as above\n";
        continue;
      }
      out += '\n';
      shown[entry.node] = true;
      if (entry.depth >= kMaxTreeDepth) {
        if (!children.empty()) out += entry.below + "└─ …\n";
        continue;
      }
      for (size_t i = children.size(); i-- > 0;) {
        const bool last = i + 1 == children.size();
        stack.push_back({children[i].first, children[i].second, entry.below + (last ? "└─ " : "├─ "),
                         entry.below + (last ? "   " : "│  "), entry.depth + 1});
      }
    }
    return out;
  };
  if (direction == LineageDirection::kUpstream) return walk(true);
  if (direction == LineageDirection::kDownstream) return walk(false);
  return "comes from\n" + walk(true) + "goes to\n" + walk(false);
}

std::string LineageGraph::to_text() const {
  std::string out;
  for (const size_t job : sorted_nodes()) {
    if (nodes_[job].kind != LineageNodeKind::kJob) continue;
    out += escape_control(display_name(nodes_[job]));
    if (!nodes_[job].note.empty()) out += " (" + escape_control(nodes_[job].note) + ")";
    out += '\n';
    for (const bool reads : {true, false}) {
      std::vector<std::pair<std::string, size_t>> names;
      for (const LineageEdge& e : edges_) {
        if (e.job != SIZE_MAX || (reads ? e.to : e.from) != job) continue;
        const size_t dataset = reads ? e.from : e.to;
        const LineageNode& n = nodes_[dataset];
        names.emplace_back(escape_control(display_name(n)) + (n.note.empty() ? "" : " (" + escape_control(n.note) + ")"),
                           dataset);
      }
      std::sort(names.begin(), names.end());
      for (const auto& [name, dataset] : names) {
        out += (reads ? "  reads   " : "  writes  ") + name + "\n";
        if (!reads) out += columns_text(job, dataset);
      }
    }
  }
  return out;
}

// What the job makes each column of the data set from, one line each, and what decides about its rows.
std::string LineageGraph::columns_text(size_t job, size_t dataset) const {
  using Origins = std::map<std::string, std::set<std::string>>;  // how → from what
  std::map<std::string, Origins> columns;
  Origins deciding;
  size_t widest = 0;
  for (const LineageEdge& e : edges_) {
    if (e.job != job) continue;
    const LineageNode& to = nodes_[e.to];
    const std::string from = escape_control(display_name(nodes_[e.from]));
    if (e.to == dataset) {
      deciding[e.note].insert(from);
    } else if (to.kind == LineageNodeKind::kColumn && to.name_space == nodes_[dataset].name_space &&
               to.name == nodes_[dataset].name) {
      const std::string name = escape_control(to.field);
      widest = std::max(widest, count_code_points(name));
      columns[name][e.note].insert(from);
    }
  }
  const auto shown = [](const Origins& origins) {
    std::vector<std::string> parts;
    for (const auto& [how, from] : origins) {
      std::string part = join({from.begin(), from.end()}, ", ");
      if (how != "IDENTITY" && !how.empty()) part += " (" + escape_control(how) + ")";
      parts.push_back(std::move(part));
    }
    return join(parts, "; ");
  };
  constexpr const char* kIndent = "            ";
  std::string out;
  for (const auto& [name, origins] : columns) {
    out += kIndent + name + std::string(widest - count_code_points(name), ' ') + "  ← " + shown(origins) + "\n";
  }
  if (!deciding.empty()) out += kIndent + ("rows decided by " + shown(deciding)) + "\n";
  return out;
}

std::string LineageGraph::to_dot() const {
  const std::vector<size_t> order = sorted_nodes();
  std::vector<size_t> rank(nodes_.size());
  for (size_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
  std::string out = "digraph lineage {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=10];\n";
  for (const size_t i : order) {
    const LineageNode& n = nodes_[i];
    const char* style = n.kind == LineageNodeKind::kDataset ? "shape=box, style=filled, fillcolor=\"#e8f0fe\""
                        : n.kind == LineageNodeKind::kJob   ? "shape=box, style=\"rounded,filled\", fillcolor=\"#fef3d8\""
                                                            : "shape=plaintext";
    out += fmt::format("  n{} [label={}, {}];\n", rank[i], dot_quote(display_name(n)), style);
  }
  std::vector<std::pair<std::pair<size_t, size_t>, std::string>> lines;
  for (const LineageEdge& e : edges_) {
    std::string attributes;
    if (!e.note.empty()) attributes = "label=" + dot_quote(e.note);
    if (!e.direct) attributes += attributes.empty() ? "style=dashed" : ", style=dashed";
    lines.push_back({{rank[e.from], rank[e.to]}, attributes.empty() ? "" : " [" + attributes + "]"});
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& [ends, attributes] : lines) out += fmt::format("  n{} -> n{}{};\n", ends.first, ends.second, attributes);
  return out + "}\n";
}

std::string LineageGraph::to_json() const {
  const std::vector<size_t> order = sorted_nodes();
  std::vector<size_t> rank(nodes_.size());
  Json j = {{"format", 1}, {"nodes", Json::array()}, {"edges", Json::array()}};
  for (size_t i = 0; i < order.size(); ++i) {
    rank[order[i]] = i;
    const LineageNode& n = nodes_[order[i]];
    Json item = {{"id", i}, {"kind", kind_name(n.kind)}, {"namespace", n.name_space}, {"name", n.name}};
    put_text(item, "field", n.field);
    item["label"] = display_name(n);
    put_text(item, "note", n.note);
    j["nodes"].push_back(std::move(item));
  }
  std::vector<const LineageEdge*> edges;
  for (const LineageEdge& e : edges_) edges.push_back(&e);
  std::sort(edges.begin(), edges.end(), [&](const LineageEdge* a, const LineageEdge* b) {
    return std::make_tuple(rank[a->from], rank[a->to], a->note) < std::make_tuple(rank[b->from], rank[b->to], b->note);
  });
  for (const LineageEdge* e : edges) {
    Json item = {{"from", rank[e->from]}, {"to", rank[e->to]}, {"direct", e->direct}};
    put_text(item, "note", e->note);
    if (e->job < nodes_.size()) item["job"] = rank[e->job];
    j["edges"].push_back(std::move(item));
  }
  return dump_document(j);
}

}  // namespace runink::ledger
