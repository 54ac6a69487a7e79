// Kernels as loops that a compiler vectorises for the level a file is compiled for. Included once per level, inside a
// namespace of its own (RUNINK_RULES_LEVEL): the same code for other instructions must not be merged by the linker.
// No include guard, on purpose.

#include <stdint.h>
#include <string.h>

#include "data/expr/rules_kernels.h"

namespace runink::expr::rules {
namespace RUNINK_RULES_LEVEL {

#define RUNINK_INLINE __attribute__((always_inline)) inline

constexpr int64_t kBlock = 64;

// Eight bits as eight bytes of 0 or 1.
struct BitTable {
  uint64_t bytes[256];
};
constexpr BitTable make_bit_table() {
  BitTable table{};
  for (int b = 0; b < 256; ++b) {
    uint64_t spread = 0;
    for (int k = 0; k < 8; ++k) {
      if ((b >> k) & 1) spread |= uint64_t{1} << (8 * k);
    }
    table.bytes[b] = spread;
  }
  return table;
}
constexpr BitTable kBits = make_bit_table();

// Rows in blocks of 64: `fill(begin, n, marks)` writes 0 or 1 per row of the block.
template <typename F>
RUNINK_INLINE void in_blocks(int64_t rows, const Marks& marks, F fill) {
  alignas(64) uint8_t mark[kBlock];
  int64_t begin = 0;
  for (; begin + kBlock <= rows; begin += kBlock) {
    fill(begin, kBlock, mark);
    uint8_t* failed = marks.failed + begin;
    if (marks.validity != nullptr) {
      for (int64_t k = 0; k < 8; ++k) {
        uint64_t word;
        memcpy(&word, mark + 8 * k, 8);
        word &= kBits.bytes[marks.validity[(begin >> 3) + k]];
        memcpy(mark + 8 * k, &word, 8);
      }
    }
    for (int64_t i = 0; i < kBlock; ++i) failed[i] |= static_cast<uint8_t>(-mark[i]) & marks.bit;
  }
  if (begin == rows) return;
  const int64_t n = rows - begin;
  fill(begin, n, mark);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t row = begin + i;
    const uint8_t valid = marks.validity == nullptr ? 1 : (marks.validity[row >> 3] >> (row & 7)) & 1;
    if ((mark[i] & valid) != 0) marks.failed[row] |= marks.bit;
  }
}

template <typename T>
void range(const T* values, int64_t rows, T low, T high, Marks marks) {
  in_blocks(
      rows, marks, [&](int64_t begin, int64_t n, uint8_t* __restrict mark) __attribute__((always_inline)) {
        const T* __restrict v = values + begin;
        for (int64_t i = 0; i < n; ++i) mark[i] = static_cast<uint8_t>(!((v[i] >= low) & (v[i] <= high)));
      });
}

void not_null(const uint8_t* validity, int64_t rows, uint8_t* failed, uint8_t bit) {
  if (validity == nullptr) return;
  int64_t i = 0;
  const uint64_t bits = bit * 0x0101010101010101ULL;
  for (; i + 8 <= rows; i += 8) {
    const uint8_t nulls = static_cast<uint8_t>(~validity[i >> 3]);
    if (nulls == 0) continue;
    uint64_t word;
    memcpy(&word, failed + i, 8);
    word |= (kBits.bytes[nulls] * 0xFF) & bits;
    memcpy(failed + i, &word, 8);
  }
  for (; i < rows; ++i) {
    if (((validity[i >> 3] >> (i & 7)) & 1) == 0) failed[i] |= bit;
  }
}

RUNINK_INLINE void mark_lengths(const int32_t* offsets, int64_t n, int64_t least, int64_t most,
                                uint8_t* __restrict mark) {
  const int32_t low = least > INT32_MAX ? INT32_MAX : static_cast<int32_t>(least);
  const int32_t high = most > INT32_MAX ? INT32_MAX : static_cast<int32_t>(most);
  const uint8_t none = least > INT32_MAX ? 1 : 0;  // nothing is that long
  for (int64_t i = 0; i < n; ++i) {
    const int32_t length = offsets[i + 1] - offsets[i];
    mark[i] = static_cast<uint8_t>((length < low) | (length > high) | none);
  }
}

void length(const int32_t* offsets, int64_t rows, int64_t least, int64_t most, Marks marks) {
  in_blocks(
      rows, marks, [&](int64_t begin, int64_t n, uint8_t * mark) __attribute__((always_inline)) {
        mark_lengths(offsets + begin, n, least, most, mark);
      });
}

// All bytes below 128? Reads whole words, up to 63 bytes beyond the end; those are masked out by what follows: a
// foreign byte can only make the answer "no", which costs time, not truth.
RUNINK_INLINE bool plain_ascii(const uint8_t* bytes, int64_t count) {
  uint8_t any = 0;
  const int64_t whole = (count + 31) & ~int64_t{31};
  for (int64_t i = 0; i < whole; ++i) any |= bytes[i];
  return any < 128;
}

RUNINK_INLINE int64_t count_code_points_of(const uint8_t* bytes, int64_t count) {
  int64_t n = 0;
  for (int64_t i = 0; i < count; ++i) n += (bytes[i] & 0xC0) != 0x80;
  return n;
}

void code_points(TextRows text, int64_t rows, int64_t least, int64_t most, Marks marks) {
  in_blocks(
      rows, marks, [&](int64_t begin, int64_t n, uint8_t * mark) __attribute__((always_inline)) {
        const int32_t* offsets = text.offsets + begin;
        if (plain_ascii(text.bytes + offsets[0], offsets[n] - offsets[0])) {
          mark_lengths(offsets, n, least, most, mark);
          return;
        }
        for (int64_t i = 0; i < n; ++i) {
          const int64_t length = count_code_points_of(text.bytes + offsets[i], offsets[i + 1] - offsets[i]);
          mark[i] = static_cast<uint8_t>((length < least) | (length > most));
        }
      });
}

RUNINK_INLINE uint8_t pattern_fails(const uint8_t* bytes, int64_t length, const ClassPattern& pattern) {
  if (length < pattern.least || length > pattern.most) return 1;
  uint8_t ok = 1;
  if (pattern.run) {
    for (int64_t i = 0; i < length; ++i) ok &= pattern.member[0][bytes[i]];
  } else {
    for (int64_t i = 0; i < length; ++i) ok &= pattern.member[i][bytes[i]];
  }
  return ok ^ 1;
}

// Whether all bytes of a piece that starts at phase 0 belong to their classes. Reads up to 63 bytes beyond the end;
// they are not counted.
template <int kUsed>
RUNINK_INLINE bool all_in_classes(const uint8_t* bytes, int64_t count, const ClassPattern& pattern) {
  int64_t phase = 0;
  int64_t at = 0;
  for (; at + 64 <= count; at += 64) {
    uint8_t bad = 0;
    for (int64_t i = 0; i < 64; ++i) {
      uint8_t in = 0;
      for (int r = 0; r < kUsed; ++r) {
        in |= static_cast<uint8_t>(static_cast<uint8_t>(bytes[at + i] - pattern.first[r][phase + i]) <=
                                   pattern.width[r][phase + i]);
      }
      bad |= in ^ 1;
    }
    if (bad != 0) return false;
    phase = (phase + 64) % pattern.period;
  }
  uint8_t bad = 0;
  for (int64_t i = 0; at + i < count; ++i) {
    uint8_t in = 0;
    for (int r = 0; r < kUsed; ++r) {
      in |= static_cast<uint8_t>(static_cast<uint8_t>(bytes[at + i] - pattern.first[r][phase + i]) <=
                                 pattern.width[r][phase + i]);
    }
    bad |= in ^ 1;
  }
  return bad == 0;
}

template <int kUsed>
void pattern_with(TextRows text, int64_t rows, const ClassPattern& pattern, Marks marks) {
  in_blocks(
      rows, marks, [&](int64_t begin, int64_t n, uint8_t * mark) __attribute__((always_inline)) {
        const int32_t* offsets = text.offsets + begin;
        mark_lengths(offsets, n, pattern.least, pattern.most, mark);
        uint8_t odd = 0;
        for (int64_t i = 0; i < n; ++i) odd |= mark[i];
        // Rows of fixed length lie at multiples of it, so one pass over all bytes checks every row.
        if ((odd == 0 || pattern.run) &&
            all_in_classes<kUsed>(text.bytes + offsets[0], offsets[n] - offsets[0], pattern))
          return;
        for (int64_t i = 0; i < n; ++i)
          mark[i] = pattern_fails(text.bytes + offsets[i], offsets[i + 1] - offsets[i], pattern);
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

RUNINK_INLINE uint8_t short_member_fails(const uint8_t* bytes, int32_t length, const ShortMembers& members) {
  uint64_t word;
  memcpy(&word, bytes, 8);
  const uint32_t shift = length >= 8 ? 0 : 64 - 8 * static_cast<uint32_t>(length);
  // A shift by 64 is not defined; the empty text is the word 0.
  word = length == 0 ? 0 : (word << shift) >> shift;
  uint8_t found = 0;
  for (int m = 0; m < members.count; ++m)
    found |= static_cast<uint8_t>((word == members.word[m]) & (length == members.length[m]));
  return found ^ 1;
}

void short_members(TextRows text, int64_t rows, const ShortMembers& members, Marks marks) {
  in_blocks(
      rows, marks, [&](int64_t begin, int64_t n, uint8_t * mark) __attribute__((always_inline)) {
        const int32_t* offsets = text.offsets + begin;
        for (int64_t i = 0; i < n; ++i)
          mark[i] = short_member_fails(text.bytes + offsets[i], offsets[i + 1] - offsets[i], members);
      });
}

template <typename T>
void members_of(const T* values, int64_t rows, const T* members, int count, Marks marks) {
  in_blocks(
      rows, marks, [&](int64_t begin, int64_t n, uint8_t* __restrict mark) __attribute__((always_inline)) {
        const T* __restrict v = values + begin;
        for (int64_t i = 0; i < n; ++i) mark[i] = 1;
        for (int m = 0; m < count; ++m) {
          const T wanted = members[m];
          for (int64_t i = 0; i < n; ++i) mark[i] &= static_cast<uint8_t>(v[i] != wanted);
        }
      });
}

constexpr Kernels kTable = {
    range<int8_t>,       range<int16_t>,  range<int32_t>,  range<int64_t>,
    range<uint8_t>,      range<uint16_t>, range<uint32_t>, range<uint64_t>,
    range<float>,        range<double>,   not_null,        length,
    code_points,         pattern,         short_members,   members_of<int32_t>,
    members_of<int64_t>,
};

#undef RUNINK_INLINE

}  // namespace RUNINK_RULES_LEVEL
}  // namespace runink::expr::rules
