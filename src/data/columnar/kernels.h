// Kernels: whole columns and batches in, whole columns and batches out. All pure and thread-safe; results share no
// buffer with their inputs unless said.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"

namespace runink::columnar {

// --- choosing rows -------------------------------------------------------------------------------------------------

// Row numbers are 0 ≤ row < length, in any order, repeats allowed. A column of the result holds at most 2^31 - 1 bytes
// of text: that can be exceeded only where rows repeat, and whoever repeats rows (a join) calls gather_fits() first.
Column gather(const Column& column, std::span<const int32_t> rows);
// The same, where row number -1 gives null.
Column gather_or_null(const Column& column, std::span<const int32_t> rows);
// Also the origin, with its verbatim flags.
Batch gather(const Batch& batch, std::span<const int32_t> rows);
RowOriginPtr gather_origin(const RowOriginPtr& origin, std::span<const int32_t> rows);  // null stays null
// How many of the first row numbers can be gathered so that no column of the result passes `bytes_max` of text or
// elements (at least 1 when rows is not empty). -1 counts nothing.
size_t gather_fits(std::span<const Column> columns, std::span<const int32_t> rows, size_t bytes_max = 1u << 30);

// Writes the numbers of the rows whose byte is not 0 and returns how many. `rows` needs room for `length` numbers.
int64_t rows_of_mask(const uint8_t* mask, int64_t length, int32_t* rows);
std::vector<int32_t> rows_of_mask(const uint8_t* mask, int64_t length);
int64_t count_mask(const uint8_t* mask, int64_t length);
// Rows whose byte is not 0. A batch whose rows all stay is returned as it is (buffers shared).
Batch filter(const Batch& batch, const uint8_t* mask);

// Rows [first, first + count), copied.
Column slice(const Column& column, int64_t first, int64_t count);
Batch slice(const Batch& batch, int64_t first, int64_t count);

// One after the other; all of the same type (schema). kResourceExhausted when text or list elements would pass 2^31 - 1.
// Batches: the origins are joined too if every batch has one (they come out in kept form unless all share one chunk),
// else the result has none. At least one input.
Result<Column> concat(std::span<const Column> columns);
Result<Batch> concat(std::span<const Batch> batches);

// --- validity ------------------------------------------------------------------------------------------------------

// Validity that is valid where both (either) are; nullptr means all valid, in arguments and results. May return one of
// its arguments.
BufferPtr and_validity(const BufferPtr& a, const BufferPtr& b, int64_t length);
BufferPtr or_validity(const BufferPtr& a, const BufferPtr& b, int64_t length);
// Every bit turned; of nullptr: a bitmap of zeros. Bits past `length` in the last byte are 0.
BufferPtr not_bitmap(const BufferPtr& bits, int64_t length);
// One byte (0 or 1) per bit and back (any byte but 0 counts as 1; bits past `length` in the last byte are 0).
void bits_to_bytes(const uint8_t* bits, int64_t length, uint8_t* bytes);
void bytes_to_bits(const uint8_t* bytes, int64_t length, uint8_t* bits);
int64_t count_bits(const uint8_t* bits, int64_t length);
// 1 per valid row of the column, whether it has a bitmap or not.
void validity_to_bytes(const Column& column, uint8_t* bytes);
// The bitmap of the bytes, or nullptr when none is 0.
BufferPtr validity_from_bytes(const uint8_t* bytes, int64_t length);

// --- comparing rows ------------------------------------------------------------------------------------------------

// Both columns have the same type. Identity as groups and joins of keys see it: null equals null, NaN equals NaN, -0
// equals 0, text by bytes. (Expressions' `=` has SQL's nulls and is not this.)
bool equal_rows(const Column& a, int64_t row_a, const Column& b, int64_t row_b);
// The order of a sort, ascending: nulls last, NaN after all numbers, text by bytes, an enum by the place of its label,
// lists element by element. Below, at, or above 0.
int compare_rows(const Column& a, int64_t row_a, const Column& b, int64_t row_b);

// --- origin --------------------------------------------------------------------------------------------------------

// The kept form of an origin (its own copy of the records' bytes, absolute positions), for operators that outlive
// chunks. Line numbers of a chunk are known only behind a turnstile: call it there, or pass lines_known = false and get
// line 0 ("not known"). An origin that is already kept is returned as it is; null stays null.
RowOriginPtr materialise_origin(const RowOriginPtr& origin, bool lines_known = true);
Batch materialise_origin(Batch batch, bool lines_known = true);
size_t origin_byte_size(const RowOriginPtr& origin);  // what it owns, for memory budgets (a chunk is not counted)

}  // namespace runink::columnar
