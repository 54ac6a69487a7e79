// Compiled for AVX2 (x86-64-v3); called only where the processor has it.
#define RUNINK_RULES_LEVEL avx2
#include "data/expr/rules_kernels_generic.h"

namespace runink::expr::rules {
const Kernels& kernels_avx2() { return avx2::kTable; }
}  // namespace runink::expr::rules
