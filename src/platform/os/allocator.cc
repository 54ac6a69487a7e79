#include "platform/os/allocator.h"

#include <malloc.h>

namespace runink::os {

namespace {
constexpr int kLargeBlock = 1 << 20;
}

void keep_allocator_lean() {
  static const bool done = [] {
    mallopt(M_MMAP_THRESHOLD, kLargeBlock);
    mallopt(M_TRIM_THRESHOLD, kLargeBlock);
    return true;
  }();
  (void)done;
}

void return_freed_memory() { malloc_trim(0); }

}  // namespace runink::os
