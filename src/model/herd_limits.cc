#include "model/herd_limits.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "model/slice_spec.h"

namespace runink::model {
namespace {

constexpr std::string_view kNames[] = {"cpu",         "cpu-weight", "cpuset", "numa", "memory",
                                       "memory-high", "swap",       "pids",   "io"};
constexpr uint32_t kMostProcesses = 1'000'000;

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Which limits there are, and what each says.
Result<Pairs> split_limits(std::string_view text) {
  Pairs pairs;
  for (const std::string_view part : split(text, ',')) {
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    if (equals != std::string_view::npos && std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) {
      pairs.emplace_back(name, part.substr(equals + 1));
    } else if (pairs.empty() || (pairs.back().first != "io" && equals != std::string_view::npos)) {
      return invalid_argument("\"{}\" is no limit", escape_control(part))
          .with_hint(
              "limits are cpu, cpu-weight, cpuset, numa, memory, memory-high, swap, pids and io, each with =AMOUNT");
    } else {
      pairs.back().second.append(",").append(part);
    }
  }
  return pairs;
}

Status not_a(const std::pair<std::string, std::string>& limit, std::string_view what) {
  return invalid_argument("{}=\"{}\": not {}", limit.first, escape_control(limit.second), what);
}

template <typename Number>
bool parse(const std::string& text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

Status read_bytes(const std::pair<std::string, std::string>& limit, std::optional<uint64_t>* bytes) {
  uint64_t read = 0;
  if (!parse_bytes(limit.second, &read)) return not_a(limit, "a size, such as 4Gi");
  *bytes = read;
  return {};
}

Status read_limit(const std::pair<std::string, std::string>& limit, SliceResources* resources) {
  const auto& [name, text] = limit;
  if (name == "cpu") {
    double cpus = 0;
    if (!parse(text, &cpus)) return not_a(limit, "a number of processors, such as 2 or 0.5");
    resources->cpus = cpus;
  } else if (name == "cpu-weight") {
    uint32_t weight = 0;
    if (!parse(text, &weight)) return not_a(limit, "a number from 1 to 10000");
    resources->cpu_weight = weight;
  } else if (name == "pids") {
    uint32_t most = 0;
    if (!parse(text, &most) || most < 2 || most > kMostProcesses) return not_a(limit, "a number from 2 to 1000000");
    resources->processes = most;
  } else if (name == "cpuset") {
    resources->cpu_set = RUNINK_TRY_CONTEXT(parse_numbers(text), "cpuset");
  } else if (name == "numa") {
    resources->memory_nodes = RUNINK_TRY_CONTEXT(parse_numbers(text), "numa");
  } else if (name == "memory") {
    return read_bytes(limit, &resources->memory_bytes);
  } else if (name == "memory-high") {
    return read_bytes(limit, &resources->memory_high_bytes);
  } else if (name == "swap") {
    return read_bytes(limit, &resources->swap_bytes);
  } else {
    resources->io.push_back(RUNINK_TRY(parse_io_limit(text)));
  }
  return {};
}

bool has(const SliceResources& resources, std::string_view name) {
  return name == "cpu"           ? resources.cpus.has_value()
         : name == "cpu-weight"  ? resources.cpu_weight.has_value()
         : name == "pids"        ? resources.processes.has_value()
         : name == "cpuset"      ? !resources.cpu_set.empty()
         : name == "numa"        ? !resources.memory_nodes.empty()
         : name == "memory"      ? resources.memory_bytes.has_value()
         : name == "memory-high" ? resources.memory_high_bytes.has_value()
         : name == "swap"        ? resources.swap_bytes.has_value()
                                 : false;  // io: of several devices
}

Status read_limits(std::string_view text, SliceResources* resources) {
  for (const auto& limit : RUNINK_TRY(split_limits(text))) {
    if (has(*resources, limit.first)) return invalid_argument("{} is given twice", limit.first);
    RUNINK_RETURN_IF_ERROR(read_limit(limit, resources));
  }
  return validate(*resources);
}

}  // namespace

Status add_herd_limit(const std::string& text, std::vector<HerdLimit>* limits) {
  const size_t colon = text.find(':');
  const std::string herd = text.substr(0, colon);
  if (colon == std::string::npos || !is_herd_name(herd)) {
    return invalid_argument("limit of a herd \"{}\": it begins with no herd's name", escape_control(text))
        .with_hint("HERD:LIMIT=AMOUNT,…, such as etl:cpu=2,memory=4Gi");
  }
  auto at = std::find_if(limits->begin(), limits->end(), [&](const HerdLimit& limit) { return limit.herd == herd; });
  SliceResources resources = at == limits->end() ? SliceResources() : at->resources;
  RUNINK_RETURN_IF_ERROR(read_limits(std::string_view(text).substr(colon + 1), &resources)
                             .with_context(fmt::format("limit the herd {}", herd)));
  if (at == limits->end()) {
    limits->push_back({.herd = herd, .resources = std::move(resources)});
  } else {
    at->resources = std::move(resources);
  }
  return {};
}

}  // namespace runink::model
