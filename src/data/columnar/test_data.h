// Batches of every type for tests, from a seed.
#pragma once

#include <random>
#include <vector>

#include "data/columnar/batch.h"
#include "data/columnar/value.h"

namespace runink::columnar {

// One field of every type: also a list of strings, a list of structs, an enum, and the null type.
std::vector<Field> sample_fields();
// A random value of the type, from a small set of values so that equal ones and edge cases (least and greatest, -0, NaN,
// empty text, NUL bytes, text of several scripts) are common; null with probability `nulls`.
Value sample_value(const DataType& type, double nulls, std::mt19937_64& random);
Batch sample_batch(uint64_t seed, int64_t rows, double nulls = 0.2);
// Row by row, all values of both batches are the same (also NaN with NaN); says where they differ, or "".
std::string difference(const Batch& a, const Batch& b);

}  // namespace runink::columnar
