// core_explore [--deep | --scope E,P,C,D,S,H,R[,channel[,one_by_one]]]: explores small Raft groups exhaustively
// (explore.h) and says how many states there were. Exit 1, and the way there, if a promise is broken or a space was
// left before its end.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/explore.h"

namespace runink::raft {
namespace {

Scope parse(const char* text) {
  Scope scope;
  int* const fields[] = {&scope.elections, &scope.proposals,  &scope.crashes, &scope.duplicates,
                         &scope.stalls,    &scope.heartbeats, &scope.reads,   &scope.channel};
  scope.name = text;
  int one_by_one = 0;
  size_t at = 0;
  for (const char* p = text; p != nullptr && at < 9; p = std::strchr(p, ','), ++at) {
    if (*p == ',') ++p;
    (at < 8 ? *fields[at] : one_by_one) = std::atoi(p);
  }
  scope.one_by_one = one_by_one != 0;
  return scope;
}

int run(const std::vector<Scope>& scopes) {
  uint64_t states = 0;
  bool good = true;
  const auto begin = std::chrono::steady_clock::now();
  for (const Scope& scope : scopes) {
    const auto started = std::chrono::steady_clock::now();
    const Exploration seen = explore(scope);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    std::printf("%-75s %10llu states, %11llu steps, depth %3zu, %5.1f s%s\n", scope.name.c_str(),
                static_cast<unsigned long long>(seen.states), static_cast<unsigned long long>(seen.steps), seen.depth,
                seconds, seen.closed ? "" : ", not closed");
    std::fflush(stdout);
    states += seen.states;
    good = good && seen.closed;
    if (seen.fault.empty()) continue;
    std::printf("fault: %s, after\n", seen.fault.c_str());
    for (const std::string& step : seen.path) std::printf("  %s\n", step.c_str());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu states in %.1f s\n", static_cast<unsigned long long>(states), seconds);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace runink::raft

int main(int argc, char** argv) {
  using namespace runink::raft;
  if (argc == 2 && std::strcmp(argv[1], "--deep") == 0) return run(deep_scopes());
  if (argc == 3 && std::strcmp(argv[1], "--scope") == 0) return run({parse(argv[2])});
  if (argc == 1) return run(usual_scopes());
  std::fprintf(stderr, "usage: core_explore [--deep | --scope E,P,C,D,S,H,R[,channel[,one_by_one]]]\n");
  return 2;
}
