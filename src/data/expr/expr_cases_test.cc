// Runs the case files: an expression, and under it the type and the values on each test record, or the diagnostic.
//
//   ? delay + 1                an expression over a record      | table cell: with the escapes of a cell
//   % avg(delay)               an expression over all records   = canonical text, where it differs
//
// RUNINK_REWRITE=1 writes what comes out into the files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "data/columnar/builder.h"
#include "data/expr/aggregate.h"
#include "data/expr/test_records.h"

namespace runink::expr {
namespace {

std::string render(const Diagnostics& diagnostics) {
  std::string out;
  for (const auto& d : diagnostics.list()) {
    out += fmt::format("  {}:{} ({}) {}: {}\n", d.location.line, d.location.column, d.underline, d.code, d.message);
    for (const auto& help : d.help) out += "      help: " + help + "\n";
  }
  return out;
}

std::string canonical_line(const ExprPtr& tree, std::string_view text) {
  const std::string canonical = to_text(*tree);
  std::string out;
  if (canonical != trim(text)) out = "  = " + canonical + "\n";
  // The canonical text means the same and is its own canonical text.
  Diagnostics diagnostics;
  const auto source = source_of(canonical);
  const ExprPtr again = parse(source, {0, canonical.size()}, diagnostics);
  if (!again || to_text(*again) != canonical)
    out += "  CANONICAL TEXT DOES NOT READ BACK: " + (again ? to_text(*again) : diagnostics.render()) + "\n";
  return out;
}

std::string run_row(const std::string& text, bool table_cell) {
  Diagnostics diagnostics;
  const auto source = source_of(text);
  ParseOptions options;
  options.table_cell = table_cell;
  const ExprPtr tree = parse(source, {0, text.size()}, diagnostics, options);
  if (!tree) return render(diagnostics);
  const TypedExpr typed = check(tree, source, test_scope(), diagnostics);
  if (!typed.valid()) return render(diagnostics);
  std::string out = canonical_line(tree, text);
  Evaluator evaluator(typed);
  std::vector<RowError> errors;
  const auto column = evaluator.evaluate(test_records(), test_context(), errors);
  if (!column.ok()) return out + "  fails: " + column.status().to_string() + "\n";
  out += fmt::format("  {}{}:", typed.type().to_string(), typed.nullable() ? "?" : "");
  for (int64_t row = 0; row < column->length; ++row) {
    std::string value = show(*column, row);
    for (const auto& error : errors) {
      if (error.row == row) value = "!" + error.message;
    }
    out += (row == 0 ? " " : " | ") + value;
  }
  return out + "\n";
}

std::string run_aggregate(const std::string& text) {
  Diagnostics diagnostics;
  const auto source = source_of(text);
  const ExprPtr tree = parse(source, {0, text.size()}, diagnostics);
  if (!tree) return render(diagnostics);
  const AggregateExpr typed = check_aggregate(tree, source, Scope(test_group().schema), {}, diagnostics);
  if (!typed.valid()) return render(diagnostics);
  std::string out = canonical_line(tree, text);
  WholeAggregate whole(typed);
  std::vector<RowError> errors;
  const Status status = whole.update(test_group(), test_context(), errors);
  if (!status.ok()) return out + "  fails: " + status.to_string() + "\n";
  const auto value = whole.finish(test_context());
  if (!value.ok()) return out + "  fails: " + value.status().to_string() + "\n";
  const auto column = columnar::make_column(typed.result.type(), {*value});
  out +=
      fmt::format("  {}{}: {}", typed.result.type().to_string(), typed.result.nullable() ? "?" : "", show(column, 0));
  for (const auto& spec : typed.aggregates) out += spec.order_sensitive ? " (in order: " + spec.text + ")" : "";
  for (const auto& error : errors) out += fmt::format(" !{}: {}", error.row, error.message);
  return out + "\n";
}

class Cases : public testing::TestWithParam<const char*> {};

TEST_P(Cases, AsWritten) {
  const std::string path = std::string("testdata/") + GetParam() + ".cases";
  std::ifstream in(path);
  ASSERT_TRUE(in.good()) << path;
  std::stringstream whole;
  whole << in.rdbuf();
  const std::string wanted = whole.str();
  std::string got;
  size_t cases = 0;
  for (const auto line_view : split(wanted, '\n')) {
    const std::string line(line_view);
    if (line.starts_with("  ")) continue;
    got += line + "\n";
    if (line.starts_with("? ")) got += run_row(line.substr(2), false);
    if (line.starts_with("| ")) got += run_row(line.substr(2), true);
    if (line.starts_with("% ")) got += run_aggregate(line.substr(2));
    cases += line.starts_with("? ") || line.starts_with("| ") || line.starts_with("% ") ? 1 : 0;
  }
  if (got.ends_with("\n\n")) got.pop_back();
  EXPECT_GT(cases, 0u);
  if (std::getenv("RUNINK_REWRITE") != nullptr) {
    std::ofstream(path) << got;
    return;
  }
  EXPECT_EQ(got, wanted) << "run with RUNINK_REWRITE=1 to accept";
}

INSTANTIATE_TEST_SUITE_P(Files, Cases,
                         testing::Values("arithmetic", "compare", "logic", "cast", "text", "time", "other", "aggregate",
                                         "syntax", "mistakes"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace runink::expr
