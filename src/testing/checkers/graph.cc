#include "testing/checkers/graph.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace runink::testing {

std::vector<uint32_t> Graph::components(EdgeKinds kinds) const {
  constexpr uint32_t kNone = ~0u;
  std::vector<uint32_t> component(size(), kNone), order(size(), kNone), low(size());
  std::vector<uint32_t> stack;
  struct Visit {
    uint32_t node;
    size_t next;
  };
  std::vector<Visit> visits;
  uint32_t counter = 0, components = 0;
  for (uint32_t root = 0; root < size(); ++root) {
    if (order[root] != kNone) continue;
    visits.push_back({root, 0});
    while (!visits.empty()) {
      const uint32_t node = visits.back().node;
      if (visits.back().next == 0) {
        order[node] = low[node] = counter++;
        stack.push_back(node);
      }
      bool deeper = false;
      while (visits.back().next < out_[node].size()) {
        const Edge& edge = out_[node][visits.back().next++];
        if ((of(edge.kind) & kinds) == 0) continue;
        if (order[edge.to] == kNone) {
          visits.push_back({edge.to, 0});
          deeper = true;
          break;
        }
        if (component[edge.to] == kNone) low[node] = std::min(low[node], order[edge.to]);
      }
      if (deeper) continue;
      if (low[node] == order[node]) {
        for (uint32_t member = kNone; member != node;) {
          member = stack.back();
          stack.pop_back();
          component[member] = components;
        }
        ++components;
      }
      visits.pop_back();
      if (!visits.empty()) low[visits.back().node] = std::min(low[visits.back().node], low[node]);
    }
  }
  return component;
}

std::vector<Graph::Step> Graph::path(uint32_t start, uint32_t goal, EdgeKinds kinds,
                                     const std::vector<uint32_t>& component) const {
  std::unordered_map<uint32_t, Step> came_from;  // node: the step before it
  std::deque<uint32_t> queue{start};
  bool found = false;
  Step last{};
  while (!queue.empty() && !found) {
    const uint32_t node = queue.front();
    queue.pop_front();
    for (const Edge& edge : out_[node]) {
      if ((of(edge.kind) & kinds) == 0 || component[edge.to] != component[start]) continue;
      if (edge.to == goal) {
        last = {node, edge.kind};
        found = true;
        break;
      }
      if (edge.to != start && came_from.emplace(edge.to, Step{node, edge.kind}).second) queue.push_back(edge.to);
    }
  }
  std::vector<Step> steps;
  if (!found) return steps;
  steps.push_back(last);
  while (steps.back().node != start) steps.push_back(came_from.at(steps.back().node));
  std::reverse(steps.begin(), steps.end());
  return steps;
}

}  // namespace runink::testing
