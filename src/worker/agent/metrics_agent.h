// The agent's own metrics: what it knows of its slices, as one page in Prometheus' text form. docs/reference/metrics.md
// lists the names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "worker/agent/fluentd_forwarder.h"
#include "worker/agent/log_store.h"
#include "worker/agent/metrics_scraper.h"
#include "worker/sandbox/cgroup.h"

namespace runink::agent {

// What one slice uses now.
struct SliceSample {
  std::string id, herd;
  std::optional<sandbox::CgroupUsage> usage;    // absent: it has no group
  std::optional<sandbox::CgroupEvents> events;  // likewise
};

// Things that must not be left behind on this node by launchers that have ended (sandbox/leftovers.h); each counts
// those that are. A process holds its slice's namespaces, mounts and range of ids: where there is none of it, there is
// none of these.
struct LeakCounts {
  uint64_t processes = 0, control_groups = 0, links = 0, network_rules = 0;
};

struct AgentSample {
  std::string version;
  std::map<std::string, uint64_t> slices_by_state;  // now
  std::map<std::string, uint64_t> starts_by_path;   // "parked", "recycled", "cold", "refused"; since the agent started
  std::map<std::string, uint64_t> ends_by_cause;    // "exited", "signalled", "timed_out", "out_of_memory", …
  std::map<std::string, uint64_t> parked_by_class;  // slices that wait, now
  uint64_t launcher_starts = 0;
  std::optional<LeakCounts> leaks;
  std::vector<SliceSample> slices;  // those that run
  // Totals of the slices that have ended, so that the node's counters never go back.
  double ended_cpu_seconds = 0;
  uint64_t ended_out_of_memory_kills = 0;
};

struct MetricsParts {
  AgentSample agent;
  std::optional<LogStore::Counters> logs;
  std::map<std::string, LogStore::Dropped> dropped_by_slice;
  std::optional<FluentdForwarder::Counters> fluentd;
  std::vector<const MetricsScraper::Target*> scraped;
};

// The agent's families, then those of the slices.
std::string render_agent_metrics(const MetricsParts& parts);

}  // namespace runink::agent
