#include "worker/slice/column_bridge.h"

#include <cmath>

#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::slice {

using columnar::Column;
using columnar::DataType;
using columnar::TypeId;

runink_step_column ColumnViews::make(const Column& column) {
  runink_step_column view = {};
  view.length = static_cast<uint64_t>(column.length);
  if (column.validity) view.validity = column.validity->data();
  if (column.values) {
    view.values = column.values->data();
    view.value_bytes = column.values->size();
  }
  if (column.offsets) view.offsets = column.offsets->as<int32_t>();
  if (!column.children.empty()) {
    auto children = std::make_unique<runink_step_column[]>(column.children.size());
    for (size_t i = 0; i < column.children.size(); ++i) children[i] = make(column.children[i]);
    view.children = children.get();
    view.child_count = column.children.size();
    children_.push_back(std::move(children));
  }
  return view;
}

namespace {

constexpr int64_t kDayMicros = 86'400'000'000;

class Copier {
 public:
  Copier(const runink_step_column& from, const DataType& type, const std::string& name) : from_(from), type_(type), name_(name) {
    out_.type = type;
  }

  Result<Column> copy(bool nullable, int64_t rows) {
    if (from_.length != static_cast<uint64_t>(rows)) return broken(fmt::format("has {} values for {} rows", from_.length, rows));
    out_.length = rows;
    RUNINK_RETURN_IF_ERROR(copy_validity(nullable));
    if (type_.is_text()) {
      RUNINK_RETURN_IF_ERROR(copy_offsets(from_.value_bytes));
      RUNINK_RETURN_IF_ERROR(copy_text());
    } else if (type_.id() == TypeId::kList) {
      if (from_.child_count != 1) return broken("is a list without a column of elements");
      RUNINK_RETURN_IF_ERROR(copy_offsets(from_.children[0].length));
      const int64_t elements = out_.offset_data()[rows];
      if (from_.children[0].length != static_cast<uint64_t>(elements)) return broken("has elements that belong to no list");
      out_.children.push_back(RUNINK_TRY(copy_column(from_.children[0], type_.element(), true, elements, name_ + "[]")));
    } else if (type_.id() == TypeId::kStruct) {
      const auto& fields = type_.fields();
      if (from_.child_count != fields.size()) return broken(fmt::format("has {} members instead of {}", from_.child_count, fields.size()));
      for (size_t i = 0; i < fields.size(); ++i) {
        out_.children.push_back(
            RUNINK_TRY(copy_column(from_.children[i], fields[i].type, fields[i].nullable, rows, name_ + "." + fields[i].name)));
      }
    } else {
      RUNINK_RETURN_IF_ERROR(copy_fixed());
    }
    return std::move(out_);
  }

 private:
  Status broken(const std::string& how) const { return invalid_argument("its answer's column {} {}", name_, how); }
  Status bad_row(int64_t row, const std::string& how) const {
    return invalid_argument("answer {} of the batch: {} {}", row, name_, how);
  }

  Status copy_validity(bool nullable) {
    if (from_.validity == nullptr || out_.length == 0) return {};
    int64_t valid = 0, first_null = -1;
    for (int64_t row = 0; row < out_.length; ++row) {
      if (columnar::get_bit(from_.validity, row)) ++valid;
      else if (first_null < 0) first_null = row;
    }
    if (valid == out_.length) return {};
    if (!nullable) return bad_row(first_null, "is null, and the contract has it required");
    out_.validity = columnar::make_buffer(columnar::bitmap_bytes(out_.length));
    std::memcpy(out_.validity->data(), from_.validity, columnar::bitmap_bytes(out_.length));
    return {};
  }

  // Offsets must be ascending and end within `limit`.
  Status copy_offsets(uint64_t limit) {
    const auto count = static_cast<size_t>(out_.length) + 1;
    out_.offsets = columnar::make_buffer(count * sizeof(int32_t));
    int32_t* to = out_.offsets->as<int32_t>();
    to[0] = 0;
    if (out_.length == 0) return {};
    if (from_.offsets == nullptr) return broken("has no offsets");
    std::memcpy(to, from_.offsets, count * sizeof(int32_t));
    if (to[0] != 0) return broken("has offsets that do not begin with 0");
    for (size_t i = 1; i < count; ++i) {
      if (to[i] < to[i - 1]) return bad_row(static_cast<int64_t>(i) - 1, "has descending offsets");
    }
    if (static_cast<uint64_t>(to[count - 1]) > limit) return broken("has offsets beyond its values");
    return {};
  }

  Status copy_text() {
    const auto bytes = static_cast<size_t>(out_.offset_data()[out_.length]);
    out_.values = columnar::make_buffer(bytes);
    if (bytes > 0) {
      if (from_.values == nullptr) return broken("has no values");
      std::memcpy(out_.values->data(), from_.values, bytes);
    }
    if (type_.id() == TypeId::kBytes) return {};
    for (int64_t row = 0; row < out_.length; ++row) {
      if (!is_valid_utf8(out_.text(row))) return bad_row(row, "is not UTF-8");
      if (type_.id() == TypeId::kJson && out_.is_valid(row) && !columnar::is_valid_json(out_.text(row))) {
        return bad_row(row, "is not JSON: " + escape_control(out_.text(row).substr(0, 60)));
      }
    }
    return {};
  }

  Status copy_fixed() {
    const auto width = static_cast<size_t>(type_.width());
    if (width == 0) return broken("has a type that no step can answer: " + type_.to_string());
    const size_t bytes = static_cast<size_t>(out_.length) * width;
    if (from_.value_bytes < bytes || (bytes > 0 && from_.values == nullptr)) return broken("has fewer values than rows");
    out_.values = columnar::make_buffer(bytes);
    if (bytes > 0) std::memcpy(out_.values->data(), from_.values, bytes);
    switch (type_.id()) {
      case TypeId::kBool: return check<uint8_t>([](uint8_t v) { return v <= 1; }, "is a bool that is neither 0 nor 1");
      case TypeId::kEnum:
        return check<int32_t>([n = type_.labels().size()](int32_t v) { return v >= 0 && static_cast<size_t>(v) < n; },
                              "is the number of no label of " + type_.to_string());
      case TypeId::kFloat32: return check<float>([](float v) { return std::isfinite(v); }, "is not a finite number");
      case TypeId::kFloat64: return check<double>([](double v) { return std::isfinite(v); }, "is not a finite number");
      case TypeId::kTime: return check<int64_t>([](int64_t v) { return v >= 0 && v < kDayMicros; }, "is no time of a day");
      case TypeId::kDecimal: {
        columnar::int128 limit = 1;
        for (int i = 0; i < type_.precision(); ++i) limit *= 10;
        return check<columnar::int128>([limit](columnar::int128 v) { return v < limit && v > -limit; },
                                       "has too many digits for " + type_.to_string());
      }
      default: return {};
    }
  }

  // Values of null rows are unspecified, and made zero: later code may look at them.
  template <typename T, typename Good>
  Status check(Good good, const std::string& how) {
    T* values = out_.mutable_data<T>();
    for (int64_t row = 0; row < out_.length; ++row) {
      if (out_.is_null(row)) values[row] = T{};
      else if (!good(values[row])) return bad_row(row, how);
    }
    return {};
  }

  const runink_step_column& from_;
  const DataType& type_;
  const std::string& name_;
  Column out_;
};

}  // namespace

Result<Column> copy_column(const runink_step_column& from, const DataType& type, bool nullable, int64_t rows, const std::string& name) {
  return Copier(from, type, name).copy(nullable, rows);
}

}  // namespace runink::slice
