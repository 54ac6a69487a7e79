// The graph of jobs, data sets and columns that all events of a ledger (or of other OpenLineage files) describe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::ledger {

enum class LineageNodeKind { kDataset, kJob, kColumn };

struct LineageNode {
  LineageNodeKind kind = LineageNodeKind::kDataset;
  std::string name_space, name;
  std::string field;       // of a column
  std::string note;        // contract of a data set, type of a column, last state of a job
  std::string label() const;  // "data/flights.ndjson", "features/clean.dsl#Clean the feed", "out/flights.ndjson:route"
};

struct LineageEdge {
  size_t from = 0, to = 0;  // nodes; data flows from → to
  std::string note;         // "IDENTITY", "origin + \"-\" + destination", "FILTER delay > 15", masked
  bool direct = true;
  size_t job = SIZE_MAX;    // of an edge between columns: the job that makes it
};

enum class LineageDirection { kUpstream, kDownstream, kBoth };

class LineageGraph {
 public:
  // Adds an event line; kInvalidArgument if it is not an event (the graph is then unchanged). Later events of a job
  // replace what earlier ones said about the columns of the same output.
  Status add_event(std::string_view json_line);

  const std::vector<LineageNode>& nodes() const { return nodes_; }
  const std::vector<LineageEdge>& edges() const { return edges_; }

  // Names below this prefix ("/home/a/flights/") are shown without it.
  void set_display_root(std::string prefix) { display_root_ = std::move(prefix); }
  std::string display_name(const LineageNode& node) const;

  // Nodes that `words` may mean: a data set by its whole name, its shown name or its file name; a job by its name or
  // scenario; a column as "data set:field". kNotFound with the nearest names; more than one is kInvalidArgument.
  Result<size_t> find(std::string_view words) const;

  // The part that can be reached from `node` (including it), columns only when asked or when `node` is one. From a column,
  // a filter, join or sort that decides about a whole data set leads on to all of that data set's columns.
  LineageGraph slice(size_t node, LineageDirection direction, bool with_columns) const;
  LineageGraph without_columns() const;

  // All are deterministic: nodes in the order of their names.
  std::string to_text_tree(size_t root, LineageDirection direction) const;  // UTF-8 box lines, repeated parts named once
  std::string to_text() const;                                              // every job with its inputs, outputs and their columns
  std::string to_dot() const;
  std::string to_svg() const;   // layered, left to right, self-contained, no script
  std::string to_json() const;  // {"format":1,"nodes":[…],"edges":[…]}

 private:
  friend class LineageRenderer;
  size_t node(LineageNodeKind kind, const std::string& name_space, const std::string& name, const std::string& field);
  size_t find_node(LineageNodeKind kind, const std::string& name_space, const std::string& name,
                   const std::string& field) const;  // SIZE_MAX if there is none
  void edge(size_t from, size_t to, const std::string& note, bool direct, size_t job);
  void rebuild_edge_index();
  std::vector<size_t> reachable(size_t from, LineageDirection direction) const;
  LineageGraph induced(const std::vector<bool>& keep) const;
  std::vector<size_t> sorted_nodes() const;  // by name
  std::string columns_text(size_t job, size_t dataset) const;

  std::vector<LineageNode> nodes_;
  std::vector<LineageEdge> edges_;
  std::map<std::string, size_t> index_;
  std::set<std::string> edge_index_;
  std::map<std::string, std::string> column_lineage_;  // job and output → what was said last
  std::string display_root_;
};

class Ledger;
// Of all runs of a ledger, oldest first. Files that cannot be read are named in `problems` (may be null).
Result<LineageGraph> load_lineage_graph(const Ledger& ledger, std::vector<Status>* problems);
// Of one run and, for a parent run, of its children.
Result<LineageGraph> load_lineage_of_run(const Ledger& ledger, const std::string& run_id);

}  // namespace runink::ledger
