#include "data/ledger/lineage_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/id.h"
#include "data/ledger/ledger.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::ledger {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

LineageDataset dataset(const std::string& name, const std::vector<std::string>& fields) {
  LineageDataset d;
  d.name_space = "file";
  d.name = "/p/" + name;
  for (const std::string& field : fields) d.fields.push_back({field, "string", "", {}});
  return d;
}

InputField from(const std::string& name, const std::string& field, bool direct = true, const std::string& subtype = "IDENTITY",
                const std::string& description = "") {
  return {"file", "/p/" + name, field, direct, subtype, description, false};
}

LineageEvent job(const std::string& name, std::vector<LineageDataset> inputs, std::vector<LineageDataset> outputs) {
  LineageEvent event;
  event.type = EventType::kComplete;
  event.time_micros = 1;
  event.run_id = make_uuid_v7(1, {});
  event.job_namespace = "runink://default";
  event.job_name = name;
  event.runink_version = "0.1.0";
  event.inputs = std::move(inputs);
  event.outputs = std::move(outputs);
  return event;
}

// data/flights → clean → out/flights, out/rejected; out/flights, data/airports → group → out/routes
LineageGraph flights() {
  LineageGraph graph;
  graph.set_display_root("/p/");
  LineageDataset raw = dataset("data/flights.ndjson", {"origin", "destination", "delay"});
  raw.contract_name = "Flight";
  raw.contract_version = "1.2.0";
  LineageDataset clean = dataset("out/flights.ndjson", {"route", "delay"});
  clean.columns = {{"route",
                    {from("data/flights.ndjson", "origin", true, "TRANSFORMATION", "origin + \"-\" + destination"),
                     from("data/flights.ndjson", "destination", true, "TRANSFORMATION", "origin + \"-\" + destination")}},
                   {"delay", {from("data/flights.ndjson", "delay")}}};
  LineageDataset routes = dataset("out/routes.csv", {"route", "late", "city"});
  routes.columns = {{"route", {from("out/flights.ndjson", "route")}},
                    {"late", {from("out/flights.ndjson", "delay", true, "AGGREGATION", "avg(delay > 15)")}},
                    {"city", {from("data/airports.csv", "city")}}};
  routes.dataset_inputs = {from("out/flights.ndjson", "route", false, "GROUP_BY"), from("data/airports.csv", "iata", false, "JOIN")};
  const LineageEvent first = job("features/f.dsl#Clean", {raw}, {clean, dataset("out/rejected.ndjson", {})});
  const LineageEvent second = job("features/f.dsl#Group", {dataset("out/flights.ndjson", {}), dataset("data/airports.csv", {"iata", "city"})}, {routes});
  for (const LineageEvent& event : {first, second}) EXPECT_TRUE(graph.add_event(to_json(event)).ok());
  return graph;
}

size_t at(const LineageGraph& graph, std::string_view words) {
  const auto node = graph.find(words);
  EXPECT_TRUE(node.ok()) << node.status().to_string();
  return node.ok() ? *node : 0;
}

// Compares with testdata/lineage/NAME; RUNINK_REWRITE=1 writes it anew.
void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = "testdata/lineage/" + name;
  if (std::getenv("RUNINK_REWRITE") != nullptr) {
    ASSERT_TRUE(os::make_directories("testdata/lineage").ok());
    ASSERT_TRUE(os::write_file_atomic(path, text).ok());
    return;
  }
  const auto golden = os::read_file(path);
  ASSERT_TRUE(golden.ok()) << golden.status().to_string() << "; RUNINK_REWRITE=1 writes it";
  EXPECT_EQ(text, *golden);
}

TEST(LineageGraphTest, Trees) {
  const LineageGraph graph = flights();
  expect_golden("upstream.txt", graph.to_text_tree(at(graph, "out/routes.csv"), LineageDirection::kUpstream));
  expect_golden("both.txt", graph.to_text_tree(at(graph, "flights.ndjson:route"), LineageDirection::kBoth));
  expect_golden("column_down.txt", graph.to_text_tree(at(graph, "data/flights.ndjson:origin"), LineageDirection::kDownstream));
  expect_golden("jobs.txt", graph.without_columns().to_text());
  expect_golden("jobs_columns.txt", graph.to_text());
}

TEST(LineageGraphTest, Drawings) {
  const LineageGraph graph = flights();
  expect_golden("whole.dot", graph.without_columns().to_dot());
  expect_golden("columns.dot", graph.to_dot());
  expect_golden("whole.svg", graph.without_columns().to_svg());
  expect_golden("columns.svg", graph.to_svg());
  expect_golden("whole.json", graph.to_json());
}

TEST(LineageGraphTest, SlicesHoldWhatCanBeReached) {
  const LineageGraph graph = flights();
  const auto labels = [](const LineageGraph& part) {
    std::set<std::string> names;
    for (const LineageNode& node : part.nodes()) names.insert(part.display_name(node));
    return names;
  };
  EXPECT_EQ(labels(graph.slice(at(graph, "out/rejected.ndjson"), LineageDirection::kUpstream, false)),
            (std::set<std::string>{"out/rejected.ndjson", "features/f.dsl#Clean", "data/flights.ndjson"}));
  EXPECT_EQ(labels(graph.slice(at(graph, "airports.csv"), LineageDirection::kDownstream, false)),
            (std::set<std::string>{"data/airports.csv", "features/f.dsl#Group", "out/routes.csv"}));
  // A column that decides about the rows leads on to every column of that data set.
  EXPECT_EQ(labels(graph.slice(at(graph, "airports.csv:iata"), LineageDirection::kDownstream, false)),
            (std::set<std::string>{"data/airports.csv:iata", "out/routes.csv", "out/routes.csv:route", "out/routes.csv:late",
                                   "out/routes.csv:city"}));
  EXPECT_EQ(labels(graph.slice(at(graph, "routes.csv:late"), LineageDirection::kUpstream, false)),
            (std::set<std::string>{"out/routes.csv:late", "out/routes.csv", "data/airports.csv:iata", "out/flights.ndjson:route",
                                   "out/flights.ndjson:delay", "data/flights.ndjson:origin", "data/flights.ndjson:destination",
                                   "data/flights.ndjson:delay"}));
  const LineageGraph with_columns = graph.slice(at(graph, "Clean"), LineageDirection::kUpstream, true);
  EXPECT_TRUE(labels(with_columns).contains("data/flights.ndjson:delay"));
}

TEST(LineageGraphTest, NamesAreFoundOrTheNearestAreTold) {
  const LineageGraph graph = flights();
  EXPECT_EQ(graph.nodes()[at(graph, "Group")].kind, LineageNodeKind::kJob);
  EXPECT_EQ(graph.nodes()[at(graph, "late")].field, "late");
  EXPECT_EQ(at(graph, "/p/out/routes.csv"), at(graph, "routes.csv"));
  const Status ambiguous = graph.find("flights.ndjson").status();
  EXPECT_EQ(ambiguous.code(), Code::kInvalidArgument);
  EXPECT_EQ(ambiguous.details().size(), 2u);
  const Status none = graph.find("out/ruotes.csv").status();
  EXPECT_EQ(none.code(), Code::kNotFound);
  EXPECT_THAT(none.hint(), HasSubstr("out/routes.csv"));
  EXPECT_EQ(LineageGraph().find("x").status().code(), Code::kNotFound);
}

TEST(LineageGraphTest, ALaterRunReplacesWhatItsColumnsCameFrom) {
  LineageGraph graph;
  LineageDataset out = dataset("o", {"x"});
  out.columns = {{"x", {from("i", "a")}}};
  ASSERT_TRUE(graph.add_event(to_json(job("j", {dataset("i", {"a", "b"})}, {out}))).ok());
  ASSERT_TRUE(graph.add_event(to_json(job("j", {dataset("i", {"a", "b"})}, {out}))).ok());
  EXPECT_EQ(graph.edges().size(), 3u);
  out.columns = {{"x", {from("i", "b")}}};
  ASSERT_TRUE(graph.add_event(to_json(job("j", {dataset("i", {"a", "b"})}, {out}))).ok());
  EXPECT_EQ(graph.edges().size(), 3u);
  const std::string tree = graph.to_text_tree(at(graph, "o:x"), LineageDirection::kUpstream);
  EXPECT_THAT(tree, HasSubstr(":b"));
  EXPECT_THAT(tree, Not(HasSubstr(":a")));
}

TEST(LineageGraphTest, CirclesAndHostileNamesAreDrawn) {
  LineageGraph graph;
  LineageDataset evil = dataset("<script>&\"\\\x1b[31m", {"a<b"});
  ASSERT_TRUE(graph.add_event(to_json(job("j1", {evil}, {dataset("b", {})}))).ok());
  ASSERT_TRUE(graph.add_event(to_json(job("j2", {dataset("b", {})}, {evil, dataset("b", {})}))).ok());
  const std::string svg = graph.to_svg();
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, Not(HasSubstr("\x1b")));
  EXPECT_THAT(graph.to_text_tree(at(graph, "b"), LineageDirection::kBoth), HasSubstr("as above"));
  EXPECT_THAT(graph.to_dot(), Not(HasSubstr("\x1b")));
  EXPECT_FALSE(LineageGraph().to_svg().empty());
}

TEST(LineageGraphTest, DeepChainsAndRubbishDoNoHarm) {
  LineageGraph graph;
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(graph.add_event(to_json(job(fmt::format("j{}", i), {dataset(fmt::format("d{}", i), {})}, {dataset(fmt::format("d{}", i + 1), {})}))).ok());
  }
  EXPECT_THAT(graph.to_text_tree(at(graph, "d2000"), LineageDirection::kUpstream), HasSubstr("└─ …"));
  EXPECT_FALSE(graph.to_svg().empty());
  for (const char* rubbish : {"", "[]", "{}", "{\"eventTime\":\"x\",\"job\":7}", "{\"eventTime\":\"x\",\"job\":{\"name\":\"\"}}"}) {
    EXPECT_FALSE(graph.add_event(rubbish).ok()) << rubbish;
  }
  EXPECT_TRUE(graph.add_event(R"({"eventTime":"x","job":{"name":"a"},"inputs":[1,{},{"name":"i"}],"outputs":[{"name":"o",
    "facets":{"columnLineage":{"fields":{"f":7,"g":{"inputFields":[1,{"field":"h"}]}},"dataset":3},"schema":{"fields":[1]}}}]})").ok());
}

TEST(LineageGraphTest, LoadsFromALedger) {
  const os::TempFolder folder = std::move(os::TempFolder::create("")).value();
  const Ledger ledger = std::move(Ledger::open(folder.path())).value();
  RunRecord parent, child;
  parent.id = make_uuid_v7(1, {});
  child.id = make_uuid_v7(2, {});
  child.parent_id = parent.id;
  for (const RunRecord& record : {parent, child}) ASSERT_TRUE(ledger.create_run(record).ok());
  LineageEvent top = job("f", {}, {}), inner = job("f#s", {dataset("i", {})}, {dataset("o", {})});
  top.run_id = parent.id;
  inner.run_id = child.id;
  ASSERT_TRUE(ledger.append_lineage(top).ok());
  ASSERT_TRUE(ledger.append_lineage(inner).ok());
  EXPECT_EQ(load_lineage_graph(ledger, nullptr)->nodes().size(), 3u);
  EXPECT_EQ(load_lineage_of_run(ledger, parent.id)->nodes().size(), 3u);
  ASSERT_TRUE(append_event_line(ledger.lineage_file(parent.id), "rubbish").ok());
  std::vector<Status> problems;
  EXPECT_EQ(load_lineage_graph(ledger, &problems)->nodes().size(), 3u);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0].to_string(), HasSubstr(parent.id));
}

}  // namespace
}  // namespace runink::ledger
