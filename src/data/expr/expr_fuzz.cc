// Fuzz target: any bytes as an expression; what checks is evaluated on the test records, and its canonical text reads
// back as itself.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "data/expr/aggregate.h"
// Fuzz targets are one file linked with the module alone, and the records are test code.
#include "data/expr/test_records.cc"  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace runink;
  using namespace runink::expr;
  if (size < 1 || size > 4096) return 0;
  ParseOptions options;
  options.table_cell = (data[0] & 1) != 0;
  options.comments = (data[0] & 2) != 0;
  options.single_equals = (data[0] & 4) != 0;
  const auto source = source_of(std::string(reinterpret_cast<const char*>(data + 1), size - 1));
  Diagnostics diagnostics;
  size_t end = 0;
  (void)parse_prefix(source, {0, size - 1}, diagnostics, &end, options);
  const ExprPtr tree = parse(source, {0, size - 1}, diagnostics, options);
  (void)diagnostics.render();
  if (!tree) {
    if (!diagnostics.has_errors()) std::abort();
    return 0;
  }
  const std::string text = to_text(*tree);
  Diagnostics again;
  const auto canonical = source_of(text);
  const ExprPtr back = parse(canonical, {0, text.size()}, again);
  // Longer than an expression may be, or deeper: parentheses and type names are written out.
  if (back && to_text(*back) != text) std::abort();

  std::vector<RowError> errors;
  const TypedExpr typed = check(tree, source, test_scope(), diagnostics);
  if (typed.valid()) {
    Evaluator evaluator(typed);
    const auto column = evaluator.evaluate(test_records(), test_context(), errors);
    if (column.ok() && column->length != test_records().rows) std::abort();
    if (column.ok()) {
      for (int64_t row = 0; row < column->length; ++row) (void)show(*column, row);
    }
  }
  const AggregateExpr aggregate = check_aggregate(tree, source, Scope(test_group().schema), {}, diagnostics);
  if (aggregate.valid()) {
    WholeAggregate whole(aggregate);
    (void)whole.update(test_group(), test_context(), errors);
    (void)whole.finish(test_context());
  }
  return 0;
}
