// What keepers come to, from their values in order.
#include <algorithm>

#include "data/columnar/kernels.h"
#include "data/engine/group_table.h"

namespace runink::engine {

SortedValues::SortedValues(const GroupShape& shape, size_t keeper, BatchList::Next next, uint64_t list_bytes_max)
    : shape_(shape), spec_(shape.aggregates[shape.keepers[keeper]]), next_(std::move(next)),
      list_bytes_max_(std::min<uint64_t>(list_bytes_max, 1u << 30)),
      value_encoder_({{expr::kept_type(spec_), false, false}}) {}

Result<bool> SortedValues::at_group(std::string_view place) {
  while (!ended_ && row_ == batch_.rows) {
    RUNINK_RETURN_IF_ERROR(shape_.check_stop());
    batch_ = Batch();
    auto batch = RUNINK_TRY(next_());
    ended_ = !batch;
    row_ = 0;
    if (ended_) break;
    batch_ = std::move(*batch);
    if (shape_.has_keys()) {
      std::vector<const columnar::Column*> columns;
      for (size_t c = 0; c + 1 < batch_.columns.size(); ++c) columns.push_back(&batch_.columns[c]);
      shape_.place_encoder.encode(columns, &places_);
    }
    if (spec_.function == expr::AggregateFunction::kDistinctCount) {
      const columnar::Column* const column = &value_column();
      value_encoder_.encode({&column, 1}, &values_);
    }
  }
  return !ended_ && (!shape_.has_keys() || places_[row_] == place);
}

Status SortedValues::append_result(std::string_view place, uint64_t count, columnar::ColumnBuilder& out) {
  switch (spec_.function) {
    case expr::AggregateFunction::kQuantile: return append_quantile(place, count, out);
    case expr::AggregateFunction::kDistinctCount: return append_distinct_count(place, out);
    default: return append_list(place, out);
  }
}

// As the accumulator has it: between the two values around the place asked for.
Status SortedValues::append_quantile(std::string_view place, uint64_t count, columnar::ColumnBuilder& out) {
  if (count == 0) {
    out.append_null();
    return {};
  }
  const double wanted = spec_.fraction * static_cast<double>(count - 1);
  const auto low = static_cast<uint64_t>(wanted);
  const double part = wanted - static_cast<double>(low);
  double result = 0;
  for (uint64_t at = 0; at < count;) {
    if (!RUNINK_TRY(at_group(place))) return internal_error("{}: the sorted values of a group are fewer than were put in", spec_.text);
    const uint64_t here = std::min<uint64_t>(count - at, static_cast<uint64_t>(batch_.rows - row_));
    const auto value = [&](uint64_t number) { return value_column().data<double>()[row_ + static_cast<int64_t>(number - at)]; };
    if (low >= at && low < at + here) result = value(low);
    if (part > 0 && low + 1 >= at && low + 1 < at + here) result = expr::between(result, value(low + 1), part);
    at += here;
    row_ += static_cast<int64_t>(here);
  }
  out.append_double(result);
  return {};
}

Status SortedValues::append_distinct_count(std::string_view place, columnar::ColumnBuilder& out) {
  int64_t count = 0;
  std::string last;
  while (RUNINK_TRY(at_group(place))) {
    // Within a batch the value before is at hand.
    if (count == 0 || values_[row_] != last) ++count;
    for (++row_; row_ < batch_.rows && (!shape_.has_keys() || places_[row_] == place); ++row_) {
      if (values_[row_] != values_[row_ - 1]) ++count;
    }
    last = values_[row_ - 1];
  }
  out.append_int64(count);
  return {};
}

Status SortedValues::append_list(std::string_view place, columnar::ColumnBuilder& out) {
  list_bytes_ = 0;
  const auto width = static_cast<size_t>(expr::kept_type(spec_).width());
  while (RUNINK_TRY(at_group(place))) {
    const auto& column = value_column();
    list_bytes_ += width > 0 ? width : column.text(row_).size() + sizeof(int32_t);
    if (list_bytes_ > list_bytes_max_) {
      return resource_exhausted("{}: the list of one group takes more than {} bytes, which is a quarter of the memory that "
                                "this step may use", spec_.text, list_bytes_max_)
          .with_hint("give the run more memory (--memory, or memory_budget in runink.toml); a list is one value, so it must "
                     "fit as a whole");
    }
    out.child().append_from(column, row_);
    ++row_;
  }
  out.close_list();
  return {};
}

}  // namespace runink::engine
