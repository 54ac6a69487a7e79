// What the NDJSON and CSV writers share: one column prepared for writing, and its values as text.
#pragma once

#include <string>
#include <vector>

#include "data/columnar/batch.h"
#include "data/columnar/text.h"
#include "data/connectors/out_cursor.h"

namespace runink::connectors {

// A field and, while a batch is written, the column that holds it.
struct WriteField {
  columnar::Field field;
  std::shared_ptr<const columnar::FieldText> text;
  std::vector<std::string> labels_json, labels_plain;  // of an enum, ready to copy, padded for put_small or put

  const columnar::Column* column = nullptr;
  const uint8_t* values = nullptr;
  const int32_t* offsets = nullptr;
  const uint8_t* validity = nullptr;
  bool all_null = false;

  static Result<WriteField> make(const columnar::Field& field);
  void attach(const columnar::Column& of);
  bool is_null(int64_t row) const { return all_null || (validity != nullptr && !columnar::get_bit(validity, row)); }
  std::string_view text_at(int64_t row) const {
    return {reinterpret_cast<const char*>(values) + offsets[row], static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
  template <typename T>
  T value(int64_t row) const {
    T v;
    std::memcpy(&v, values + static_cast<size_t>(row) * sizeof(T), sizeof(T));
    return v;
  }
};

// A number, bool, date, time, uuid … without quotes; not for text, enum, list or struct. Room for kScalarRoom bytes
// plus the format's width must be ensured. False if JSON has no such number (NaN, infinity): nothing is written then.
inline constexpr size_t kScalarRoom = 64;
bool write_scalar(const WriteField& field, int64_t row, OutCursor& out);
size_t scalar_room(const WriteField& field);
// True if JSON writes the type in quotes.
bool is_quoted_in_json(columnar::TypeId id);

// Bits of 16 bytes that JSON cannot have in a string as they are.
inline unsigned must_escape(__m128i v) {
  const __m128i low = _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8(0x1F)), _mm_set1_epi8(0x1F));
  const __m128i any =
      _mm_or_si128(low, _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
  return static_cast<unsigned>(_mm_movemask_epi8(any));
}

// `text`, which must be followed by 64 readable bytes, as a JSON string with quotes. Ensures its own room.
void write_long_json_string(std::string_view text, OutCursor& out);
inline void write_json_string(std::string_view text, OutCursor& out) {
  if (__builtin_expect(text.size() <= 16, 1)) {
    out.ensure(18);
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data()));
    char* const at = out.at();
    *at = '"';
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at + 1), v);
    at[1 + text.size()] = '"';
    if (__builtin_expect((must_escape(v) & ((1u << text.size()) - 1)) == 0, 1)) {
      out.move_to(at + text.size() + 2);
      return;
    }
  }
  write_long_json_string(text, out);
}
// JSON text on one line: line breaks between its tokens become spaces. Ensures its own room.
void write_json_on_one_line(std::string_view json, OutCursor& out);

}  // namespace runink::connectors
