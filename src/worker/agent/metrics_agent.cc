#include "worker/agent/metrics_agent.h"

#include "platform/telemetry/machine_stats.h"
#include "platform/telemetry/metrics.h"
#include "worker/agent/metrics_text.h"

namespace runink::agent {
namespace {

using telemetry::Exposition;

void put_by(Exposition& out, const char* label, const std::map<std::string, uint64_t>& values) {
  for (const auto& [name, value] : values) out.sample(value, {{label, name}});
}

void put_node(Exposition& out, const AgentSample& agent) {
  out.gauge("runink_agent_info", "The agent's version; always 1.").sample(1, {{"version", agent.version}});
  out.gauge("runink_agent_slices", "Slices by the state they are in.");
  put_by(out, "state", agent.slices_by_state);
  out.counter("runink_agent_slice_starts_total", "Starts of slices, by how: parked, recycled, cold; or refused.");
  put_by(out, "path", agent.starts_by_path);
  out.counter("runink_agent_slice_ends_total", "Ends of slices, by cause.");
  put_by(out, "cause", agent.ends_by_cause);
  out.gauge("runink_agent_parked_slices", "Slices that wait, ready made, by their class.");
  put_by(out, "class", agent.parked_by_class);
  out.counter("runink_agent_launcher_starts_total", "Launchers that were started.").sample(agent.launcher_starts);
  out.counter("runink_agent_ended_cpu_seconds_total", "Processor time that slices have used which have ended.")
      .sample(agent.ended_cpu_seconds);
  out.counter("runink_agent_ended_out_of_memory_kills_total",
              "Processes that were killed at the memory limit of slices which have ended.")
      .sample(agent.ended_out_of_memory_kills);
  if (!agent.leaks) return;
  out.gauge("runink_agent_leaked", "What slices that have ended left behind on this node: 0, or a fault.");
  const LeakCounts& leaks = *agent.leaks;
  out.sample(leaks.processes, {{"kind", "processes"}});
  out.sample(leaks.control_groups, {{"kind", "control_groups"}});
  out.sample(leaks.links, {{"kind", "links"}});
  out.sample(leaks.network_rules, {{"kind", "network_rules"}});
}

// A family of which each slice that has the number gets a sample.
template <typename Number>
void put_each(Exposition& out, const std::vector<SliceSample>& slices, Number number) {
  for (const SliceSample& slice : slices) {
    if (const auto value = number(slice)) out.sample(*value, {{"slice", slice.id}, {"herd", slice.herd}});
  }
}

void put_slices(Exposition& out, const std::vector<SliceSample>& slices) {
  const auto usage = [](auto field) {
    return [field](const SliceSample& slice) {
      using Number = std::decay_t<decltype(field(*slice.usage))>;
      return slice.usage ? std::optional<Number>(field(*slice.usage)) : std::nullopt;
    };
  };
  // Of numbers that not every control group has.
  const auto maybe = [](auto field) {
    return [field](const SliceSample& slice) { return slice.usage ? field(*slice.usage) : std::nullopt; };
  };
  const auto events = [](auto field) {
    return [field](const SliceSample& slice) {
      using Number = std::decay_t<decltype(field(*slice.events))>;
      return slice.events ? std::optional<Number>(field(*slice.events)) : std::nullopt;
    };
  };
  using sandbox::CgroupEvents;
  using sandbox::CgroupUsage;
  out.counter("runink_agent_slice_cpu_user_seconds_total", "Processor time in the slice's own code.");
  put_each(out, slices, usage([](const CgroupUsage& u) { return u.user_seconds; }));
  out.counter("runink_agent_slice_cpu_system_seconds_total", "Processor time in the kernel on the slice's behalf.");
  put_each(out, slices, usage([](const CgroupUsage& u) { return u.system_seconds; }));
  out.gauge("runink_agent_slice_memory_bytes", "Memory that the slice holds, files in memory included.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.memory_bytes; }));
  out.gauge("runink_agent_slice_memory_peak_bytes", "The most memory that the slice held.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.memory_peak_bytes; }));
  out.counter("runink_agent_slice_page_faults_total", "Page faults, major ones included.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.page_faults; }));
  out.counter("runink_agent_slice_major_page_faults_total", "Page faults that had to wait for a disk.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.major_page_faults; }));
  out.counter("runink_agent_slice_read_bytes_total", "Bytes read from block devices.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.io_read_bytes; }));
  out.counter("runink_agent_slice_written_bytes_total", "Bytes written to block devices.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.io_write_bytes; }));
  out.gauge("runink_agent_slice_processes", "Processes and threads of the slice.");
  put_each(out, slices, maybe([](const CgroupUsage& u) { return u.processes; }));
  out.counter("runink_agent_slice_throttled_seconds_total", "Time that the slice was stopped at its processor limit.");
  put_each(out, slices, events([](const CgroupEvents& e) { return e.throttled_seconds; }));
  out.counter("runink_agent_slice_throttled_periods_total", "Periods of 100 ms in which that happened.");
  put_each(out, slices, events([](const CgroupEvents& e) { return e.throttled_periods; }));
  out.counter("runink_agent_slice_out_of_memory_kills_total", "Processes killed at the slice's memory limit.");
  put_each(out, slices, events([](const CgroupEvents& e) { return e.out_of_memory_kills; }));
  out.counter("runink_agent_slice_memory_limit_hits_total", "Times that the slice was at its memory limit.");
  put_each(out, slices, events([](const CgroupEvents& e) { return e.memory_limit_hits; }));
  out.counter("runink_agent_slice_refused_processes_total", "Forks refused at the slice's limit of processes.");
  put_each(out, slices, events([](const CgroupEvents& e) { return e.refused_processes; }));
}

void put_dropped(Exposition& out, const LogStore::Dropped& dropped, Exposition::Labels rate, Exposition::Labels queue,
                 Exposition::Labels disk) {
  out.sample(dropped.rate, rate);
  out.sample(dropped.queue, queue);
  out.sample(dropped.disk, disk);
}

void put_logs(Exposition& out, const LogStore::Counters& logs, const std::map<std::string, LogStore::Dropped>& slices) {
  out.counter("runink_agent_log_lines_total", "Lines of slices written to log files.").sample(logs.lines);
  out.counter("runink_agent_log_bytes_total", "Their bytes, as the slices wrote them.").sample(logs.bytes);
  out.counter("runink_agent_log_dropped_lines_total",
              "Lines dropped: the slice wrote too much (rate), the disk was too slow (queue), or full (disk).");
  put_dropped(out, logs.dropped, {{"reason", "rate"}}, {{"reason", "queue"}}, {{"reason", "disk"}});
  out.counter("runink_agent_slice_log_dropped_lines_total",
              "Lines dropped of each slice that runs, for the same reasons.");
  for (const auto& [slice, dropped] : slices) {
    put_dropped(out, dropped, {{"slice", slice}, {"reason", "rate"}}, {{"slice", slice}, {"reason", "queue"}},
                {{"slice", slice}, {"reason", "disk"}});
  }
  out.counter("runink_agent_log_disk_errors_total", "Times that a log file could not be written.")
      .sample(logs.disk_errors);
  out.gauge("runink_agent_log_disk_full", "1 while log files cannot be written.").sample(logs.disk_full ? 1 : 0);
  out.gauge("runink_agent_log_stored_bytes", "Size of all log files.").sample(logs.stored_bytes);
  out.gauge("runink_agent_logs_stored", "Slices whose log is kept.").sample(logs.stored_logs);
}

void put_fluentd(Exposition& out, const FluentdForwarder::Counters& fluentd) {
  out.gauge("runink_agent_fluentd_connected", "1 while the Fluentd server takes lines.")
      .sample(fluentd.connected ? 1 : 0);
  out.counter("runink_agent_fluentd_acknowledged_lines_total", "Lines that the server has acknowledged.")
      .sample(fluentd.lines_acknowledged);
  out.counter("runink_agent_fluentd_dropped_lines_total", "Lines dropped because the buffer for the server was full.")
      .sample(fluentd.lines_dropped);
  out.counter("runink_agent_fluentd_chunks_sent_again_total",
              "Chunks sent again because they had not been acknowledged: the server may have them twice.")
      .sample(fluentd.chunks_sent_again);
  out.counter("runink_agent_fluentd_failures_total", "Connections that failed or broke.").sample(fluentd.failures);
  out.gauge("runink_agent_fluentd_buffered_bytes", "What waits for the server.").sample(fluentd.buffered_bytes);
  out.gauge("runink_agent_fluentd_buffered_lines", "Lines that wait for it.").sample(fluentd.buffered_lines);
}

void put_process(Exposition& out) {
  const telemetry::ProcessStats process = telemetry::process_stats();
  out.counter("runink_agent_process_cpu_seconds_total", "Processor time of the agent itself.")
      .sample(process.cpu_seconds);
  out.gauge("runink_agent_process_resident_memory_bytes", "Memory of the agent itself.").sample(process.resident_bytes);
  out.gauge("runink_agent_process_open_fds", "Open descriptors of the agent itself.").sample(process.open_fds);
  out.gauge("runink_agent_process_start_time_seconds", "When the agent was started.")
      .sample(process.start_unix_seconds);
}

void put_scrapes(Exposition& out, const std::vector<const MetricsScraper::Target*>& targets, uint64_t refused) {
  out.gauge("runink_agent_slice_scrape_ok", "1 if the slice answered with its metrics when it was last asked.");
  for (const auto* target : targets) {
    out.sample(target->answered ? 1 : 0, {{"slice", target->slice}, {"herd", target->herd}});
  }
  out.gauge("runink_agent_slice_scrape_duration_seconds", "How long that took.");
  for (const auto* target : targets) out.sample(target->seconds, {{"slice", target->slice}, {"herd", target->herd}});
  out.counter("runink_agent_slice_scrape_failures_total", "Times that the slice did not answer as it should.");
  for (const auto* target : targets) out.sample(target->failures, {{"slice", target->slice}, {"herd", target->herd}});
  out.gauge("runink_agent_slice_metrics_refused",
            "Metrics of slices that are left out: their names are the agent's, or have another type elsewhere.")
      .sample(refused);
}

}  // namespace

std::string render_agent_metrics(const MetricsParts& parts) {
  MetricsMerge merge;
  for (const auto* target : parts.scraped) {
    merge.add(target->families, {{"slice", target->slice}, {"herd", target->herd}});
  }
  Exposition out;
  put_node(out, parts.agent);
  put_slices(out, parts.agent.slices);
  if (parts.logs) put_logs(out, *parts.logs, parts.dropped_by_slice);
  if (parts.fluentd) put_fluentd(out, *parts.fluentd);
  put_process(out);
  put_scrapes(out, parts.scraped, merge.refused_families());
  return out.take() + merge.render();
}

}  // namespace runink::agent
