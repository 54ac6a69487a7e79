// Prometheus' text form (exposition format 0.0.4) as slices write it: parsed strictly and within bounds, and several
// slices' metrics put together under labels of the agent's own.
//
// Pure. Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace runink::agent {

struct MetricSample {
  std::string name;  // of the family, or with _bucket, _sum, _count
  std::vector<std::pair<std::string, std::string>> labels;
  std::string value;  // a number as it was written
};

struct MetricFamily {
  std::string name, type, help;  // type: counter, gauge, histogram, summary or untyped
  std::vector<MetricSample> samples;
};

struct MetricLimits {
  size_t samples = 5'000;
  size_t families = 1'000;
  size_t labels = 32;  // of a sample
  size_t name_bytes = 200, value_bytes = 1'000;
};

// kInvalidArgument names the line and what is wrong there; kResourceExhausted the limit that was passed. Timestamps are
// read and left out: what an agent serves is what it has now.
Result<std::vector<MetricFamily>> parse_metrics(std::string_view text, const MetricLimits& limits = {});

// Families of many slices as one text: each family once, its samples labelled with whose they are.
class MetricsMerge {
 public:
  // Labels of the slice's own that have these names become exported_<name>, as Prometheus does it.
  void add(const std::vector<MetricFamily>& families, const std::vector<std::pair<std::string, std::string>>& labels);
  // Families that could not be put together with those of the same name before them (another type), or that have names
  // reserved for the agent (runink_agent…, runink_node…).
  uint64_t refused_families() const { return refused_; }
  std::string render() const;

 private:
  struct Merged {
    std::string type, help, lines;
  };
  std::map<std::string, Merged> families_;
  uint64_t refused_ = 0;
};

}  // namespace runink::agent
