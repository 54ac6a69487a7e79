// What is measured of starts, and how it is summed up. Times are of CLOCK_MONOTONIC, in nanoseconds.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace runink::bench {

int64_t now_nanos();

// One start: asked for, first instruction of the payload, everything of it ended and reaped.
struct Start {
  int64_t asked = 0, first = 0, reaped = 0;
};

// Of many values, in microseconds.
struct Summary {
  double p50 = 0, p99 = 0;
  size_t count = 0;
};
Summary summarise(std::vector<double> micros);
double median(std::vector<double> values);

// Processor time of what this process has waited for, with what that has waited for; and of one running process with
// what it has waited for. Seconds.
double children_cpu_seconds();
double process_cpu_seconds(pid_t pid);

}  // namespace runink::bench
