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

Status above_herd(const std::string& herd, std::string limit, std::string has) {
  return failed_precondition("limit of {}: its herd {} has {}", limit, herd, has)
      .with_kind("sandbox.limit")
      .with_hint("a limit above that of its herd holds nothing; lower it, or leave it out");
}

template <typename Number, typename Show>
Status check_in_herd(const std::string& herd, const char* what, const std::optional<Number>& limit,
                     const std::optional<Number>& of_herd, Show show) {
  if (!limit || !of_herd || *limit <= *of_herd) return {};
  return above_herd(herd, fmt::format("{} {}", what, show(*limit)), show(*of_herd));
}

Status check_in_herd(const std::string& herd, const char* what, const std::vector<uint32_t>& wanted,
                     const std::vector<uint32_t>& of_herd) {
  if (of_herd.empty()) return {};
  for (const uint32_t number : wanted) {
    if (std::find(of_herd.begin(), of_herd.end(), number) != of_herd.end()) continue;
    return above_herd(herd, fmt::format("{} {}", what, number), number_list(of_herd));
  }
  return {};
}

Status check_in_herd(const std::string& herd, const model::SliceIoLimit& limit, const model::SliceIoLimit& of_herd) {
  const std::string disk = escape_control(limit.device);
  const auto check = [&](const char* what, const auto& wanted, const auto& most) {
    return check_in_herd(herd, fmt::format("{} {} to", what, disk).c_str(), wanted, most,
                         [](uint64_t number) { return fmt::format("{} a second", number); });
  };
  RUNINK_RETURN_IF_ERROR(check("bytes read from", limit.read_bytes_per_second, of_herd.read_bytes_per_second));
  RUNINK_RETURN_IF_ERROR(check("bytes written to", limit.write_bytes_per_second, of_herd.write_bytes_per_second));
  RUNINK_RETURN_IF_ERROR(check("reads from", limit.read_operations_per_second, of_herd.read_operations_per_second));
  return check("writes to", limit.write_operations_per_second, of_herd.write_operations_per_second);
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

Status check_fits(const model::SliceResources& resources, const model::HerdLimit& herd) {
  const model::SliceResources& has = herd.resources;
  const std::string& name = herd.herd;
  const auto plain = [](auto number) { return fmt::format("{}", number); };
  RUNINK_RETURN_IF_ERROR(check_in_herd(name, "processors to", resources.cpus, has.cpus, plain));
  RUNINK_RETURN_IF_ERROR(check_in_herd(name, "memory to", resources.memory_bytes, has.memory_bytes, human_bytes));
  RUNINK_RETURN_IF_ERROR(
      check_in_herd(name, "memory, as a high mark, to", resources.memory_high_bytes, has.memory_bytes, human_bytes));
  // A limit of memory that says nothing of swap is one of none.
  const auto swap = has.memory_bytes ? std::optional(has.swap_bytes.value_or(0)) : std::optional<uint64_t>();
  RUNINK_RETURN_IF_ERROR(check_in_herd(name, "swap to", resources.swap_bytes, swap, human_bytes));
  RUNINK_RETURN_IF_ERROR(check_in_herd(name, "processes to", resources.processes, has.processes, plain));
  RUNINK_RETURN_IF_ERROR(check_in_herd(name, "the slice to processor", resources.cpu_set, has.cpu_set));
  RUNINK_RETURN_IF_ERROR(check_in_herd(name, "its memory to NUMA node", resources.memory_nodes, has.memory_nodes));
  for (const model::SliceIoLimit& limit : resources.io) {
    for (const model::SliceIoLimit& of_herd : has.io) {
      if (limit.device == of_herd.device) RUNINK_RETURN_IF_ERROR(check_in_herd(name, limit, of_herd));
    }
  }
  return {};
}

}  // namespace runink::sandbox
