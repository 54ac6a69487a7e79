#include "client/local/sink_targets.h"

#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/text.h"
#include "client/local/local_io.h"
#include "client/local/placed_error.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr int kMostLinks = 40;  // as the kernel has it

// What a path leads to: a file, or the folder and the name under which one would be made.
struct Target {
  uint64_t device = 0, inode = 0;
  std::string name;  // empty: the file itself
  bool operator==(const Target&) const = default;
};

// None for what is no regular file: devices may have several readers and writers.
std::optional<Target> target_of(std::string path) {
  for (int links = 0; links < kMostLinks; ++links) {
    const auto info = os::link_info(path);
    if (!info.ok()) {
      const auto folder = os::file_info(os::folder_of(path));
      if (!folder.ok()) return Target{0, 0, os::normalize_path(path)};
      return Target{folder->device, folder->inode, os::file_name_of(path)};
    }
    if (info->type != os::FileType::kLink) {
      if (!info->regular()) return std::nullopt;
      return Target{info->device, info->inode, ""};
    }
    std::error_code error;
    const std::string next = std::filesystem::read_symlink(path, error).string();
    if (error) return std::nullopt;
    path = os::join_path(os::folder_of(path), next);
  }
  return std::nullopt;
}

std::optional<Target> standard_output() {
  const auto info = os::file_info("/proc/self/fd/1");
  if (!info.ok() || !info->regular()) return std::nullopt;
  return Target{info->device, info->inode, ""};
}

struct Sink {
  const plan::ScenarioPlan* scenario = nullptr;
  const plan::Operator* op = nullptr;
  Target target;
  bool append = false;
};

std::string shown(const plan::Sink& sink) { return sink.locator == "-" ? "standard output" : sink.locator; }

// Files that the scenario reads, with what it calls them.
Result<std::vector<std::pair<Target, std::string>>> read_by(const plan::ScenarioPlan& scenario, const std::string& root) {
  std::vector<std::pair<Target, std::string>> out;
  for (const auto& op : scenario.operators) {
    const auto* source = std::get_if<plan::Source>(&op.parameters);
    if (source == nullptr || !source->exec.empty() || source->locator == "-") continue;
    const auto locator = source_locator(*source, root);
    if (!locator.ok()) continue;  // opening it says so, with its place
    const auto files = connectors::expand(*locator);
    if (!files.ok()) continue;
    for (const std::string& file : *files) {
      if (const auto target = target_of(file)) out.emplace_back(*target, source->locator);
    }
  }
  return out;
}

}  // namespace

Status check_sink_targets(const std::vector<const plan::ScenarioPlan*>& scenarios, const std::string& root) {
  std::vector<Sink> sinks;
  for (const plan::ScenarioPlan* scenario : scenarios) {
    const auto inputs = RUNINK_TRY(read_by(*scenario, root));
    for (const auto& op : scenario->operators) {
      const auto* sink = std::get_if<plan::Sink>(&op.parameters);
      if (sink == nullptr || !sink->exec.empty() || sink->locator.empty()) continue;
      const auto fail = [&](std::string message, std::string hint) {
        return at_place(invalid_argument("{}", message).with_kind("dsl.sink_conflict").with_hint(std::move(hint)),
                        op.location, root, sink->locator);
      };
      const auto locator = RUNINK_TRY_CONTEXT(sink_locator(*sink, root), op.location.to_string());
      const auto target = sink->locator == "-" ? standard_output() : target_of(locator.path);
      if (!target) continue;
      for (const auto& [input, name] : inputs) {
        if (input != *target) continue;
        return fail(fmt::format("{} is also what this scenario reads: it is the same file as {}", shown(*sink), name),
                    "write to another file; a scenario never changes its own input");
      }
      for (const Sink& other : sinks) {
        const auto& with = std::get<plan::Sink>(other.op->parameters);
        if (other.target != *target || (other.scenario != scenario && other.append && sink->mode == "append")) continue;
        return fail(fmt::format("{} is written twice: it is the same file as {}", shown(*sink), shown(with)),
                    fmt::format("the other time at {}; write to different files", other.op->location.to_string()));
      }
      sinks.push_back({scenario, &op, *target, sink->mode == "append"});
    }
  }
  return {};
}

}  // namespace runink::local
