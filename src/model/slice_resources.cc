#include "model/slice_resources.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "model/slice_path.h"

namespace runink::model {
namespace {

constexpr uint64_t kLeastMemory = 1u << 20;
constexpr uint32_t kMostProcessors = 8192;  // and nodes: more than any kernel is built for

Status check_memory(const SliceResources& resources) {
  if (resources.memory_bytes && *resources.memory_bytes < kLeastMemory) {
    return invalid_argument("limit of memory to {}: the least is 1 MiB", human_bytes(*resources.memory_bytes));
  }
  if (resources.memory_high_bytes && *resources.memory_high_bytes < kLeastMemory) {
    return invalid_argument("high mark of memory at {}: the least is 1 MiB", human_bytes(*resources.memory_high_bytes));
  }
  if (resources.memory_high_bytes && resources.memory_bytes && *resources.memory_high_bytes > *resources.memory_bytes) {
    return invalid_argument("high mark of memory at {}: that is above the limit of {}, and would never be reached",
                            human_bytes(*resources.memory_high_bytes), human_bytes(*resources.memory_bytes));
  }
  if (resources.swap_bytes && !resources.memory_bytes) {
    return invalid_argument("limit of swap to {}: without a limit of memory it would hold nothing",
                            human_bytes(*resources.swap_bytes))
        .with_hint("limit memory, too");
  }
  return {};
}

Status check_numbers(const std::vector<uint32_t>& numbers, const char* what) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] >= kMostProcessors) {
      return invalid_argument("{} {}: numbers are 0 to {}", what, numbers[i], kMostProcessors - 1);
    }
    if (i > 0 && numbers[i] <= numbers[i - 1]) {
      return invalid_argument("{} {}: numbers are sorted, and each is named once", what, numbers[i]);
    }
  }
  return {};
}

Status check_io(const std::vector<SliceIoLimit>& limits) {
  for (size_t i = 0; i < limits.size(); ++i) {
    const SliceIoLimit& limit = limits[i];
    const std::string shown = escape_control(limit.device);
    if (!is_plain_absolute(limit.device) || limit.device == "/dev" || !is_within(limit.device, "/dev")) {
      return invalid_argument("I/O limit of \"{}\": not a device below /dev", shown)
          .with_hint("name the whole disk, such as /dev/sda; lsblk lists them");
    }
    bool any = false;
    for (const auto& value : {limit.read_bytes_per_second, limit.write_bytes_per_second,
                              limit.read_operations_per_second, limit.write_operations_per_second}) {
      if (value && *value == 0) return invalid_argument("I/O limit of {}: the least is 1 a second", shown);
      any = any || value.has_value();
    }
    if (!any) return invalid_argument("I/O limit of {}: it says no limit", shown);
    for (size_t j = 0; j < i; ++j) {
      if (limits[j].device == limit.device) return invalid_argument("I/O limit of {}: given twice", shown);
    }
  }
  return {};
}

std::string list_of(const std::vector<uint32_t>& numbers) {
  std::vector<std::string> texts;
  for (const uint32_t number : numbers) texts.push_back(std::to_string(number));
  return join(texts, ",");
}

bool parse_number(std::string_view text, uint32_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number < kMostProcessors;
}

}  // namespace

Status validate(const SliceResources& resources) {
  if (resources.cpus && !(*resources.cpus >= 0.01 && *resources.cpus <= 100'000)) {
    return invalid_argument("limit of {} processors: the least is 0.01", *resources.cpus);
  }
  if (resources.cpu_weight && (*resources.cpu_weight < 1 || *resources.cpu_weight > 10'000)) {
    return invalid_argument("processor weight of {}: it is 1 to 10000, and 100 without one", *resources.cpu_weight);
  }
  RUNINK_RETURN_IF_ERROR(check_memory(resources));
  if (resources.processes && *resources.processes < 2) {
    return invalid_argument("limit of {} processes: the least is 2, of which one is the slice's own",
                            *resources.processes);
  }
  RUNINK_RETURN_IF_ERROR(check_numbers(resources.cpu_set, "processor"));
  RUNINK_RETURN_IF_ERROR(check_numbers(resources.memory_nodes, "NUMA node"));
  return check_io(resources.io);
}

std::string describe(const SliceResources& resources) {
  std::vector<std::string> parts;
  if (resources.cpus) parts.push_back(fmt::format("{} processors", *resources.cpus));
  if (resources.cpu_weight) parts.push_back(fmt::format("a processor weight of {}", *resources.cpu_weight));
  if (resources.memory_bytes) parts.push_back(human_bytes(*resources.memory_bytes) + " of memory");
  if (resources.memory_high_bytes) {
    parts.push_back("a high mark of memory at " + human_bytes(*resources.memory_high_bytes));
  }
  if (resources.swap_bytes) parts.push_back(human_bytes(*resources.swap_bytes) + " of swap");
  if (resources.processes) parts.push_back(fmt::format("{} processes", *resources.processes));
  if (!resources.cpu_set.empty()) parts.push_back("the processors " + list_of(resources.cpu_set));
  if (!resources.memory_nodes.empty()) parts.push_back("memory of the NUMA nodes " + list_of(resources.memory_nodes));
  for (const SliceIoLimit& limit : resources.io) {
    const auto add = [&](const char* what, const std::optional<uint64_t>& most, bool bytes) {
      if (!most) return;
      parts.push_back(fmt::format("{} {} {} a second", what, escape_control(limit.device),
                                  bytes ? human_bytes(*most) : fmt::format("{} times", *most)));
    };
    add("reading from", limit.read_bytes_per_second, true);
    add("writing to", limit.write_bytes_per_second, true);
    add("reading from", limit.read_operations_per_second, false);
    add("writing to", limit.write_operations_per_second, false);
  }
  return join(parts, ", ");
}

Result<std::vector<uint32_t>> parse_numbers(const std::string& text) {
  std::vector<uint32_t> numbers;
  for (const std::string_view part : split(text, ',')) {
    const size_t dash = part.find('-');
    uint32_t first = 0, last = 0;
    const bool good = parse_number(part.substr(0, dash), &first) &&
                      parse_number(dash == std::string_view::npos ? part : part.substr(dash + 1), &last);
    if (!good || last < first) {
      return invalid_argument("\"{}\": not a list of numbers", escape_control(text))
          .with_hint(fmt::format("such as 0-3,6; from 0 to {}", kMostProcessors - 1));
    }
    for (uint32_t number = first; number <= last; ++number) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

Result<SliceIoLimit> parse_io_limit(const std::string& text) {
  const auto wrong = [&](std::string_view why) {
    return invalid_argument("I/O limit \"{}\": {}", escape_control(text), escape_control(why))
        .with_hint("DEVICE:LIMIT=AMOUNT,…, such as /dev/sda:read=10M,write-ops=200");
  };
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return wrong("it names no limit");
  SliceIoLimit limit{.device = text.substr(0, colon)};
  const std::string rest = text.substr(colon + 1);
  for (const std::string_view part : split(rest, ',')) {
    const size_t equals = part.find('=');
    const std::string_view name = part.substr(0, equals);
    std::optional<uint64_t>* value = name == "read"        ? &limit.read_bytes_per_second
                                     : name == "write"     ? &limit.write_bytes_per_second
                                     : name == "read-ops"  ? &limit.read_operations_per_second
                                     : name == "write-ops" ? &limit.write_operations_per_second
                                                           : nullptr;
    if (value == nullptr) return wrong(fmt::format("\"{}\" is not read, write, read-ops or write-ops", name));
    uint64_t amount = 0;
    if (equals == std::string_view::npos || !parse_bytes(part.substr(equals + 1), &amount)) {
      return wrong(fmt::format("{} needs an amount a second", name));
    }
    if (*value) return wrong(fmt::format("{} is given twice", name));
    *value = amount;
  }
  return limit;
}

}  // namespace runink::model
