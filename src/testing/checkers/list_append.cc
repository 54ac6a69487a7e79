#include "testing/checkers/list_append.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>

#include "testing/checkers/graph.h"

namespace runink::testing {
namespace {

constexpr size_t kMostOfAKind = 16;
constexpr size_t kTriedEdges = 2000;  // of one kind, when looking for the cycle that says most
constexpr uint32_t kNobody = ~0u;

using Kind = ListOperation::Kind;
using Outcome = Transaction::Outcome;

std::string shown(const std::vector<int64_t>& elements) {
  constexpr size_t kMost = 12;
  std::string out = "[";
  const size_t from = elements.size() > kMost ? elements.size() - kMost : 0;
  if (from > 0) out += fmt::format("... {} more", from);
  for (size_t i = from; i < elements.size(); ++i) out += fmt::format("{}{}", i == 0 ? "" : " ", elements[i]);
  return out + "]";
}

std::string shown(const Transaction& t) {
  const char* outcome = t.outcome == Outcome::kCommitted ? "committed"
                        : t.outcome == Outcome::kAborted ? "aborted"
                                                         : "unknown";
  std::string out = fmt::format("client {} [{}, {}] {}:", t.client, t.start,
                                t.end == kOpen ? "open" : fmt::format("{}", t.end), outcome);
  for (const ListOperation& o : t.operations) {
    out += o.kind == Kind::kAppend ? fmt::format(" append {} to {};", o.element, o.list)
                                   : fmt::format(" read {} -> {};", o.list, shown(o.elements));
  }
  return out;
}

class Analysis {
 public:
  explicit Analysis(const std::vector<Transaction>& history) : history_(history) {}

  std::vector<Anomaly> run() {
    collect_appends();
    look_at_reads();
    order_versions();
    believe_observed();
    Graph graph(static_cast<uint32_t>(history_.size() * 2));
    add_dependencies(graph);
    add_real_time(graph);
    find_lost_updates();
    find_cycles(graph);
    return std::move(anomalies_);
  }

 private:
  struct Append {
    uint32_t writer = kNobody;
    bool final = true;  // the last one of its transaction to this list
  };
  struct List {
    std::unordered_map<int64_t, Append> appends;
    std::vector<int64_t> order;  // the longest read
    uint32_t reader = kNobody;   // who saw it
  };

  void report(AnomalyKind kind, std::string text, bool realtime = false) {
    if (++reported_[static_cast<size_t>(kind)] <= kMostOfAKind) anomalies_.push_back({kind, realtime, std::move(text)});
  }
  bool committed(uint32_t i) const { return history_[i].outcome == Outcome::kCommitted; }
  bool counts(uint32_t i) const { return committed(i) || believed_.contains(i); }

  void collect_appends() {
    for (uint32_t i = 0; i < history_.size(); ++i) {
      std::map<uint64_t, int64_t> last;
      for (const ListOperation& o : history_[i].operations) {
        List& list = lists_[o.list];
        if (o.kind != Kind::kAppend) continue;
        if (const auto [before, first] = last.emplace(o.list, o.element); !first) {
          list.appends[before->second].final = false;
          before->second = o.element;
        }
        if (!list.appends.emplace(o.element, Append{i, true}).second) {
          report(AnomalyKind::kDuplicate,
                 fmt::format("element {} was appended to list {} twice by the test itself\n", o.element, o.list));
        }
      }
    }
  }

  // Anomalies of single reads, and inside of transactions. A read's own appends are taken off: what is left is what the
  // transaction found.
  void look_at_reads() {
    for (uint32_t i = 0; i < history_.size(); ++i) {
      if (!committed(i)) continue;
      std::map<uint64_t, std::vector<int64_t>> own;
      std::map<uint64_t, const std::vector<int64_t>*> seen;  // by the transaction's read before
      for (const ListOperation& o : history_[i].operations) {
        if (o.kind == Kind::kAppend) {
          own[o.list].push_back(o.element);
          continue;
        }
        look_at_read(i, o, own[o.list]);
        const std::vector<int64_t>*& before = seen[o.list];
        if (before != nullptr && !begins_with(o.elements, *before)) {
          report(AnomalyKind::kInternal,
                 fmt::format(
                     "list {} was read twice in a transaction and the second does not begin with the first\n  {}\n",
                     o.list, shown(history_[i])));
        }
        before = &o.elements;
      }
    }
  }

  static bool begins_with(const std::vector<int64_t>& longer, const std::vector<int64_t>& shorter) {
    return longer.size() >= shorter.size() && std::equal(shorter.begin(), shorter.end(), longer.begin());
  }

  void look_at_read(uint32_t reader, const ListOperation& o, const std::vector<int64_t>& own) {
    List& list = lists_[o.list];
    const std::string by = "  " + shown(history_[reader]) + "\n";
    if (o.elements.size() < own.size() || !std::equal(own.rbegin(), own.rend(), o.elements.rbegin())) {
      report(AnomalyKind::kInternal,
             fmt::format("a read of list {} does not end with what its transaction had appended\n", o.list) + by);
      return;
    }
    std::set<int64_t> unique;
    uint32_t writer_before = kNobody;
    for (size_t at = 0; at < o.elements.size(); ++at) {
      const int64_t element = o.elements[at];
      if (!unique.insert(element).second)
        report(AnomalyKind::kDuplicate,
               fmt::format("element {} is twice in a read of list {}\n", element, o.list) + by);
      const auto append = list.appends.find(element);
      if (append == list.appends.end()) {
        report(AnomalyKind::kNeverAppended,
               fmt::format("element {} of list {} was never appended\n", element, o.list) + by);
        continue;
      }
      const uint32_t writer = append->second.writer;
      if (history_[writer].outcome == Outcome::kAborted) {
        report(AnomalyKind::kG1a,
               fmt::format("element {} of list {} was read, its transaction aborted\n", element, o.list) + by + "  " +
                   shown(history_[writer]) + "\n");
      } else if (writer_before != kNobody && history_[writer_before].outcome == Outcome::kAborted) {
        report(
            AnomalyKind::kDirtyUpdate,
            fmt::format("element {} of list {} stands on an append of an aborted transaction\n", element, o.list) + by);
      }
      writer_before = writer;
      const bool last = at + 1 == o.elements.size() - own.size();
      if (last && !append->second.final && writer != reader) {
        report(AnomalyKind::kG1b, fmt::format("list {} was read between two appends of one transaction\n", o.list) +
                                      by + "  " + shown(history_[writer]) + "\n");
      }
    }
    if (o.elements.size() > list.order.size() || list.reader == kNobody) {
      if (!begins_with(o.elements, list.order)) report_order(o.list, list.reader, reader);
      list.order = o.elements;
      list.reader = reader;
    } else if (!begins_with(list.order, o.elements)) {
      report_order(o.list, list.reader, reader);
    }
  }

  void report_order(uint64_t list, uint32_t one, uint32_t other) {
    report(AnomalyKind::kIncompatibleOrder,
           fmt::format("two reads of list {} of which neither begins with the other\n  {}\n  {}\n", list,
                       shown(history_[one]), shown(history_[other])));
  }

  // Committed appends that no read shows come behind all that were shown, in an order that nobody knows.
  void order_versions() {
    for (auto& [key, list] : lists_) {
      std::unordered_map<int64_t, uint32_t> positions;
      for (uint32_t i = 0; i < list.order.size(); ++i) positions.emplace(list.order[i], i);
      for (const auto& [element, append] : list.appends) {
        if (!positions.contains(element) && committed(append.writer)) unseen_[key].push_back(append.writer);
      }
      auto unseen = unseen_.find(key);
      if (unseen != unseen_.end()) {
        std::sort(unseen->second.begin(), unseen->second.end());
        unseen->second.erase(std::unique(unseen->second.begin(), unseen->second.end()), unseen->second.end());
      }
    }
  }

  // A transaction of unknown outcome has committed if somebody has seen what it appended.
  void believe_observed() {
    for (const auto& [key, list] : lists_) {
      for (int64_t element : list.order) {
        const uint32_t writer = writer_of(list, element);
        if (writer != kNobody && history_[writer].outcome == Outcome::kUnknown) believed_.insert(writer);
      }
    }
  }

  uint32_t writer_of(const List& list, int64_t element) const {
    const auto append = list.appends.find(element);
    return append == list.appends.end() ? kNobody : append->second.writer;
  }

  void add_dependencies(Graph& graph) {
    for (const auto& [key, list] : lists_) {
      std::vector<uint32_t> writers;  // one for each version; runs of one transaction are one version
      std::vector<uint32_t> version(list.order.size());
      for (size_t i = 0; i < list.order.size(); ++i) {
        const uint32_t writer = writer_of(list, list.order[i]);
        if (i == 0 || writer != writers.back()) writers.push_back(writer);
        version[i] = static_cast<uint32_t>(writers.size() - 1);
      }
      for (size_t i = 1; i < writers.size(); ++i) edge(graph, writers[i - 1], writers[i], EdgeKind::kWw);
      const auto unseen = unseen_.find(key);
      const std::vector<uint32_t> none;
      const std::vector<uint32_t>& behind = unseen == unseen_.end() ? none : unseen->second;
      if (!writers.empty()) {
        for (uint32_t writer : behind) edge(graph, writers.back(), writer, EdgeKind::kWw);
      }
      versions_[key] = {std::move(writers), std::move(version)};
    }
    std::map<uint64_t, std::vector<uint32_t>> readers_of_the_last;
    for (uint32_t i = 0; i < history_.size(); ++i) {
      if (!committed(i)) continue;
      std::map<uint64_t, size_t> own;
      for (const ListOperation& o : history_[i].operations) {
        if (o.kind == Kind::kAppend) {
          ++own[o.list];
          continue;
        }
        const size_t mine = own[o.list];
        if (o.elements.size() < mine) continue;
        const size_t seen = o.elements.size() - mine;
        const auto& [writers, version] = versions_[o.list];
        if (seen > version.size() || !begins_with(lists_[o.list].order, o.elements)) continue;  // reported above
        if (seen > 0) edge(graph, writers[version[seen - 1]], i, EdgeKind::kWr);
        uint32_t next = seen == 0 ? 0 : version[seen - 1] + 1;
        if (next < writers.size() && writers[next] == i) continue;  // its own: ww says the rest
        if (next < writers.size()) {
          edge(graph, i, writers[next], EdgeKind::kRw);
        } else {
          readers_of_the_last[o.list].push_back(i);
        }
      }
    }
    // Those who saw the last version that anybody saw come before all whose appends nobody saw. Of the readers the last
    // one to begin is enough to find a lost append by real time; with few unseen appends all readers are told.
    for (auto& [key, readers] : readers_of_the_last) {
      const auto unseen = unseen_.find(key);
      if (unseen == unseen_.end()) continue;
      if (readers.size() * unseen->second.size() > 4 * (readers.size() + unseen->second.size())) {
        const auto latest = std::max_element(readers.begin(), readers.end(), [&](uint32_t a, uint32_t b) {
          return history_[a].start < history_[b].start;
        });
        readers.assign(1, *latest);
      }
      for (uint32_t reader : readers) {
        for (uint32_t writer : unseen->second) edge(graph, reader, writer, EdgeKind::kRw);
      }
    }
  }

  void edge(Graph& graph, uint32_t from, uint32_t to, EdgeKind kind) {
    if (from == kNobody || to == kNobody || !counts(from) || !counts(to)) return;
    graph.add(from, to, kind);
  }

  // Instead of an edge for each pair: a chain of moments. Whoever ends leads to its moment, and each moment leads to
  // whoever begins after it.
  void add_real_time(Graph& graph) {
    const auto moments = static_cast<uint32_t>(history_.size());
    std::vector<uint32_t> by_end, by_start;
    for (uint32_t i = 0; i < history_.size(); ++i) {
      if (!counts(i)) continue;
      if (committed(i) && history_[i].end != kOpen) by_end.push_back(i);
      by_start.push_back(i);
    }
    std::sort(by_end.begin(), by_end.end(), [&](uint32_t a, uint32_t b) { return history_[a].end < history_[b].end; });
    std::sort(by_start.begin(), by_start.end(),
              [&](uint32_t a, uint32_t b) { return history_[a].start < history_[b].start; });
    for (uint32_t k = 0; k < by_end.size(); ++k) {
      graph.add(by_end[k], moments + k, EdgeKind::kRt);
      if (k > 0) graph.add(moments + k - 1, moments + k, EdgeKind::kRt);
    }
    uint32_t ended = 0;
    for (uint32_t i : by_start) {
      while (ended < by_end.size() && history_[by_end[ended]].end < history_[i].start) ++ended;
      if (ended > 0) graph.add(moments + ended - 1, i, EdgeKind::kRt);
    }
  }

  void find_lost_updates() {
    std::map<std::pair<uint64_t, size_t>, uint32_t> readers;  // list and length of what was read before appending
    for (uint32_t i = 0; i < history_.size(); ++i) {
      if (!counts(i)) continue;
      std::map<uint64_t, size_t> read;
      std::set<uint64_t> appended;
      for (const ListOperation& o : history_[i].operations) {
        if (o.kind == Kind::kRead) {
          if (committed(i) && !appended.contains(o.list)) read[o.list] = o.elements.size();
        } else if (appended.insert(o.list).second && read.contains(o.list)) {
          const auto [other, first] = readers.emplace(std::make_pair(o.list, read[o.list]), i);
          if (!first) {
            report(AnomalyKind::kLostUpdate,
                   fmt::format("two transactions read the same version of list {} and both appended\n  {}\n  {}\n",
                               o.list, shown(history_[other->second]), shown(history_[i])));
          }
        }
      }
    }
  }

  // The worst kind first; each component that has a cycle of a kind is not looked at again for a lesser one.
  void find_cycles(const Graph& graph) {
    constexpr EdgeKinds kRt = of(EdgeKind::kRt), kWw = of(EdgeKind::kWw), kWr = of(EdgeKind::kWr),
                        kRw = of(EdgeKind::kRw);
    std::set<uint32_t> told;
    cycles_through(graph, kWw, kWw | kRt, kWw | kRt, AnomalyKind::kG0, &told);
    cycles_through(graph, kWr, kWw | kWr | kRt, kWw | kWr | kRt, AnomalyKind::kG1c, &told);
    cycles_through(graph, kRw, kWw | kWr | kRt, kWw | kWr | kRw | kRt, AnomalyKind::kGSingle, &told);
    cycles_through(graph, kRw, kWw | kWr | kRw | kRt, kWw | kWr | kRw | kRt, AnomalyKind::kG2, &told);
  }

  // Cycles of one edge of `through` and a way back over `back`. Components are those over `within`.
  void cycles_through(const Graph& graph, EdgeKinds through, EdgeKinds back, EdgeKinds within, AnomalyKind kind,
                      std::set<uint32_t>* told) {
    const std::vector<uint32_t> component = graph.components(within);
    std::set<uint32_t> done;
    size_t tried = 0;
    for (uint32_t from = 0; from < history_.size() && tried < kTriedEdges; ++from) {
      if (done.contains(component[from]) || told->contains(from)) continue;
      for (const Graph::Edge& edge : graph.from(from)) {
        if ((of(edge.kind) & through) == 0 || component[edge.to] != component[from] || tried >= kTriedEdges) continue;
        ++tried;
        // A way without real time says more, so it is tried first.
        std::vector<Graph::Step> way =
            graph.path(edge.to, from, static_cast<EdgeKinds>(back & ~of(EdgeKind::kRt)), component);
        const bool realtime = way.empty();
        if (realtime) way = graph.path(edge.to, from, back, component);
        if (way.empty()) continue;
        way.insert(way.begin(), {from, edge.kind});
        report(kind, explain(way), realtime);
        for (const Graph::Step& step : way) told->insert(step.node);
        done.insert(component[from]);
        break;
      }
    }
  }

  std::string explain(const std::vector<Graph::Step>& way) const {
    static constexpr const char* kWords[] = {"had its append followed by one of", "had its append read by",
                                             "read what was before the append of", "was over before the start of"};
    std::string out;
    for (const Graph::Step& step : way) {
      if (step.node >= history_.size()) continue;  // a moment
      out += fmt::format("  {}\n    {}\n", shown(history_[step.node]), kWords[static_cast<size_t>(step.kind)]);
    }
    return out + "  the first one\n";
  }

  const std::vector<Transaction>& history_;
  std::vector<Anomaly> anomalies_;
  std::array<size_t, 16> reported_{};
  std::map<uint64_t, List> lists_;
  std::map<uint64_t, std::vector<uint32_t>> unseen_;
  std::map<uint64_t, std::pair<std::vector<uint32_t>, std::vector<uint32_t>>> versions_;
  std::set<uint32_t> believed_;
};

}  // namespace

std::string name(const Anomaly& anomaly) {
  static constexpr const char* kNames[] = {"duplicate", "never appended",   "incompatible order",
                                           "internal",  "G1a (dirty read)", "dirty update",
                                           "G1b",       "lost update",      "G0",
                                           "G1c",       "G-single",         "G2"};
  return std::string(kNames[static_cast<size_t>(anomaly.kind)]) + (anomaly.realtime ? " with real time" : "");
}

std::vector<Anomaly> check_list_append(const std::vector<Transaction>& history) { return Analysis(history).run(); }

}  // namespace runink::testing
