// Compiled for AVX-512 (x86-64-v4); called only where the processor has it. A comparison gives one mask bit per row,
// which is the form that validity bitmaps have too: 64 rows are one word from the values to the marks.
#include <immintrin.h>

#define RUNINK_RULES_LEVEL avx512_loops
#include "data/expr/rules_kernels_generic.h"

namespace runink::expr::rules {
namespace avx512 {

#define RUNINK_INLINE __attribute__((always_inline)) inline

namespace loops = avx512_loops;

RUNINK_INLINE uint64_t valid_word(const uint8_t* validity, int64_t begin) {
  uint64_t word;
  memcpy(&word, validity + (begin >> 3), 8);
  return word;
}

RUNINK_INLINE void mark_word(uint64_t word, uint8_t* failed, uint8_t bit) {
  if (__builtin_expect(word == 0, 1)) return;
  const __m512i old = _mm512_loadu_si512(failed);
  _mm512_storeu_si512(failed, _mm512_or_si512(old, _mm512_maskz_set1_epi8(word, static_cast<char>(bit))));
}

// `word(begin)` gives the marks of 64 rows as bits; `tail(begin, n)` handles what is left.
template <typename Word, typename Tail>
RUNINK_INLINE void in_words(int64_t rows, const Marks& marks, Word word, Tail tail) {
  int64_t begin = 0;
  if (marks.validity == nullptr) {
    for (; begin + 64 <= rows; begin += 64) mark_word(word(begin), marks.failed + begin, marks.bit);
  } else {
    for (; begin + 64 <= rows; begin += 64) {
      mark_word(word(begin) & valid_word(marks.validity, begin), marks.failed + begin, marks.bit);
    }
  }
  if (begin == rows) return;
  const Marks rest{marks.validity == nullptr ? nullptr : marks.validity + (begin >> 3), marks.failed + begin,
                   marks.bit};
  tail(begin, rows - begin, rest);
}

// Values outside low … high among 64 / kLanes vectors, as bits.
#define RUNINK_RANGE(NAME, TYPE, LANES, SET, BELOW, ABOVE)                                                      \
  void NAME(const TYPE* values, int64_t rows, TYPE low, TYPE high, Marks marks) {                               \
    const __m512i lows = SET(low), highs = SET(high);                                                           \
    in_words(                                                                                                   \
        rows, marks,                                                                                            \
        [&](int64_t begin) __attribute__((always_inline)) {                                                     \
          uint64_t bits = 0;                                                                                    \
          for (int64_t k = 0; k < 64 / LANES; ++k) {                                                            \
            const __m512i v = _mm512_loadu_si512(values + begin + k * LANES);                                   \
            bits |= static_cast<uint64_t>(BELOW(v, lows) | ABOVE(v, highs)) << (k * (LANES & 63));              \
          }                                                                                                     \
          return bits;                                                                                          \
        },                                                                                                      \
        [&](int64_t begin, int64_t n, Marks rest) { loops::range<TYPE>(values + begin, n, low, high, rest); }); \
  }
RUNINK_RANGE(range_i8, int8_t, 64, _mm512_set1_epi8, _mm512_cmplt_epi8_mask, _mm512_cmpgt_epi8_mask)
RUNINK_RANGE(range_i16, int16_t, 32, _mm512_set1_epi16, _mm512_cmplt_epi16_mask, _mm512_cmpgt_epi16_mask)
RUNINK_RANGE(range_i32, int32_t, 16, _mm512_set1_epi32, _mm512_cmplt_epi32_mask, _mm512_cmpgt_epi32_mask)
RUNINK_RANGE(range_i64, int64_t, 8, _mm512_set1_epi64, _mm512_cmplt_epi64_mask, _mm512_cmpgt_epi64_mask)
RUNINK_RANGE(range_u8, uint8_t, 64, _mm512_set1_epi8, _mm512_cmplt_epu8_mask, _mm512_cmpgt_epu8_mask)
RUNINK_RANGE(range_u16, uint16_t, 32, _mm512_set1_epi16, _mm512_cmplt_epu16_mask, _mm512_cmpgt_epu16_mask)
RUNINK_RANGE(range_u32, uint32_t, 16, _mm512_set1_epi32, _mm512_cmplt_epu32_mask, _mm512_cmpgt_epu32_mask)
RUNINK_RANGE(range_u64, uint64_t, 8, _mm512_set1_epi64, _mm512_cmplt_epu64_mask, _mm512_cmpgt_epu64_mask)
#undef RUNINK_RANGE

// "Not (at least low and at most high)", so that NaN is outside.
void range_f32(const float* values, int64_t rows, float low, float high, Marks marks) {
  const __m512 lows = _mm512_set1_ps(low), highs = _mm512_set1_ps(high);
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline)) {
        uint64_t bits = 0;
        for (int64_t k = 0; k < 4; ++k) {
          const __m512 v = _mm512_loadu_ps(values + begin + k * 16);
          const __mmask16 out = _mm512_cmp_ps_mask(v, lows, _CMP_NGE_UQ) | _mm512_cmp_ps_mask(v, highs, _CMP_NLE_UQ);
          bits |= static_cast<uint64_t>(out) << (k * 16);
        }
        return bits;
      },
      [&](int64_t begin, int64_t n, Marks rest) { loops::range<float>(values + begin, n, low, high, rest); });
}
void range_f64(const double* values, int64_t rows, double low, double high, Marks marks) {
  const __m512d lows = _mm512_set1_pd(low), highs = _mm512_set1_pd(high);
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline)) {
        uint64_t bits = 0;
        for (int64_t k = 0; k < 8; ++k) {
          const __m512d v = _mm512_loadu_pd(values + begin + k * 8);
          const __mmask8 out = _mm512_cmp_pd_mask(v, lows, _CMP_NGE_UQ) | _mm512_cmp_pd_mask(v, highs, _CMP_NLE_UQ);
          bits |= static_cast<uint64_t>(out) << (k * 8);
        }
        return bits;
      },
      [&](int64_t begin, int64_t n, Marks rest) { loops::range<double>(values + begin, n, low, high, rest); });
}

void not_null(const uint8_t* validity, int64_t rows, uint8_t* failed, uint8_t bit) {
  if (validity == nullptr) return;
  int64_t begin = 0;
  for (; begin + 64 <= rows; begin += 64) mark_word(~valid_word(validity, begin), failed + begin, bit);
  if (begin < rows) loops::not_null(validity + (begin >> 3), rows - begin, failed + begin, bit);
}

// Rows whose length is not least … most, as bits.
RUNINK_INLINE uint64_t length_bits(const int32_t* offsets, __m512i lows, __m512i highs) {
  uint64_t bits = 0;
  for (int64_t k = 0; k < 4; ++k) {
    const __m512i from = _mm512_loadu_si512(offsets + k * 16), to = _mm512_loadu_si512(offsets + k * 16 + 1);
    const __m512i n = _mm512_sub_epi32(to, from);
    bits |= static_cast<uint64_t>(_mm512_cmplt_epi32_mask(n, lows) | _mm512_cmpgt_epi32_mask(n, highs)) << (k * 16);
  }
  return bits;
}
RUNINK_INLINE int32_t clamped(int64_t n) { return n > INT32_MAX ? INT32_MAX : static_cast<int32_t>(n); }

void length(const int32_t* offsets, int64_t rows, int64_t least, int64_t most, Marks marks) {
  if (least > INT32_MAX) return loops::length(offsets, rows, least, most, marks);
  const __m512i lows = _mm512_set1_epi32(clamped(least)), highs = _mm512_set1_epi32(clamped(most));
  in_words(
      rows,
      marks, [&](int64_t begin) __attribute__((always_inline)) { return length_bits(offsets + begin, lows, highs); },
      [&](int64_t begin, int64_t n, Marks rest) { loops::length(offsets + begin, n, least, most, rest); });
}

RUNINK_INLINE bool plain_ascii(const uint8_t* bytes, int64_t count) {
  __m512i any = _mm512_setzero_si512();
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) any = _mm512_or_si512(any, _mm512_loadu_si512(bytes + i));
  if (i < count) {
    const __mmask64 rest = ~uint64_t{0} >> (64 - (count - i));
    any = _mm512_or_si512(any, _mm512_maskz_loadu_epi8(rest, bytes + i));
  }
  return _mm512_movepi8_mask(any) == 0;
}

void code_points(TextRows text, int64_t rows, int64_t least, int64_t most, Marks marks) {
  if (least > INT32_MAX) return loops::code_points(text, rows, least, most, marks);
  const __m512i lows = _mm512_set1_epi32(clamped(least)), highs = _mm512_set1_epi32(clamped(most));
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline))->uint64_t {
        const int32_t* offsets = text.offsets + begin;
        if (__builtin_expect(plain_ascii(text.bytes + offsets[0], offsets[64] - offsets[0]), 1))
          return length_bits(offsets, lows, highs);
        uint64_t bits = 0;
        for (int64_t i = 0; i < 64; ++i) {
          const int64_t n = loops::count_code_points_of(text.bytes + offsets[i], offsets[i + 1] - offsets[i]);
          bits |= static_cast<uint64_t>((n < least) | (n > most)) << i;
        }
        return bits;
      },
      [&](int64_t begin, int64_t n, Marks rest) {
        loops::code_points({text.offsets + begin, text.bytes}, n, least, most, rest);
      });
}

template <int kUsed>
RUNINK_INLINE uint64_t outside_classes(__m512i v, const ClassPattern& pattern, int64_t phase) {
  uint64_t in = 0;
  for (int r = 0; r < kUsed; ++r) {
    const __m512i first = _mm512_loadu_si512(pattern.first[r] + phase),
                  width = _mm512_loadu_si512(pattern.width[r] + phase);
    in |= _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, first), width);
  }
  return ~in;
}

// Bytes of 64 rows that all have the length of the pattern: bit i of the result is row i.
template <int kUsed>
RUNINK_INLINE uint64_t fixed_rows(const uint8_t* bytes, const ClassPattern& pattern) {
  const int64_t count = 64 * static_cast<int64_t>(pattern.period);
  uint64_t rows = 0;
  int64_t phase = 0;
  for (int64_t at = 0; at < count; at += 64) {
    uint64_t bad = outside_classes<kUsed>(_mm512_loadu_si512(bytes + at), pattern, phase);
    while (__builtin_expect(bad != 0, 0)) {
      const int64_t byte = at + __builtin_ctzll(bad);
      const int64_t row = byte / pattern.period;
      rows |= uint64_t{1} << row;
      // The other bytes of this row say nothing new.
      const int64_t next = (row + 1) * pattern.period - at;
      if (next >= 64) break;
      bad &= ~uint64_t{0} << next;
    }
    phase = (phase + 64) % pattern.period;
  }
  return rows;
}

template <int kUsed>
RUNINK_INLINE bool run_in_class(const uint8_t* bytes, int64_t count, const ClassPattern& pattern) {
  uint64_t bad = 0;
  int64_t at = 0;
  for (; at + 64 <= count; at += 64) bad |= outside_classes<kUsed>(_mm512_loadu_si512(bytes + at), pattern, 0);
  if (at < count) {
    const __mmask64 rest = ~uint64_t{0} >> (64 - (count - at));
    bad |= outside_classes<kUsed>(_mm512_maskz_loadu_epi8(rest, bytes + at), pattern, 0) & rest;
  }
  return bad == 0;
}

template <int kUsed>
void pattern_with(TextRows text, int64_t rows, const ClassPattern& pattern, Marks marks) {
  const __m512i lows = _mm512_set1_epi32(clamped(pattern.least)), highs = _mm512_set1_epi32(clamped(pattern.most));
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline))->uint64_t {
        const int32_t* offsets = text.offsets + begin;
        const uint64_t lengths = length_bits(offsets, lows, highs);
        if (pattern.run) {
          if (run_in_class<kUsed>(text.bytes + offsets[0], offsets[64] - offsets[0], pattern)) return lengths;
        } else if (__builtin_expect(lengths == 0, 1)) {
          return fixed_rows<kUsed>(text.bytes + offsets[0], pattern);
        }
        uint64_t bits = 0;
        for (int64_t i = 0; i < 64; ++i) {
          bits |=
              static_cast<uint64_t>(loops::pattern_fails(text.bytes + offsets[i], offsets[i + 1] - offsets[i], pattern))
              << i;
        }
        return bits;
      },
      [&](int64_t begin, int64_t n, Marks rest) {
        loops::pattern_with<kUsed>({text.offsets + begin, text.bytes}, n, pattern, rest);
      });
}

void pattern(TextRows text, int64_t rows, const ClassPattern& pattern, Marks marks) {
  switch (pattern.ranges) {
    case 1:
      return pattern_with<1>(text, rows, pattern, marks);
    case 2:
      return pattern_with<2>(text, rows, pattern, marks);
    case 3:
      return pattern_with<3>(text, rows, pattern, marks);
    default:
      return pattern_with<4>(text, rows, pattern, marks);
  }
}

// Eight rows at a time: their first eight bytes gathered, what lies beyond the text cleared, then one comparison each.
void short_members(TextRows text, int64_t rows, const ShortMembers& members, Marks marks) {
  const __m512i eight = _mm512_set1_epi64(8), sixty_four = _mm512_set1_epi64(64), ones = _mm512_set1_epi64(-1);
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline))->uint64_t {
        uint64_t bits = 0;
        for (int64_t k = 0; k < 8; ++k) {
          const int32_t* offsets = text.offsets + begin + 8 * k;
          const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets));
          const __m256i to = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(offsets + 1));
          const __m512i length = _mm512_cvtepi32_epi64(_mm256_sub_epi32(to, from));
          const __m512i raw = _mm512_i32gather_epi64(from, text.bytes, 1);
          // Shifts by 64 and more give 0; so the empty text has the mask 0, and 8 bytes keep all.
          const __m512i drop = _mm512_sub_epi64(sixty_four, _mm512_slli_epi64(_mm512_min_epi64(length, eight), 3));
          const __m512i word = _mm512_and_si512(raw, _mm512_srlv_epi64(ones, drop));
          __mmask8 found = 0;
          for (int m = 0; m < members.count; ++m) {
            const __mmask8 same =
                _mm512_cmpeq_epi64_mask(word, _mm512_set1_epi64(static_cast<int64_t>(members.word[m])));
            found |= _mm512_mask_cmpeq_epi64_mask(same, length, _mm512_set1_epi64(members.length[m]));
          }
          bits |= static_cast<uint64_t>(static_cast<uint8_t>(~found)) << (8 * k);
        }
        return bits;
      },
      [&](int64_t begin, int64_t n, Marks rest) {
        loops::short_members({text.offsets + begin, text.bytes}, n, members, rest);
      });
}

void members_i32(const int32_t* values, int64_t rows, const int32_t* members, int count, Marks marks) {
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline)) {
        uint64_t found = 0;
        for (int64_t k = 0; k < 4; ++k) {
          const __m512i v = _mm512_loadu_si512(values + begin + k * 16);
          __mmask16 in = 0;
          for (int m = 0; m < count; ++m) in |= _mm512_cmpeq_epi32_mask(v, _mm512_set1_epi32(members[m]));
          found |= static_cast<uint64_t>(in) << (k * 16);
        }
        return ~found;
      },
      [&](int64_t begin, int64_t n, Marks rest) {
        loops::members_of<int32_t>(values + begin, n, members, count, rest);
      });
}
void members_i64(const int64_t* values, int64_t rows, const int64_t* members, int count, Marks marks) {
  in_words(
      rows, marks,
      [&](int64_t begin) __attribute__((always_inline)) {
        uint64_t found = 0;
        for (int64_t k = 0; k < 8; ++k) {
          const __m512i v = _mm512_loadu_si512(values + begin + k * 8);
          __mmask8 in = 0;
          for (int m = 0; m < count; ++m) in |= _mm512_cmpeq_epi64_mask(v, _mm512_set1_epi64(members[m]));
          found |= static_cast<uint64_t>(in) << (k * 8);
        }
        return ~found;
      },
      [&](int64_t begin, int64_t n, Marks rest) {
        loops::members_of<int64_t>(values + begin, n, members, count, rest);
      });
}

constexpr Kernels kTable = {
    range_i8,  range_i16, range_i32, range_i64,   range_u8, range_u16,     range_u32,   range_u64,   range_f32,
    range_f64, not_null,  length,    code_points, pattern,  short_members, members_i32, members_i64,
};

}  // namespace avx512

const Kernels& kernels_avx512() { return avx512::kTable; }

}  // namespace runink::expr::rules
