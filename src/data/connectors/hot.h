// What the hot loops of the readers share with the code around them: plain structs, no library types, because each loop
// is compiled several times for different instruction sets (see hot_loops.inc) and must bring no inline function of the
// standard library along.
//
// A hot loop handles records that look like the one before: it compares the bytes between values with what it expects
// and converts values in place. Whatever it does not expect it leaves to the general code, which reads that record from
// its start; so the loops decide nothing about what is right, only about speed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace runink::connectors::hot {

enum class Op : uint8_t {
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat64,
  kBool,
  kString,
  kStringCheck,
  kTimestamp,
  kDate,
  kTime,
  kGeneral,  // any other type, through Context::general
  kSkip,     // a JSON value that no column wants, through Context::general
  kText,     // of a step only: no value follows, the next step goes on with the text
  kEnd,      // of a step only: the record ends here
};

// A date or time whose text has a fixed width of at most 32 bytes and digits at fixed places, such as %Y/%m/%d %H:%M.
struct TimeLayout {
  alignas(16) uint8_t shuffle[2][16];  // brings the digits to YYYYMMDDHHMMSS; 0x80 gives 0
  alignas(16) uint8_t literal[2][16], literal_mask[2][16];
  uint8_t width = 0;  // bytes, including quotes where the format has them
  bool has_date = false;
};

struct Column {
  uint8_t* values = nullptr;  // room for kBatchRows fixed-width values, or text_capacity bytes of text
  int32_t* offsets = nullptr;
  uint8_t* validity = nullptr;  // null until the first null of the batch
  size_t text_capacity = 0;
  int64_t low = 0, high = 0;  // inclusive range of an integer type
  const TimeLayout* layout = nullptr;
  Op op = Op::kGeneral;
  bool nullable_here = true;  // false: a null needs the general code (it has a default)
  // Texts of one length (codes, ids) are common. While they hold, the end of a text is foreseen instead of computed,
  // and the processor need not wait for it to begin with what follows.
  uint8_t guessed_length = 0;
  uint8_t wrong_guesses = 0;
};

// NDJSON: the bytes before a value, and where the value goes. Longer texts are several steps; the last step of a plan
// ends the record.
inline constexpr size_t kStepBytes = 32;
struct Step {
  alignas(32) uint8_t expected[kStepBytes];
  alignas(32) uint8_t mask[kStepBytes];
  Column* target = nullptr;
  uint32_t length = 0;
  uint32_t column = 0;
  uint32_t break_length = 0;  // kEnd: bytes of the line break
  Op op = Op::kEnd;
};

enum class Stop : uint8_t { kChunkEnd, kBatchFull, kMiss };

struct Context {
  const char* base = nullptr;  // of the chunk
  const char* p = nullptr;     // in: start of a record; out: start of the first one not taken
  const char* end = nullptr;   // of the chunk; at least 64 readable bytes follow
  int64_t row = 0, row_limit = 0;
  uint32_t line = 0;
  Column* columns = nullptr;
  const Step* steps = nullptr;  // NDJSON
  uint32_t step_count = 0;
  uint32_t column_count = 0;              // CSV: cells per record, all in columns' order through `cell_columns`
  const int32_t* cell_columns = nullptr;  // CSV: column of each cell, -1 for one to skip
  char delimiter = ',', quote = '"', comment = 0;
  bool has_quotes = true;             // CSV: false if the chunk has none
  uint32_t* origin_offset = nullptr;  // null: no origins wanted
  uint32_t* origin_length = nullptr;
  uint32_t* origin_line = nullptr;
  uint8_t* origin_verbatim = nullptr;
  uint8_t verbatim = 0;  // of every record that follows the plan

  void* self = nullptr;
  // Text column `column` needs room for `size` bytes in all; updates the Column.
  void (*grow)(void* self, uint32_t column, size_t size) = nullptr;
  // Marks the row null (makes the bitmap at the first).
  void (*null)(void* self, uint32_t column, int64_t row) = nullptr;
  // Converts (column >= 0) or skips (-1) the value at p; the byte after it, or null to leave it to the general code.
  const char* (*general)(void* self, int32_t column, const char* p) = nullptr;
};

// One set per instruction set. All give the same results.
struct Loops {
  const char* name;
  Stop (*ndjson)(Context&);
  Stop (*csv)(Context&);
  // CSV borders, see csv_border.h: where the last record that ends in [p, end) ends, assuming p begins a record and no
  // quote stands inside an unquoted cell; 0 if none ends; SIZE_MAX if that assumption does not hold.
  size_t (*csv_last_border)(const char* p, size_t size, char delimiter, char quote);
  // First byte in [p, end) that is a quote, a backslash or below 0x20; end if none.
  const char* (*find_json_special)(const char* p, const char* end);
  // Whether all bytes are below 0x80. At least 64 readable bytes follow.
  bool (*is_ascii)(const char* p, size_t size);
};

// Best for this machine. RUNINK_CPU=sse|avx2|avx512 in the environment chooses a lower one.
const Loops& loops();
// All that this machine can run, for tests.
size_t all_loops(const Loops** out, size_t capacity);

extern const Loops kLoopsSse;
extern const Loops kLoopsAvx2;
extern const Loops kLoopsAvx512;

}  // namespace runink::connectors::hot
