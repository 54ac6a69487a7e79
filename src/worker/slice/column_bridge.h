// Columns across the step ABI (runink/step/abi.h): lent to a step as they are, copied from it with every value checked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "runink/step/abi.h"

namespace runink::slice {

// Columns as a step sees them. Nothing is copied: the columns must outlive the view. Not to be moved while in use by a
// step. One thread at a time.
class ColumnViews {
 public:
  void add(const columnar::Column& column) { top_.push_back(make(column)); }
  const runink_step_column* data() const { return top_.data(); }
  size_t size() const { return top_.size(); }

 private:
  runink_step_column make(const columnar::Column& column);
  std::vector<runink_step_column> top_;
  std::vector<std::unique_ptr<runink_step_column[]>> children_;
};

// A copy of a column that a step made, `rows` long. A step's memory is as good as its code, so everything that later code
// relies on is checked: lengths, offsets, UTF-8, JSON, labels, digits of decimals, finite floats, times of a day, nulls where
// `nullable` is false. Errors (kInvalidArgument) name the column and the row of the answer.
Result<columnar::Column> copy_column(const runink_step_column& from, const columnar::DataType& type, bool nullable, int64_t rows,
                                     const std::string& name);

}  // namespace runink::slice
