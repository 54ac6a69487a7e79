// Some records, column by column. Part of the step SDK; include step.h.
#pragma once

#include <runink/step/column.h>

namespace runink::step {

template <typename Record>
class Batch {
 public:
  explicit Batch(const runink_step_batch& batch) : batch_(&batch) {}

  std::size_t size() const { return static_cast<std::size_t>(batch_->rows); }
  // How many records the step was sent before this batch.
  std::uint64_t first_record() const { return batch_->first_record; }

  // A column, by its member: in.column(&Flight::delay). Take it once, before the loop over rows.
  template <typename T>
  Column<T> column(T Record::*member) const {
    Record probe{};
    const void* const wanted = &(probe.*member);
    std::size_t index = 0, found = 0;
    Record::visit_members(probe, [&](auto& value) {
      if (static_cast<const void*>(&value) == wanted) found = index;
      ++index;
    });
    return Column<T>(batch_->columns[found]);
  }

  // A whole record, copied. Convenient; columns are faster.
  Record operator[](std::size_t row) const {
    Record out{};
    std::size_t index = 0;
    Record::visit_members(out, [&](auto& value) { detail::read(batch_->columns[index++], row, value); });
    return out;
  }

 private:
  const runink_step_batch* batch_;
};

}  // namespace runink::step
