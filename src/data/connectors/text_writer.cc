#include "data/connectors/text_writer.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace runink::connectors {

using columnar::TypeId;

Result<WriteField> WriteField::make(const columnar::Field& field) {
  WriteField out;
  out.field = field;
  out.text = std::make_shared<const columnar::FieldText>(
      RUNINK_TRY_CONTEXT(columnar::FieldText::make(field), "prepare the writer of field " + field.name));
  if (field.type.id() == TypeId::kEnum) {
    for (const std::string& label : field.type.labels()) {
      out.labels_plain.push_back(label);
      out.labels_json.push_back(json_quote(label));
    }
  }
  return out;
}

void WriteField::attach(const columnar::Column& of) {
  column = &of;
  values = of.values ? of.values->data() : nullptr;
  offsets = of.offsets ? of.offset_data() : nullptr;
  validity = of.validity ? of.validity->data() : nullptr;
  all_null = of.type.id() == TypeId::kNull;
}

bool is_quoted_in_json(TypeId id) {
  switch (id) {
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
    case TypeId::kUuid:
      return true;
    default:
      return false;
  }
}

size_t scalar_room(const WriteField& field) {
  return kScalarRoom + (field.text->format() != nullptr ? field.text->format()->max_width() : 0);
}

bool write_scalar(const WriteField& f, int64_t row, OutCursor& out) {
  using namespace columnar;
  char* const at = out.at();
  const auto formatted = [&](int64_t value) { out.move_to(f.text->format()->write(at, value)); };
  switch (f.field.type.id()) {
    case TypeId::kBool: {
      static constexpr char kWords[2][16] = {"false", "true"};
      const bool value = f.values[row] != 0;
      out.put_small({kWords[value], value ? 4u : 5u});
      return true;
    }
    case TypeId::kInt8:
      out.move_to(write_int64(at, f.value<int8_t>(row)));
      return true;
    case TypeId::kInt16:
      out.move_to(write_int64(at, f.value<int16_t>(row)));
      return true;
    case TypeId::kInt32:
      out.move_to(write_int64(at, f.value<int32_t>(row)));
      return true;
    case TypeId::kInt64:
      out.move_to(write_int64(at, f.value<int64_t>(row)));
      return true;
    case TypeId::kUInt8:
      out.move_to(write_uint64(at, f.value<uint8_t>(row)));
      return true;
    case TypeId::kUInt16:
      out.move_to(write_uint64(at, f.value<uint16_t>(row)));
      return true;
    case TypeId::kUInt32:
      out.move_to(write_uint64(at, f.value<uint32_t>(row)));
      return true;
    case TypeId::kUInt64:
      out.move_to(write_uint64(at, f.value<uint64_t>(row)));
      return true;
    case TypeId::kFloat32: {
      const auto value = f.value<float>(row);
      if (!std::isfinite(value)) return false;
      out.move_to(write_float(at, value));
      return true;
    }
    case TypeId::kFloat64: {
      const auto value = f.value<double>(row);
      if (!std::isfinite(value)) return false;
      out.move_to(write_double(at, value));
      return true;
    }
    case TypeId::kDecimal:
      out.move_to(write_decimal(at, f.value<int128>(row), f.field.type.scale()));
      return true;
    case TypeId::kDate:
      if (f.text->format() != nullptr) {
        formatted(f.value<int32_t>(row));
      } else {
        out.move_to(write_date(at, f.value<int32_t>(row)));
      }
      return true;
    case TypeId::kTime:
      if (f.text->format() != nullptr) {
        formatted(f.value<int64_t>(row));
      } else {
        out.move_to(write_time(at, f.value<int64_t>(row)));
      }
      return true;
    case TypeId::kTimestamp:
      if (f.text->format() != nullptr) {
        formatted(f.value<int64_t>(row));
      } else {
        out.move_to(write_timestamp(at, f.value<int64_t>(row)));
      }
      return true;
    case TypeId::kDuration: {
      std::string text;
      append_duration(text, f.value<int64_t>(row));
      out.put(text);
      return true;
    }
    case TypeId::kUuid:
      out.move_to(write_uuid(at, f.values + static_cast<size_t>(row) * 16));
      return true;
    default:
      return false;
  }
}

namespace {

void write_escape(char c, OutCursor& out) {
  out.put('\\');
  switch (c) {
    case '"':
    case '\\':
      out.put(c);
      return;
    case '\n':
      out.put('n');
      return;
    case '\r':
      out.put('r');
      return;
    case '\t':
      out.put('t');
      return;
    case '\b':
      out.put('b');
      return;
    case '\f':
      out.put('f');
      return;
    default: {
      static constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      out.put("u00");
      out.put(kHex[byte >> 4]);
      out.put(kHex[byte & 15]);
    }
  }
}

}  // namespace

void write_long_json_string(std::string_view text, OutCursor& out) {
  out.ensure(text.size() + 2);
  out.put('"');
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out.at()), v);
    const auto left = static_cast<size_t>(end - p);
    unsigned special = must_escape(v);
    if (left < 16) special &= (1u << left) - 1;
    if (__builtin_expect(special == 0, 1)) {
      const size_t step = left < 16 ? left : 16;
      out.move_to(out.at() + step);
      p += step;
      continue;
    }
    const unsigned plain = static_cast<unsigned>(__builtin_ctz(special));
    out.move_to(out.at() + plain);
    write_escape(p[plain], out);
    p += plain + 1;
    out.ensure(static_cast<size_t>(end - p) + 2);
  }
  out.put('"');
}

void write_json_on_one_line(std::string_view json, OutCursor& out) {
  out.ensure(json.size());
  char* const at = out.at();
  out.put(json);
  if (std::find_if(at, out.at(), [](char c) { return c == '\n' || c == '\r'; }) == out.at()) return;
  // JSON strings hold no raw line breaks, so these stand between tokens.
  for (char* p = at; p < out.at(); ++p) {
    if (*p == '\n' || *p == '\r') *p = ' ';
  }
}

}  // namespace runink::connectors
