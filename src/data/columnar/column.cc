#include "data/columnar/column.h"

#include <bit>

namespace runink::columnar {

int64_t Column::null_count() const {
  if (type.id() == TypeId::kNull) return length;
  if (validity == nullptr) return 0;
  int64_t valid = 0;
  const uint8_t* bits = validity->data();
  for (int64_t i = 0; i < length / 8; ++i) valid += std::popcount(bits[i]);
  for (int64_t i = length / 8 * 8; i < length; ++i) valid += get_bit(bits, i);
  return length - valid;
}

size_t Column::byte_size() const {
  size_t total = sizeof(Column);
  for (const auto& buffer : {validity, values, offsets}) {
    if (buffer) total += buffer->capacity();
  }
  for (const auto& child : children) total += child.byte_size();
  return total;
}

Column make_fixed_column(DataType type, int64_t length) {
  Column c;
  const auto bytes = static_cast<size_t>(type.width()) * static_cast<size_t>(length);
  c.type = std::move(type);
  c.length = length;
  c.values = make_buffer(bytes);
  return c;
}

Column make_null_column(DataType type, int64_t length) {
  Column c;
  c.length = length;
  if (type.id() != TypeId::kNull) {
    c.validity = make_buffer(bitmap_bytes(length));
    c.validity->zero();
    if (type.is_text() || type.id() == TypeId::kList) {
      c.offsets = make_buffer(sizeof(int32_t) * static_cast<size_t>(length + 1));
      c.offsets->zero();
      c.values = make_buffer(0);
      if (type.id() == TypeId::kList) c.children.push_back(make_null_column(type.element(), 0));
    } else if (type.id() == TypeId::kStruct) {
      for (const auto& f : type.fields()) c.children.push_back(make_null_column(f.type, length));
    } else {
      c.values = make_buffer(static_cast<size_t>(type.width()) * static_cast<size_t>(length));
      c.values->zero();
    }
  }
  c.type = std::move(type);
  return c;
}

}  // namespace runink::columnar
