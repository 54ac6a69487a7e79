#include "data/expr/kernel.h"

#include "base/text.h"

namespace runink::expr {

BufferPtr combined_validity(const Arg* args, size_t count, int64_t rows) {
  BufferPtr bits;
  for (size_t i = 0; i < count; ++i) {
    const Column& column = *args[i].column;
    if (!column.may_have_nulls()) continue;
    if (args[i].constant || column.type.id() == TypeId::kNull) {
      if (column.is_valid(0)) continue;
      auto none = columnar::make_buffer(columnar::bitmap_bytes(rows));
      none->zero();
      return none;
    }
    bits = columnar::and_validity(bits, column.validity, rows);
  }
  return bits;
}

void own_validity(Column* column) {
  const size_t bytes = columnar::bitmap_bytes(column->length);
  auto fresh = columnar::make_buffer(bytes);
  if (column->validity != nullptr) {
    std::memcpy(fresh->data(), column->validity->data(), bytes);
  } else {
    std::memset(fresh->data(), 0xFF, bytes);
  }
  column->validity = std::move(fresh);
}

std::string error_text(const Node& node, std::string_view what) {
  std::string text = node.source ? to_text(*node.source) : node.function;
  constexpr size_t kMost = 80;
  if (count_code_points(text) > kMost) text = std::string(code_point_slice(text, 0, kMost - 1)) + "…";
  return fmt::format("{}: {}", text, what);
}

void fail_row(const Node& node, Frame& frame, int64_t row, std::string_view what) {
  if (frame.active != nullptr && frame.active[row] == 0) return;
  frame.errors->push_back({row, error_text(node, what)});
}

void fail_marked(const Node& node, Frame& frame, const uint8_t* marked, const char* what, Column* out) {
  std::string message;
  bool owned = false;
  for (int64_t i = 0; i < frame.rows; ++i) {
    if (marked[i] == 0 || out->is_null(i)) continue;
    if (!owned) own_validity(out);
    owned = true;
    columnar::clear_bit(out->validity->data(), i);
    if (frame.active != nullptr && frame.active[i] == 0) continue;
    if (message.empty()) message = error_text(node, what);
    frame.errors->push_back({i, message});
  }
}

Column broadcast(const Column& constant, int64_t rows) {
  const std::vector<int32_t> zeros(static_cast<size_t>(rows), 0);
  if (constant.type.is_text() && constant.length > 0 && constant.is_valid(0)) {
    // A constant is bounded, its repetition need not be.
    const size_t size = constant.text(0).size();
    RUNINK_CHECK(size * static_cast<size_t>(rows) <= columnar::ColumnBuilder::kMaxTextBytes);
  }
  return columnar::gather(constant, zeros);
}

}  // namespace runink::expr
