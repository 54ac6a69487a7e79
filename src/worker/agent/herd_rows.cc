#include "worker/agent/herd_rows.h"

#include <fmt/format.h>

#include "base/text.h"

namespace runink::agent {
namespace {

std::string usage_text(const sandbox::CgroupUsage& usage) {
  std::string text = fmt::format("{:.1f} s of processor time", usage.cpu_seconds);
  if (usage.memory_bytes) text += fmt::format(", {} of memory", human_bytes(*usage.memory_bytes));
  if (usage.memory_peak_bytes) text += fmt::format(" ({} at most)", human_bytes(*usage.memory_peak_bytes));
  if (usage.processes) text += fmt::format(", {} processes", *usage.processes);
  return text;
}

std::string number(const std::optional<uint64_t>& value) { return value ? std::to_string(*value) : "null"; }

}  // namespace

std::vector<std::pair<std::string, std::string>> herd_rows(const std::vector<HerdStatus>& herds) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const HerdStatus& herd : herds) {
    std::string text = "limited to " + model::describe(herd.limit.resources);
    if (herd.usage) text += "; it uses " + usage_text(*herd.usage);
    if (herd.state && !herd.state->ok()) text += "; its slices are refused: " + herd.state->to_string();
    rows.emplace_back("herd " + herd.limit.herd, std::move(text));
  }
  return rows;
}

std::string herds_json(const std::vector<HerdStatus>& herds) {
  std::vector<std::string> entries;
  for (const HerdStatus& herd : herds) {
    const sandbox::CgroupUsage usage = herd.usage.value_or(sandbox::CgroupUsage());
    entries.push_back(fmt::format(
        R"({{"herd":{},"limits":{},"holds":{},"refused":{},"cpu_seconds":{},"memory_bytes":{},"memory_peak_bytes":{},"processes":{}}})",
        json_quote(herd.limit.herd), json_quote(model::describe(herd.limit.resources)),
        !herd.state        ? "null"
        : herd.state->ok() ? "true"
                           : "false",
        herd.state && !herd.state->ok() ? json_quote(herd.state->to_string()) : "null",
        herd.usage ? fmt::format("{:.6f}", usage.cpu_seconds) : "null", number(usage.memory_bytes),
        number(usage.memory_peak_bytes), number(usage.processes)));
  }
  return "[" + join(entries, ",") + "]";
}

}  // namespace runink::agent
