#define RUNINK_RULES_LEVEL baseline
#include "data/expr/rules_kernels_generic.h"

namespace runink::expr::rules {
const Kernels& kernels_baseline() { return baseline::kTable; }
}  // namespace runink::expr::rules
