#include "worker/sandbox/node_size.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/sandbox/cgroup_files.h"

namespace runink::sandbox {
namespace {

// A file that is not there, or says something else, leaves what it says unknown.
std::vector<uint32_t> read_numbers(const char* path) {
  const auto text = os::read_file(path);
  if (!text.ok()) return {};
  return parse_number_list(trim(*text)).value_or(std::vector<uint32_t>());
}

uint64_t read_count(const char* path) {
  const auto text = os::read_file(path);
  uint64_t count = 0;
  if (text.ok()) (void)std::from_chars(text->data(), text->data() + text->size(), count);
  return count;
}

Status too_large(std::string limit, std::string has) {
  return failed_precondition("limit of {}: this node has {}", limit, has)
      .with_kind("sandbox.limit")
      .with_hint("a limit above what there is holds nothing; lower it, or leave it out");
}

Status check_bytes(const char* what, const std::optional<uint64_t>& limit, uint64_t there) {
  if (!limit || *limit <= there) return {};
  return too_large(fmt::format("{} to {}", what, human_bytes(*limit)), human_bytes(there));
}

Status check_numbers(const char* what, const std::vector<uint32_t>& wanted, const std::vector<uint32_t>& there) {
  if (there.empty()) return {};
  for (const uint32_t number : wanted) {
    if (std::find(there.begin(), there.end(), number) != there.end()) continue;
    return too_large(fmt::format("{} {}", what, number), number_list(there));
  }
  return {};
}

}  // namespace

bool parse_swap_total(std::string_view meminfo, uint64_t* bytes) {
  constexpr std::string_view kName = "SwapTotal:";
  for (std::string_view line : split(meminfo, '\n')) {
    if (!line.starts_with(kName)) continue;
    line = trim(line.substr(kName.size()));
    uint64_t kilobytes = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), kilobytes);
    if (error != std::errc() || std::string_view(end, line.data() + line.size() - end) != " kB") return false;
    *bytes = kilobytes * 1024;
    return true;
  }
  return false;
}

NodeSize read_node_size() {
  NodeSize node;
  node.processors = read_numbers("/sys/devices/system/cpu/online");
  node.memory_nodes = read_numbers("/sys/devices/system/node/online");
  node.memory_bytes = os::physical_memory_bytes();
  if (const auto meminfo = os::read_file("/proc/meminfo"); meminfo.ok()) {
    node.swap_known = parse_swap_total(*meminfo, &node.swap_bytes);
  }
  const uint64_t ids = read_count("/proc/sys/kernel/pid_max"), threads = read_count("/proc/sys/kernel/threads-max");
  node.processes = ids == 0 || threads == 0 ? std::max(ids, threads) : std::min(ids, threads);
  return node;
}

Status check_fits(const model::SliceResources& resources, const NodeSize& node) {
  if (resources.cpus && !node.processors.empty() && *resources.cpus > static_cast<double>(node.processors.size())) {
    return too_large(fmt::format("{} processors", *resources.cpus), std::to_string(node.processors.size()));
  }
  if (node.memory_bytes > 0) {
    RUNINK_RETURN_IF_ERROR(check_bytes("memory", resources.memory_bytes, node.memory_bytes));
    RUNINK_RETURN_IF_ERROR(check_bytes("memory, as a high mark,", resources.memory_high_bytes, node.memory_bytes));
  }
  if (node.swap_known) RUNINK_RETURN_IF_ERROR(check_bytes("swap", resources.swap_bytes, node.swap_bytes));
  if (node.processes > 0 && resources.processes && *resources.processes > node.processes) {
    return too_large(fmt::format("{} processes", *resources.processes), fmt::format("room for {}", node.processes));
  }
  RUNINK_RETURN_IF_ERROR(check_numbers("the slice to processor", resources.cpu_set, node.processors));
  return check_numbers("its memory to NUMA node", resources.memory_nodes, node.memory_nodes);
}

}  // namespace runink::sandbox
