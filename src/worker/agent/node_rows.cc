#include "worker/agent/node_rows.h"

#include <fmt/format.h>

#include "base/text.h"

namespace runink::agent {

std::vector<std::pair<std::string, std::string>> inventory_rows(const Inventory& node) {
  std::vector<std::pair<std::string, std::string>> rows;
  rows.emplace_back("host", node.host_name);
  rows.emplace_back("system", fmt::format("{}, Linux {}, {}", node.system, node.kernel, node.architecture));
  rows.emplace_back("processors", fmt::format("{} ({} may be used here), {} cores, {} sockets; {}", node.processors,
                                              node.usable_processors, node.cores, node.sockets, node.processor_model));
  if (node.numa.size() > 1) rows.emplace_back("NUMA nodes", std::to_string(node.numa.size()));
  rows.emplace_back("memory", fmt::format("{} ({} may be used here), swap {}", human_bytes(node.memory_bytes),
                                          human_bytes(node.usable_memory_bytes), human_bytes(node.swap_bytes)));
  for (const Disk& disk : node.disks) {
    rows.emplace_back("disk", fmt::format("{} ({}:{}), {}{}", disk.name, disk.major, disk.minor,
                                          human_bytes(disk.bytes), disk.rotational ? ", rotating" : ""));
  }
  for (const Space& space : node.spaces) {
    rows.emplace_back("space", fmt::format("{} ({}), {} of {} free", space.path, space.type,
                                           human_bytes(space.free_bytes), human_bytes(space.bytes)));
  }
  rows.emplace_back("control groups", node.control_groups);
  if (node.gpus.gpus.empty()) rows.emplace_back("GPUs", "none: " + node.gpus.why_none);
  for (const Gpu& gpu : node.gpus.gpus) {
    rows.emplace_back("GPU",
                      fmt::format("{}: {}, {}, {}", gpu.index, gpu.name, human_bytes(gpu.memory_bytes), gpu.uuid));
  }
  for (const auto& [key, value] : node.labels) rows.emplace_back("label", key + "=" + value);
  return rows;
}

}  // namespace runink::agent
