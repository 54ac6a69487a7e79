#include "data/columnar/builder.h"

#include <limits>

#include "base/check.h"

namespace runink::columnar {

namespace {

// Calls `use` with a value of an unsigned type as wide as the column's values.
template <typename F>
void with_width(int width, F&& use) {
  switch (width) {
    case 1: use(uint8_t{}); break;
    case 2: use(uint16_t{}); break;
    case 4: use(uint32_t{}); break;
    case 8: use(uint64_t{}); break;
    case 16: use(static_cast<unsigned __int128>(0)); break;
    default: RUNINK_CHECK(false);
  }
}

template <typename T>
T narrowed(int64_t value) {
  RUNINK_CHECK(value >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
               value <= static_cast<int64_t>(std::numeric_limits<T>::max()));
  return static_cast<T>(value);
}

template <typename T>
T narrowed_unsigned(uint64_t value) {
  RUNINK_CHECK(value <= static_cast<uint64_t>(std::numeric_limits<T>::max()));
  return static_cast<T>(value);
}

}  // namespace

ColumnBuilder::ColumnBuilder(DataType type, int64_t capacity) : type_(std::move(type)), width_(type_.width()) {
  if (type_.id() == TypeId::kList) {
    children_.emplace_back(type_.element(), capacity);
  } else if (type_.id() == TypeId::kStruct) {
    for (const auto& field : type_.fields()) children_.emplace_back(field.type, capacity);
  }
  if (capacity > 0) grow(capacity);
}

void ColumnBuilder::reserve(int64_t rows) {
  if (rows > capacity_) grow(rows);
}

void ColumnBuilder::grow(int64_t rows) {
  int64_t capacity = capacity_ * 2;
  if (capacity < rows) capacity = rows;
  if (capacity < 64) capacity = 64;
  const auto n = static_cast<size_t>(capacity);
  const bool has_offsets = type_.is_text() || type_.id() == TypeId::kList;
  if (width_ > 0 || type_.is_text()) {
    if (!values_) values_ = make_buffer(0);
  }
  if (width_ > 0) values_->resize(n * static_cast<size_t>(width_));
  if (has_offsets) {
    const bool fresh = offsets_ == nullptr;
    if (fresh) offsets_ = make_buffer(0);
    offsets_->resize((n + 1) * sizeof(int32_t));
    if (fresh) offsets_->as<int32_t>()[0] = 0;
  }
  if (validity_) {
    const size_t old = bitmap_bytes(capacity_);
    validity_->resize(bitmap_bytes(capacity));
    std::memset(validity_->data() + old, 0, validity_->size() - old);
  }
  capacity_ = capacity;
}

void ColumnBuilder::start_validity() {
  if (validity_) return;
  validity_ = make_buffer(bitmap_bytes(capacity_));
  validity_->zero();
  std::memset(validity_->data(), 0xFF, static_cast<size_t>(length_ / 8));
  for (int64_t i = length_ / 8 * 8; i < length_; ++i) set_bit(validity_->data(), i);
}

void ColumnBuilder::text_overflow() {
  check_failed(__FILE__, __LINE__, "a text column passes 2^31 - 1 bytes; ask text_room() before appending");
}

void ColumnBuilder::append_null() {
  ++null_count_;
  if (type_.id() == TypeId::kNull) {
    ++length_;
    return;
  }
  if (length_ == capacity_) grow(length_ + 1);
  start_validity();
  if (width_ > 0) {
    std::memset(values_->data() + static_cast<size_t>(length_) * static_cast<size_t>(width_), 0,
                static_cast<size_t>(width_));
  } else if (offsets_) {
    offsets_->as<int32_t>()[length_ + 1] = offsets_->as<int32_t>()[length_];
  } else {
    for (auto& child : children_) child.append_null();
  }
  ++length_;  // the bit is still 0
}

void ColumnBuilder::append_bool(bool value) {
  RUNINK_CHECK(type_.id() == TypeId::kBool);
  append_fixed<uint8_t>(value ? 1 : 0);
}

void ColumnBuilder::append_int64(int64_t value) {
  switch (type_.id()) {
    case TypeId::kInt8: append_fixed(narrowed<int8_t>(value)); break;
    case TypeId::kInt16: append_fixed(narrowed<int16_t>(value)); break;
    case TypeId::kInt32:
    case TypeId::kDate: append_fixed(narrowed<int32_t>(value)); break;
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration: append_fixed(value); break;
    case TypeId::kUInt8:
    case TypeId::kUInt16:
    case TypeId::kUInt32:
    case TypeId::kUInt64:
      RUNINK_CHECK(value >= 0);
      append_uint64(static_cast<uint64_t>(value));
      break;
    case TypeId::kFloat32: append_fixed(static_cast<float>(value)); break;
    case TypeId::kFloat64: append_fixed(static_cast<double>(value)); break;
    case TypeId::kDecimal:
      RUNINK_CHECK(type_.scale() == 0);
      append_fixed(static_cast<int128>(value));
      break;
    case TypeId::kEnum:
      RUNINK_CHECK(value >= 0 && value < static_cast<int64_t>(type_.labels().size()));
      append_fixed(static_cast<int32_t>(value));
      break;
    default: check_failed(__FILE__, __LINE__, "an integer appended to a column that holds none");
  }
}

void ColumnBuilder::append_uint64(uint64_t value) {
  switch (type_.id()) {
    case TypeId::kUInt8: append_fixed(narrowed_unsigned<uint8_t>(value)); break;
    case TypeId::kUInt16: append_fixed(narrowed_unsigned<uint16_t>(value)); break;
    case TypeId::kUInt32: append_fixed(narrowed_unsigned<uint32_t>(value)); break;
    case TypeId::kUInt64: append_fixed(value); break;
    case TypeId::kFloat32: append_fixed(static_cast<float>(value)); break;
    case TypeId::kFloat64: append_fixed(static_cast<double>(value)); break;
    case TypeId::kDecimal:
      RUNINK_CHECK(type_.scale() == 0);
      append_fixed(static_cast<int128>(value));
      break;
    default: append_int64(narrowed_unsigned<int64_t>(value));
  }
}

void ColumnBuilder::append_double(double value) {
  if (type_.id() == TypeId::kFloat32) {
    append_fixed(static_cast<float>(value));
  } else {
    RUNINK_CHECK(type_.id() == TypeId::kFloat64);
    append_fixed(value);
  }
}

void ColumnBuilder::append_decimal(int128 value) {
  RUNINK_CHECK(type_.id() == TypeId::kDecimal);
  append_fixed(value);
}

void ColumnBuilder::append_string(std::string_view value) {
  if (type_.is_text()) {
    append_text(value);
  } else if (type_.id() == TypeId::kUuid) {
    RUNINK_CHECK(value.size() == 16);
    unsigned __int128 raw;
    std::memcpy(&raw, value.data(), 16);
    append_fixed(raw);
  } else {
    RUNINK_CHECK(type_.id() == TypeId::kEnum);
    const auto& labels = type_.labels();
    size_t index = 0;
    while (index < labels.size() && labels[index] != value) ++index;
    RUNINK_CHECK(index < labels.size());
    append_fixed(static_cast<int32_t>(index));
  }
}

void ColumnBuilder::append_value(const Value& value) {
  switch (value.data.index()) {
    case 0: append_null(); return;
    case 1: append_bool(value.as_bool()); return;
    case 2: append_int64(value.as_int64()); return;
    case 3: append_uint64(value.as_uint64()); return;
    case 4: append_double(value.as_double()); return;
    case 5: append_decimal(value.as_decimal()); return;
    case 6: append_string(value.as_string()); return;
    default: break;
  }
  const auto& parts = value.as_vector();
  if (type_.id() == TypeId::kList) {
    for (const auto& part : parts) children_[0].append_value(part);
    close_list();
  } else {
    RUNINK_CHECK(type_.id() == TypeId::kStruct && parts.size() == children_.size());
    for (size_t i = 0; i < parts.size(); ++i) children_[i].append_value(parts[i]);
    close_struct();
  }
}

void ColumnBuilder::append_from(const Column& column, int64_t row) {
  if (column.is_null(row)) {
    append_null();
  } else if (width_ > 0) {
    with_width(width_, [&](auto zero) { append_fixed(column.data<decltype(zero)>()[row]); });
  } else if (type_.is_text()) {
    append_text(column.text(row));
  } else if (type_.id() == TypeId::kList) {
    const int32_t* o = column.offset_data();
    children_[0].append_rows(column.children[0], o[row], o[row + 1] - o[row]);
    close_list();
  } else {
    for (size_t i = 0; i < children_.size(); ++i) children_[i].append_from(column.children[i], row);
    close_struct();
  }
}

void ColumnBuilder::append_rows(const Column& column, int64_t first, int64_t count) {
  RUNINK_CHECK(first >= 0 && count >= 0 && first + count <= column.length);
  if (width_ > 0 && !column.may_have_nulls() && !validity_) {
    if (length_ + count > capacity_) grow(length_ + count);
    const auto w = static_cast<size_t>(width_);
    std::memcpy(values_->data() + static_cast<size_t>(length_) * w,
                column.values->data() + static_cast<size_t>(first) * w, static_cast<size_t>(count) * w);
    length_ += count;
    return;
  }
  for (int64_t i = 0; i < count; ++i) append_from(column, first + i);
}

char* ColumnBuilder::reserve_text(size_t bytes) {
  if (length_ == capacity_) grow(length_ + 1);
  const size_t at = values_->size();
  if (at + bytes > kMaxTextBytes) text_overflow();
  values_->reserve(at + bytes);
  return reinterpret_cast<char*>(values_->data()) + at;
}

void ColumnBuilder::commit_text(size_t bytes) {
  const size_t at = values_->size() + bytes;
  values_->resize(at);
  offsets_->as<int32_t>()[length_ + 1] = static_cast<int32_t>(at);
  mark_valid();
}

void ColumnBuilder::close_list() {
  if (length_ == capacity_) grow(length_ + 1);
  const int64_t end = children_[0].length();
  RUNINK_CHECK(end <= static_cast<int64_t>(kMaxTextBytes));
  offsets_->as<int32_t>()[length_ + 1] = static_cast<int32_t>(end);
  mark_valid();
}

void ColumnBuilder::close_struct() {
  if (length_ == capacity_) grow(length_ + 1);
  mark_valid();
  for (const auto& child : children_) RUNINK_CHECK(child.length() == length_);
}

void ColumnBuilder::truncate(int64_t rows) {
  RUNINK_CHECK(rows >= 0 && rows <= length_);
  if (type_.id() == TypeId::kNull) {
    null_count_ = length_ = rows;
    return;
  }
  if (validity_) {
    for (int64_t i = rows; i < length_; ++i) {
      if (!get_bit(validity_->data(), i)) --null_count_;
      clear_bit(validity_->data(), i);
    }
  }
  length_ = rows;
  const int64_t end = offsets_ ? offsets_->as<int32_t>()[rows] : 0;
  if (type_.is_text()) {
    if (values_) values_->resize(static_cast<size_t>(end));
  } else if (type_.id() == TypeId::kList) {
    children_[0].truncate(end);
  } else if (type_.id() == TypeId::kStruct) {
    for (auto& child : children_) {
      if (child.length() > rows) child.truncate(rows);
    }
  }
}

Column ColumnBuilder::finish() {
  if (capacity_ == 0) grow(1);
  Column out;
  out.type = type_;
  out.length = length_;
  if (width_ > 0) values_->resize(static_cast<size_t>(length_) * static_cast<size_t>(width_));
  if (offsets_) offsets_->resize(static_cast<size_t>(length_ + 1) * sizeof(int32_t));
  if (null_count_ > 0 && validity_) {
    validity_->resize(bitmap_bytes(length_));
    out.validity = std::move(validity_);
  }
  out.values = std::move(values_);
  out.offsets = std::move(offsets_);
  for (auto& child : children_) out.children.push_back(child.finish());
  values_ = offsets_ = validity_ = nullptr;
  length_ = capacity_ = null_count_ = 0;
  return out;
}

BatchBuilder::BatchBuilder(SchemaPtr schema, int64_t capacity) : schema_(std::move(schema)) {
  for (const auto& field : schema_->fields()) columns_.emplace_back(field.type, capacity);
}

void BatchBuilder::append_row(const std::vector<Value>& values) {
  RUNINK_CHECK(values.size() == columns_.size());
  for (size_t i = 0; i < values.size(); ++i) columns_[i].append_value(values[i]);
}

void BatchBuilder::append_row(const Batch& batch, int64_t row) {
  RUNINK_CHECK(batch.columns.size() == columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) columns_[i].append_from(batch.columns[i], row);
}

Batch BatchBuilder::finish() {
  Batch out;
  out.schema = schema_;
  out.rows = rows();
  for (auto& column : columns_) {
    RUNINK_CHECK(column.length() == out.rows);
    out.columns.push_back(column.finish());
  }
  return out;
}

Column make_column(const DataType& type, const std::vector<Value>& values) {
  ColumnBuilder builder(type, static_cast<int64_t>(values.size()));
  for (const auto& value : values) builder.append_value(value);
  return builder.finish();
}

Batch make_batch(std::vector<Field> fields, const std::vector<std::vector<Value>>& rows) {
  BatchBuilder builder(std::make_shared<Schema>(std::move(fields)), static_cast<int64_t>(rows.size()));
  for (const auto& row : rows) builder.append_row(row);
  return builder.finish();
}

}  // namespace runink::columnar
