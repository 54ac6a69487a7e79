// Dependencies between transactions, and cycles in them. Nodes are numbers from 0.
#pragma once

#include <cstdint>
#include <vector>

namespace runink::testing {

enum class EdgeKind : uint8_t { kWw, kWr, kRw, kRt };
using EdgeKinds = uint8_t;  // a set of them
constexpr EdgeKinds of(EdgeKind kind) { return static_cast<EdgeKinds>(1u << static_cast<unsigned>(kind)); }

class Graph {
 public:
  struct Edge {
    uint32_t to;
    EdgeKind kind;
  };
  explicit Graph(uint32_t nodes) : out_(nodes) {}
  void add(uint32_t from, uint32_t to, EdgeKind kind) {
    if (from != to) out_[from].push_back({to, kind});
  }
  uint32_t size() const { return static_cast<uint32_t>(out_.size()); }
  const std::vector<Edge>& from(uint32_t node) const { return out_[node]; }

  // Strongly connected components over edges of these kinds: for each node the number of its component (Tarjan 1972,
  // without recursion).
  std::vector<uint32_t> components(EdgeKinds kinds) const;

  struct Step {
    uint32_t node;
    EdgeKind kind;  // of the edge to the next step's node
  };
  // A shortest way from `start` to `goal` (at least one edge) over edges of these kinds between nodes of one component;
  // without the goal itself. Empty if there is none.
  std::vector<Step> path(uint32_t start, uint32_t goal, EdgeKinds kinds, const std::vector<uint32_t>& component) const;

 private:
  std::vector<std::vector<Edge>> out_;
};

}  // namespace runink::testing
