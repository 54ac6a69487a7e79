#include "data/connectors/hot.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace runink::connectors::hot {

namespace {

bool can_run(const Loops& level) {
  __builtin_cpu_init();
  if (&level == &kLoopsAvx512) {
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2");
  }
  if (&level == &kLoopsAvx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
  return true;
}

const Loops& choose() {
  const char* wish = std::getenv("RUNINK_CPU");
  const Loops* levels[] = {&kLoopsAvx512, &kLoopsAvx2, &kLoopsSse};
  bool reached = wish == nullptr;
  for (const Loops* level : levels) {
    reached = reached || std::strcmp(wish, level->name) == 0;
    if (reached && can_run(*level)) return *level;
  }
  return can_run(kLoopsAvx2) ? kLoopsAvx2 : kLoopsSse;
}

}  // namespace

const Loops& loops() {
  static const Loops& chosen = choose();
  return chosen;
}

size_t all_loops(const Loops** out, size_t capacity) {
  size_t count = 0;
  for (const Loops* level : {&kLoopsSse, &kLoopsAvx2, &kLoopsAvx512}) {
    if (count < capacity && can_run(*level)) out[count++] = level;
  }
  return count;
}

}  // namespace runink::connectors::hot
