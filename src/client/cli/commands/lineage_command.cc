// runi lineage [RUN] and runi lineage query WORDS
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"
#include "client/cli/project.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

const std::vector<std::string>& forms() {
  static const std::vector<std::string> words = {"text", "dot", "svg", "json", "events"};
  return words;
}

std::vector<Flag> lineage_flags(bool with_events) {
  std::vector<std::string> choices = forms();
  if (!with_events) choices.pop_back();
  std::vector<Flag> flags = {
      {.name = "output",
       .letter = 'o',
       .type = ValueType::kText,
       .value_name = "FORM",
       .help = with_events ? "form; events are the OpenLineage events as they were written" : "form",
       .default_value = "text",
       .choices = choices},
      {.name = "columns", .letter = 'c', .help = "columns too, not only data sets"}};
  for (Flag& flag : out_flags()) flags.push_back(std::move(flag));
  return flags;
}

std::string drawn(const ledger::LineageGraph& graph, const std::string& form) {
  if (form == "dot") return graph.to_dot();
  if (form == "svg") return graph.to_svg();
  if (form == "json") return graph.to_json();
  return graph.to_text();
}

// The OpenLineage events of a run and its scenarios, one per line.
Result<std::string> events_of(const PastRuns& past, const std::string& words) {
  local::RunFamily family = RUNINK_TRY(local::load_family(past.ledger, words));
  std::string out = RUNINK_TRY(os::read_file(past.ledger.lineage_file(family.run.id)));
  for (const ledger::RunRecord& child : family.children)
    out += RUNINK_TRY(os::read_file(past.ledger.lineage_file(child.id)));
  return out;
}

Result<int> run_lineage(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  const std::string words = invocation.given("RUN") ? invocation.text("RUN") : "last";
  const std::string& form = invocation.text("output");
  if (form == "events") {
    RUNINK_RETURN_IF_ERROR(write_output(invocation, RUNINK_TRY(events_of(past, words))));
    return kExitDone;
  }
  ledger::LineageGraph graph =
      RUNINK_TRY(ledger::load_lineage_of_run(past.ledger, RUNINK_TRY(past.ledger.find_run(words))));
  graph.set_display_root(past.project.root() + "/");
  RUNINK_RETURN_IF_ERROR(
      write_output(invocation, drawn(invocation.enabled("columns") ? graph : graph.without_columns(), form)));
  return kExitDone;
}

Result<int> run_query(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  std::vector<Status> problems;
  ledger::LineageGraph graph = RUNINK_TRY(ledger::load_lineage_graph(past.ledger, &problems));
  for (const Status& problem : problems) invocation.console().warn(problem.to_string());
  graph.set_display_root(past.project.root() + "/");
  const std::string& direction_word = invocation.text("direction");
  const auto direction = direction_word == "up"     ? ledger::LineageDirection::kUpstream
                         : direction_word == "down" ? ledger::LineageDirection::kDownstream
                                                    : ledger::LineageDirection::kBoth;
  size_t node = RUNINK_TRY(graph.find(invocation.text("WHAT")));
  const bool columns = invocation.enabled("columns") || graph.nodes()[node].kind == ledger::LineageNodeKind::kColumn;
  const std::string& form = invocation.text("output");
  if (form == "text") {
    std::string text;
    const ledger::LineageGraph shown = columns ? graph : graph.without_columns();
    node = RUNINK_TRY(shown.find(invocation.text("WHAT")));
    if (direction != ledger::LineageDirection::kDownstream) {
      text += "comes from\n" + shown.to_text_tree(node, ledger::LineageDirection::kUpstream);
    }
    if (direction != ledger::LineageDirection::kUpstream) {
      text += "goes to\n" + shown.to_text_tree(node, ledger::LineageDirection::kDownstream);
    }
    RUNINK_RETURN_IF_ERROR(write_output(invocation, text));
    return kExitDone;
  }
  ledger::LineageGraph part = graph.slice(node, direction, columns);
  part.set_display_root(past.project.root() + "/");
  RUNINK_RETURN_IF_ERROR(write_output(invocation, drawn(part, form)));
  return kExitDone;
}

Command query_command() {
  std::vector<Flag> flags = lineage_flags(false);
  flags.push_back({.name = "direction",
                   .letter = 'd',
                   .type = ValueType::kText,
                   .value_name = "WHICH",
                   .help = "where it comes from, where it goes to, or both",
                   .default_value = "both",
                   .choices = {"up", "down", "both"}});
  return {
      .name = "query",
      .group = "runs",
      .summary = "ask where a data set, job or column comes from and goes to",
      .description =
          "Over all runs of the project. A column is written as DATASET:COLUMN; a filter, join or sort that decides "
          "which rows "
          "are there counts as a source of every column.",
      .positionals = {{.name = "WHAT",
                       .help = "a data set (out/punctuality.csv), a scenario, or a column (out/flights.ndjson:route)",
                       .completion = Completion::kFile}},
      .flags = flags,
      .examples = {{"runi lineage query out/punctuality.csv:late -d up", "What is this column made of?"},
                   {"runi lineage query data/airports.csv -d down", "Who would notice if this file changed?"}},
      .run = run_query};
}

}  // namespace

Command lineage_command() {
  return {.name = "lineage",
          .group = "runs",
          .summary = "show where data of a run came from and went",
          .description =
              "Of a run: its jobs with their inputs and outputs, as text, as a drawing (dot, svg), as JSON, or as the "
              "OpenLineage "
              "2.0.2 events that it wrote.",
          .positionals = {run_positional(true)},
          .flags = lineage_flags(true),
          .examples = {{"runi lineage", "Of the last run."},
                       {"runi lineage last -o svg -c -O lineage.svg", "Draw it with columns."},
                       {"runi lineage -o events", "The OpenLineage events."}},
          .subcommands = {query_command()},
          .run = run_lineage};
}

}  // namespace runink::cli
