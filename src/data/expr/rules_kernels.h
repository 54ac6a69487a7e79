// The kernels of rules for one vector level: plain pointers in, marks out. Internal.
//
// Every kernel does failed[i] |= bit for the rows that break the rule and are valid (`validity` null: all are). Buffers
// may be read 64 bytes beyond their end. These functions are compiled once per level with different instruction sets,
// so nothing here may include headers with inline functions that other code shares.
#pragma once

#include <stdint.h>

namespace runink::expr::rules {

struct Marks {
  const uint8_t* validity;  // bitmap, or null
  uint8_t* failed;
  uint8_t bit;
};

struct TextRows {
  const int32_t* offsets;
  const uint8_t* bytes;
};

// A sequence of byte classes. A position's class is up to kRanges ranges of bytes; `first` and `width` repeat with the
// period of the pattern, so that a vector's worth of consecutive values is checked at any phase with one load.
inline constexpr int kRanges = 4;
inline constexpr int kMaxPeriod = 32;
inline constexpr int kSpan = kMaxPeriod + 64;
struct ClassPattern {
  int period = 1;               // positions; 1 for a run of one class
  bool run = false;             // one class, repeated least … most times
  int64_t least = 0, most = 0;  // length in bytes (run); both equal period otherwise
  int ranges = 1;               // how many are used
  uint8_t first[kRanges][kSpan] = {};
  uint8_t width[kRanges][kSpan] = {};    // last - first
  uint8_t member[kMaxPeriod][256] = {};  // 1: the byte belongs to the class of that position
};

// Texts of at most 8 bytes, as little-endian words with zeros behind, and their lengths.
inline constexpr int kMaxShortMembers = 16;
struct ShortMembers {
  int count = 0;
  uint64_t word[kMaxShortMembers] = {};
  uint8_t length[kMaxShortMembers] = {};
};

struct Kernels {
  void (*range_i8)(const int8_t*, int64_t rows, int8_t low, int8_t high, Marks);
  void (*range_i16)(const int16_t*, int64_t rows, int16_t low, int16_t high, Marks);
  void (*range_i32)(const int32_t*, int64_t rows, int32_t low, int32_t high, Marks);
  void (*range_i64)(const int64_t*, int64_t rows, int64_t low, int64_t high, Marks);
  void (*range_u8)(const uint8_t*, int64_t rows, uint8_t low, uint8_t high, Marks);
  void (*range_u16)(const uint16_t*, int64_t rows, uint16_t low, uint16_t high, Marks);
  void (*range_u32)(const uint32_t*, int64_t rows, uint32_t low, uint32_t high, Marks);
  void (*range_u64)(const uint64_t*, int64_t rows, uint64_t low, uint64_t high, Marks);
  void (*range_f32)(const float*, int64_t rows, float low, float high, Marks);
  void (*range_f64)(const double*, int64_t rows, double low, double high, Marks);
  void (*not_null)(const uint8_t* validity, int64_t rows, uint8_t* failed, uint8_t bit);
  void (*length)(const int32_t* offsets, int64_t rows, int64_t least, int64_t most, Marks);  // of bytes, elements
  void (*code_points)(TextRows, int64_t rows, int64_t least, int64_t most, Marks);
  void (*pattern)(TextRows, int64_t rows, const ClassPattern&, Marks);
  void (*short_members)(TextRows, int64_t rows, const ShortMembers&, Marks);
  void (*members_i32)(const int32_t*, int64_t rows, const int32_t* members, int count, Marks);
  void (*members_i64)(const int64_t*, int64_t rows, const int64_t* members, int count, Marks);
};

const Kernels& kernels_baseline();
const Kernels& kernels_avx2();    // only on x86-64
const Kernels& kernels_avx512();  // only on x86-64

}  // namespace runink::expr::rules
