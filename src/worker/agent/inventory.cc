#include "worker/agent/inventory.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/sandbox/cgroup_files.h"

namespace runink::agent {
namespace {

constexpr uint64_t kSectorBytes = 512;  // what /sys/block counts in, whatever the disk

// Files of /proc and /sys, which say 0 for their size.
class Host {
 public:
  explicit Host(std::string root) : root_(std::move(root)) {}

  std::string read(const std::string& path) const {
    const auto file = os::open_file(root_ + path);
    if (!file.ok()) return {};
    std::string text;
    char buffer[65536];
    while (text.size() < (16u << 20)) {
      const auto got = os::read_some(*file, buffer, sizeof buffer);
      if (!got.ok() || *got == 0) break;
      text.append(buffer, *got);
    }
    return text;
  }
  std::string word(const std::string& path) const { return std::string(trim(read(path))); }
  std::optional<uint64_t> number(const std::string& path) const {
    const std::string text = word(path);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    return value;
  }
  std::vector<std::string> list(const std::string& path) const {
    auto names = os::list_directory(root_ + path);
    return names.ok() ? std::move(*names) : std::vector<std::string>();
  }

 private:
  std::string root_;
};

// "MemTotal:       24731916 kB" in bytes.
uint64_t meminfo_bytes(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    const size_t at = line.find(key);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = trim(line.substr(at + key.size()));
    uint64_t kilobytes = 0;
    std::from_chars(rest.data(), rest.data() + rest.size(), kilobytes);
    return kilobytes * 1024;
  }
  return 0;
}

void look_at_processors(const Host& host, Inventory* out) {
  const std::string cpuinfo = host.read("/proc/cpuinfo");
  for (const std::string_view line : split(cpuinfo, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || trim(line.substr(0, colon)) != "model name") continue;
    out->processor_model = trim(line.substr(colon + 1));
    break;
  }
  const auto online = sandbox::parse_number_list(host.word("/sys/devices/system/cpu/online"));
  if (!online) return;
  out->processors = static_cast<uint32_t>(online->size());
  std::set<uint64_t> sockets;
  std::set<std::pair<uint64_t, uint64_t>> cores;
  for (const uint32_t processor : *online) {
    const std::string topology = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", processor);
    const auto socket = host.number(topology + "physical_package_id");
    const auto core = host.number(topology + "core_id");
    sockets.insert(socket.value_or(0));
    cores.emplace(socket.value_or(0), core.value_or(processor));
  }
  out->cores = static_cast<uint32_t>(cores.size());
  out->sockets = static_cast<uint32_t>(sockets.size());
}

void look_at_numa(const Host& host, Inventory* out) {
  for (const std::string& name : host.list("/sys/devices/system/node")) {
    NumaNode node;
    const auto [end, error] =
        std::from_chars(name.data() + std::min<size_t>(4, name.size()), name.data() + name.size(), node.number);
    if (!name.starts_with("node") || error != std::errc() || end != name.data() + name.size()) continue;
    const std::string folder = "/sys/devices/system/node/" + name;
    node.processors = sandbox::parse_number_list(host.word(folder + "/cpulist")).value_or(std::vector<uint32_t>());
    node.memory_bytes = meminfo_bytes(host.read(folder + "/meminfo"), "MemTotal:");
    out->numa.push_back(std::move(node));
  }
  std::sort(out->numa.begin(), out->numa.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
}

void look_at_disks(const Host& host, Inventory* out) {
  for (const std::string& name : host.list("/sys/block")) {
    // Of memory, or of files of other disks.
    if (name.starts_with("loop") || name.starts_with("ram") || name.starts_with("zram")) continue;
    const std::string folder = "/sys/block/" + name;
    Disk disk;
    disk.name = name;
    disk.bytes = host.number(folder + "/size").value_or(0) * kSectorBytes;
    if (disk.bytes == 0) continue;
    const std::string numbers = host.word(folder + "/dev");
    const size_t colon = numbers.find(':');
    if (colon != std::string::npos) {
      std::from_chars(numbers.data(), numbers.data() + colon, disk.major);
      std::from_chars(numbers.data() + colon + 1, numbers.data() + numbers.size(), disk.minor);
    }
    disk.rotational = host.number(folder + "/queue/rotational").value_or(0) == 1;
    out->disks.push_back(std::move(disk));
  }
}

// The type of the file system on which a path is: of the last mount whose place is the longest that leads to it.
std::string file_system_of(std::string_view mountinfo, const std::string& path) {
  std::string type;
  size_t longest = 0;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> before = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5) continue;
    const std::string_view place = before[4];
    const bool leads = place == "/" || path == place || (path.starts_with(place) && path[place.size()] == '/');
    if (!leads || place.size() < longest) continue;
    longest = place.size();
    type = after[0];
  }
  return type;
}

void look_at_spaces(const Host& host, const std::vector<std::string>& paths, Inventory* out) {
  const std::string mountinfo = host.read("/proc/self/mountinfo");
  for (const std::string& path : paths) {
    struct statvfs space = {};
    if (::statvfs(path.c_str(), &space) != 0) continue;
    out->spaces.push_back({path, file_system_of(mountinfo, path), uint64_t{space.f_blocks} * space.f_frsize,
                           uint64_t{space.f_bavail} * space.f_frsize});
  }
}

std::string system_name(const Host& host) {
  constexpr std::string_view kKey = "PRETTY_NAME=";
  const std::string text = host.read("/etc/os-release");
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(kKey)) continue;
    line.remove_prefix(kKey.size());
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') line = line.substr(1, line.size() - 2);
    return std::string(line);
  }
  return {};
}

std::string control_groups(const Host& host) {
  const std::string mountinfo = host.read("/proc/self/mountinfo");
  std::vector<std::string> v1, v2;
  for (const sandbox::CgroupMount& mount : sandbox::parse_cgroup_mounts(mountinfo)) {
    if (!mount.v2) {
      v1.insert(v1.end(), mount.controllers.begin(), mount.controllers.end());
      continue;
    }
    const std::string here = host.word(mount.mount_point + "/cgroup.controllers");
    for (const std::string_view name : split(here, ' ')) {
      if (!name.empty()) v2.emplace_back(name);
    }
  }
  std::sort(v1.begin(), v1.end());
  std::string out;
  if (!v2.empty()) out = "v2: " + join(v2, " ");
  if (!v1.empty()) out += std::string(out.empty() ? "" : "; ") + "v1: " + join(v1, " ");
  return out.empty() ? "none" : out;
}

std::string numbers_json(const std::vector<uint32_t>& numbers) {
  std::vector<std::string> texts;
  for (const uint32_t number : numbers) texts.push_back(std::to_string(number));
  return "[" + join(texts, ",") + "]";
}

// "[" + each + "]"
template <typename List, typename Write>
std::string array_json(const List& list, Write write) {
  std::vector<std::string> texts;
  for (const auto& one : list) texts.push_back(write(one));
  return "[" + join(texts, ",") + "]";
}

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

}  // namespace

Inventory gather_inventory(const InventoryOptions& options) {
  const Host host(options.root);
  Inventory out;
  out.host_name = os::host_name();
  utsname names = {};
  if (::uname(&names) == 0) {
    out.kernel = names.release;
    out.architecture = names.machine;
  }
  out.system = system_name(host);
  look_at_processors(host, &out);
  out.usable_processors = static_cast<uint32_t>(os::usable_cpu_count());
  look_at_numa(host, &out);
  const std::string meminfo = host.read("/proc/meminfo");
  out.memory_bytes = meminfo_bytes(meminfo, "MemTotal:");
  out.swap_bytes = meminfo_bytes(meminfo, "SwapTotal:");
  out.usable_memory_bytes = std::min(out.memory_bytes, os::memory_limit_bytes().value_or(out.memory_bytes));
  look_at_disks(host, &out);
  look_at_spaces(host, options.space_paths, &out);
  out.control_groups = control_groups(host);
  out.gpus = find_gpus(options.gpu_library);
  out.labels = options.labels;
  return out;
}

std::string inventory_json(const Inventory& inventory) {
  const Inventory& it = inventory;
  std::string out = "{";
  const auto raw = [&](std::string_view key, const std::string& json) {
    out += out.size() == 1 ? "" : ",";
    append_json_quoted(out, key);
    out += ":" + json;
  };
  const auto text = [&](std::string_view key, const std::string& value) { raw(key, json_quote(value)); };
  text("host_name", it.host_name);
  text("system", it.system);
  text("kernel", it.kernel);
  text("architecture", it.architecture);
  raw("processors",
      fmt::format(R"({{"model":{},"online":{},"cores":{},"sockets":{},"usable":{}}})", json_quote(it.processor_model),
                  it.processors, it.cores, it.sockets, it.usable_processors));
  raw("numa", array_json(it.numa, [](const NumaNode& node) {
        return fmt::format(R"({{"node":{},"processors":{},"memory_bytes":{}}})", node.number,
                           numbers_json(node.processors), node.memory_bytes);
      }));
  raw("memory", fmt::format(R"({{"bytes":{},"usable_bytes":{},"swap_bytes":{}}})", it.memory_bytes,
                            it.usable_memory_bytes, it.swap_bytes));
  raw("disks", array_json(it.disks, [](const Disk& disk) {
        return fmt::format(R"({{"name":{},"device":"{}:{}","bytes":{},"rotational":{}}})", json_quote(disk.name),
                           disk.major, disk.minor, disk.bytes, disk.rotational);
      }));
  raw("spaces", array_json(it.spaces, [](const Space& space) {
        return fmt::format(R"({{"path":{},"type":{},"bytes":{},"free_bytes":{}}})", json_quote(space.path),
                           json_quote(space.type), space.bytes, space.free_bytes);
      }));
  text("control_groups", it.control_groups);
  raw("gpus", array_json(it.gpus.gpus, [](const Gpu& gpu) {
        return fmt::format(
            R"({{"index":{},"uuid":{},"name":{},"bus_id":{},"memory_bytes":{},"device_minor":{},"partitioned":{}}})",
            gpu.index, json_quote(gpu.uuid), json_quote(gpu.name), json_quote(gpu.bus_id), gpu.memory_bytes, gpu.minor,
            gpu.partitioned);
      }));
  text("gpu_driver", it.gpus.driver_version);
  raw("labels", [&] {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : it.labels) pairs.push_back(json_quote(key) + ":" + json_quote(value));
    return "{" + join(pairs, ",") + "}";
  }());
  return out + "}";
}

Result<std::pair<std::string, std::string>> parse_label(std::string_view text) {
  const size_t at = text.find('=');
  const std::string shown = escape_control(text);
  if (at == std::string_view::npos) return invalid_argument("the label \"{}\" is not KEY=VALUE", shown);
  const std::string_view key = trim(text.substr(0, at)), value = trim(text.substr(at + 1));
  const auto fine = [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.' || c == '/'; };
  if (key.empty() || key.size() > 63 || !std::all_of(key.begin(), key.end(), fine) ||
      !is_letter_or_digit(key.front()) || !is_letter_or_digit(key.back())) {
    return invalid_argument(
        "the label \"{}\": a key is 1 to 63 letters, digits, '-', '_', '.' and '/', a letter or digit first and last",
        shown);
  }
  const bool controls =
      std::any_of(value.begin(), value.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  if (value.size() > 255 || controls || !is_valid_utf8(value)) {
    return invalid_argument("the label \"{}\": a value is up to 255 bytes of text without control characters", shown);
  }
  return std::make_pair(std::string(key), std::string(value));
}

Result<std::map<std::string, std::string>> read_labels(const std::string& path) {
  constexpr uint64_t kMostBytes = 1 << 20;
  const std::string text = RUNINK_TRY_CONTEXT(os::read_file(path, kMostBytes), "read the labels of this node");
  std::map<std::string, std::string> labels;
  size_t number = 0;
  for (const std::string_view raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.starts_with('#')) continue;
    auto label = RUNINK_TRY_CONTEXT(parse_label(line), fmt::format("{}:{}", path, number));
    const std::string key = label.first;
    if (!labels.insert(std::move(label)).second) {
      return invalid_argument("{}:{}: the label {} is there twice", path, number, key);
    }
  }
  return labels;
}

}  // namespace runink::agent
