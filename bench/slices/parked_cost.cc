#include "parked_cost.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "platform/os/file.h"

namespace runink::bench {
namespace {

// "Name:   123 kB" lines.
std::map<std::string, double> kibibytes(const std::string& path) {
  std::map<std::string, double> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    double value = 0;
    if (fields >> name >> value && name.ends_with(':')) out[name.substr(0, name.size() - 1)] += value;
  }
  return out;
}

double kernel_memory() {
  auto memory = kibibytes("/proc/meminfo");
  return memory["Slab"] + memory["KernelStack"] + memory["PageTables"] + memory["SecPageTables"] + memory["Percpu"] +
         memory["VmallocUsed"];
}

// Processes that descend from `ancestor`, with their parents.
std::map<std::string, std::string> descendants(pid_t ancestor) {
  std::map<std::string, std::string> found;
  std::set<std::string> next = {std::to_string(ancestor)};
  while (!next.empty()) {
    std::set<std::string> children;
    for (const std::string& pid : next) {
      std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
      for (std::string child; file >> child;) {
        if (found.emplace(child, pid).second) children.insert(child);
      }
    }
    next = std::move(children);
  }
  return found;
}

// The process that waits for its program has the memory of process 1, which is there once.
bool share_memory(const std::string& one, const std::string& other) {
  constexpr int kMemory = 1;  // KCMP_VM
  return ::syscall(SYS_kcmp, std::stoi(one), std::stoi(other), kMemory, 0, 0) == 0;
}

}  // namespace

Result<ParkedCost> measure_parked_cost(const model::SliceSpec& spec, int slices) {
  // A first one makes what exists once, whatever the number.
  std::unique_ptr<LauncherStarter> warm = RUNINK_TRY(LauncherStarter::make(spec, {.parked = 1}));
  warm.reset();
  // Other programs' memory comes and goes, too: the median of several times.
  std::vector<double> kernel;
  for (int i = 0; i < 4; ++i) {
    const double before = kernel_memory();
    const auto starter = RUNINK_TRY(LauncherStarter::make(spec, {.parked = static_cast<uint32_t>(slices)}));
    kernel.push_back((kernel_memory() - before) / slices);
  }
  const double before = kernel_memory();
  const auto starter = RUNINK_TRY(LauncherStarter::make(spec, {.parked = static_cast<uint32_t>(slices)}));
  ParkedCost cost;
  cost.slices = slices;
  kernel.push_back((kernel_memory() - before) / slices);
  cost.kernel_kib = median(kernel);
  for (const auto& [pid, parent] : descendants(starter->pid())) {
    cost.processes += 1;
    if (share_memory(pid, parent)) continue;
    auto memory = kibibytes("/proc/" + pid + "/smaps_rollup");
    cost.private_kib += memory["Private_Clean"] + memory["Private_Dirty"];
    cost.resident_kib += memory["Rss"];
  }
  if (cost.processes == 0) return internal_error("there is no process of a parked slice below its launcher");
  for (double* value : {&cost.private_kib, &cost.resident_kib, &cost.processes}) *value /= slices;
  return cost;
}

}  // namespace runink::bench
