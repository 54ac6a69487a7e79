// The lineage graph as a layered drawing: data sets and jobs as boxes from left to right, columns as rows inside their
// data set's box. Layers by longest path; the order within a layer by the mean place of the neighbours.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "data/ledger/lineage_graph.h"

namespace runink::ledger {

namespace {

constexpr double kCharWidth = 6.7, kRowHeight = 17, kHeader = 26, kGapX = 90, kGapY = 22, kMargin = 16;
constexpr double kMinWidth = 80, kMaxWidth = 380;

std::string xml(std::string_view text) {
  std::string out;
  for (const char c : escape_control(text)) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

// Keeps the end, which is what tells one path from another.
std::string shortened(const std::string& text) {
  const size_t most = static_cast<size_t>((kMaxWidth - 20) / kCharWidth);
  const size_t points = count_code_points(text);
  return points <= most ? text : "…" + std::string(code_point_slice(text, points - most + 1, most));
}

}  // namespace

class LineageRenderer {
 public:
  explicit LineageRenderer(const LineageGraph& graph) : graph_(graph), order_(graph.sorted_nodes()) {}

  std::string draw() {
    make_boxes();
    make_links();
    assign_layers();
    order_layers();
    place();
    return render();
  }

 private:
  struct Box {
    bool job = false;
    size_t node = SIZE_MAX;       // SIZE_MAX: a data set known only by its columns
    std::string title, full;
    std::vector<size_t> columns;  // nodes
    size_t layer = 0;
    double x = 0, y = 0, width = kMinWidth, height = kHeader;
  };

  void make_boxes() {
    std::map<std::pair<std::string, std::string>, size_t> datasets;
    box_of_.assign(graph_.nodes_.size(), SIZE_MAX);
    const auto add = [&](size_t node, bool job, const LineageNode& n, std::string title) {
      Box box;
      box.job = job;
      box.node = node;
      box.full = std::move(title);
      box.title = shortened(box.full);
      boxes_.push_back(std::move(box));
      if (!job) datasets[{n.name_space, n.name}] = boxes_.size() - 1;
      return boxes_.size() - 1;
    };
    for (const size_t i : order_) {
      const LineageNode& n = graph_.nodes_[i];
      if (n.kind != LineageNodeKind::kColumn) {
        box_of_[i] = add(i, n.kind == LineageNodeKind::kJob, n, graph_.display_name(n));
      }
    }
    for (const size_t i : order_) {
      const LineageNode& n = graph_.nodes_[i];
      if (n.kind != LineageNodeKind::kColumn) continue;
      const auto known = datasets.find({n.name_space, n.name});
      LineageNode dataset = n;
      dataset.field.clear();
      const size_t box = known != datasets.end() ? known->second : add(SIZE_MAX, false, n, graph_.display_name(dataset));
      box_of_[i] = box;
      boxes_[box].columns.push_back(i);
    }
    for (Box& box : boxes_) {
      size_t widest = count_code_points(box.title);
      for (const size_t column : box.columns) {
        widest = std::max(widest, 2 + std::min<size_t>(48, count_code_points(graph_.nodes_[column].field)));
      }
      box.width = std::clamp(20 + kCharWidth * static_cast<double>(widest), kMinWidth, kMaxWidth);
      box.height = kHeader + (box.columns.empty() ? 0 : 6) + kRowHeight * static_cast<double>(box.columns.size());
    }
  }

  // Box to box; a link that would close a circle (a job that reads what it writes) does not count for the layers.
  void make_links() {
    links_.assign(boxes_.size(), {});
    for (const LineageEdge& e : graph_.edges_) {
      const size_t from = box_of_[e.from], to = box_of_[e.to];
      if (from != to) links_[from].push_back(to);
    }
    for (auto& list : links_) {
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
    }
    enum { kNew, kOpen, kDone };
    std::vector<int> state(boxes_.size(), kNew);
    for (size_t start = 0; start < boxes_.size(); ++start) {
      if (state[start] != kNew) continue;
      std::vector<std::pair<size_t, size_t>> stack = {{start, 0}};
      state[start] = kOpen;
      while (!stack.empty()) {
        const size_t box = stack.back().first;
        size_t& at = stack.back().second;
        if (at == links_[box].size()) {
          state[box] = kDone;
          finished_.push_back(box);
          stack.pop_back();
          continue;
        }
        const size_t to = links_[box][at];
        if (state[to] == kOpen) {
          links_[box].erase(links_[box].begin() + static_cast<ptrdiff_t>(at));
          continue;
        }
        ++at;
        if (state[to] == kNew) {
          state[to] = kOpen;
          stack.emplace_back(to, 0);
        }
      }
    }
  }

  void assign_layers() {
    for (auto box = finished_.rbegin(); box != finished_.rend(); ++box) {  // topological order
      for (const size_t to : links_[*box]) boxes_[to].layer = std::max(boxes_[to].layer, boxes_[*box].layer + 1);
    }
    size_t count = 0;
    for (const Box& box : boxes_) count = std::max(count, box.layer + 1);
    layers_.assign(boxes_.empty() ? 0 : count, {});
    for (size_t i = 0; i < boxes_.size(); ++i) layers_[boxes_[i].layer].push_back(i);
  }

  void order_layers() {
    std::vector<std::vector<size_t>> back(boxes_.size());
    for (size_t i = 0; i < boxes_.size(); ++i) {
      for (const size_t to : links_[i]) back[to].push_back(i);
    }
    std::vector<double> place(boxes_.size());
    const auto number = [&] {
      for (const auto& layer : layers_) {
        for (size_t i = 0; i < layer.size(); ++i) {
          place[layer[i]] = (static_cast<double>(i) + 0.5) / static_cast<double>(layer.size());
        }
      }
    };
    number();
    for (int sweep = 0; sweep < 6; ++sweep) {
      const auto& neighbours = sweep % 2 == 0 ? back : links_;
      for (auto& layer : layers_) {
        std::vector<std::pair<double, size_t>> keyed;
        for (const size_t box : layer) {
          double sum = 0;
          for (const size_t other : neighbours[box]) sum += place[other];
          const size_t count = neighbours[box].size();
          keyed.emplace_back(count == 0 ? place[box] : sum / static_cast<double>(count), box);
        }
        std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        for (size_t i = 0; i < layer.size(); ++i) layer[i] = keyed[i].second;
      }
      number();
    }
  }

  void place() {
    double x = kMargin;
    for (const auto& layer : layers_) {
      double y = kMargin, widest = 0;
      for (const size_t i : layer) {
        boxes_[i].x = x;
        boxes_[i].y = y;
        y += boxes_[i].height + kGapY;
        widest = std::max(widest, boxes_[i].width);
      }
      height_ = std::max(height_, y - kGapY + kMargin);
      x += widest + kGapX;
    }
    width_ = std::max(2 * kMargin, x - kGapX + kMargin);
    height_ = std::max(height_, 2 * kMargin);
    // Shorter layers are centred.
    for (const auto& layer : layers_) {
      if (layer.empty()) continue;
      const Box& last = boxes_[layer.back()];
      const double shift = (height_ - kMargin - (last.y + last.height)) / 2;
      for (const size_t i : layer) boxes_[i].y += shift;
    }
  }

  double middle_of(size_t node) const {
    const Box& box = boxes_[box_of_[node]];
    for (size_t row = 0; row < box.columns.size(); ++row) {
      if (box.columns[row] == node) return box.y + kHeader + kRowHeight * (static_cast<double>(row) + 0.5);
    }
    return box.y + kHeader / 2;
  }

  std::string path_of(const LineageEdge& e) const {
    const Box &from = boxes_[box_of_[e.from]], &to = boxes_[box_of_[e.to]];
    const double x1 = from.x + from.width, y1 = middle_of(e.from), y2 = middle_of(e.to);
    double x2 = to.x;
    double bend = std::max(30.0, (x2 - x1) / 2);
    if (x2 < x1) bend = 60;  // backwards: around
    return fmt::format("M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", x1, y1, x1 + bend, y1, x2 - bend, y2, x2,
                       y2);
  }

  std::string render() const {
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
        "role=\"img\" aria-label=\"lineage: {2} boxes\" font-family=\"ui-monospace,monospace\" font-size=\"11\">\n",
        width_, height_, boxes_.size());
    out +=
        "<style>.d{fill:#e8f0fe;stroke:#4a6fb5}.j{fill:#fef3d8;stroke:#b58a2a}.e{fill:none;stroke:#777}"
        ".i{stroke-dasharray:4 3}text{fill:#222}.c{fill:#555}</style>\n"
        "<defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" "
        "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#777\"/></marker></defs>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n";
    std::vector<std::string> edges;
    for (const LineageEdge& e : graph_.edges_) {
      std::string note = graph_.display_name(graph_.nodes_[e.from]) + " → " + graph_.display_name(graph_.nodes_[e.to]);
      if (!e.note.empty()) note += ": " + e.note;
      edges.push_back(fmt::format("<path class=\"e{}\" d=\"{}\" marker-end=\"url(#a)\"><title>{}</title></path>\n",
                                  e.direct ? "" : " i", path_of(e), xml(note)));
    }
    std::sort(edges.begin(), edges.end());
    for (const std::string& edge : edges) out += edge;
    for (const Box& box : boxes_) {
      std::string about = box.full;
      if (box.node != SIZE_MAX && !graph_.nodes_[box.node].note.empty()) about += " (" + graph_.nodes_[box.node].note + ")";
      out += fmt::format("<g><title>{}</title><rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
                         "height=\"{:.1f}\" rx=\"{}\"/>",
                         xml(about), box.job ? "j" : "d", box.x, box.y, box.width, box.height, box.job ? 12 : 3);
      out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", box.x + 10, box.y + 17, xml(box.title));
      for (size_t row = 0; row < box.columns.size(); ++row) {
        const LineageNode& column = graph_.nodes_[box.columns[row]];
        out += fmt::format("<text class=\"c\" x=\"{:.1f}\" y=\"{:.1f}\">{}<title>{}</title></text>", box.x + 20,
                           box.y + kHeader + kRowHeight * static_cast<double>(row) + 12,
                           xml(code_point_slice(column.field, 0, 48)), xml(column.field + " " + column.note));
      }
      out += "</g>\n";
    }
    return out + "</svg>\n";
  }

  const LineageGraph& graph_;
  std::vector<size_t> order_;
  std::vector<Box> boxes_;
  std::vector<size_t> box_of_;              // by node
  std::vector<std::vector<size_t>> links_;  // by box, without circles
  std::vector<size_t> finished_;            // boxes, successors first
  std::vector<std::vector<size_t>> layers_;
  double width_ = 0, height_ = 0;
};

std::string LineageGraph::to_svg() const { return LineageRenderer(*this).draw(); }

}  // namespace runink::ledger
