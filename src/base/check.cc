#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace runink {

void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "runink: internal error: %s:%d: check failed: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace runink
