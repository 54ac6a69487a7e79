#include "client/local/sink_targets.h"

#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/text.h"
#include "client/local/local_io.h"
#include "client/local/placed_error.h"
#include "client/local/program_files.h"
#include "platform/config/project_config.h"
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

// Where the links that `path` may be a chain of end; a file need not be there.
std::string end_of_links(std::string path) {
  for (int links = 0; links < kMostLinks; ++links) {
    const auto info = os::link_info(path);
    if (!info.ok() || info->type != os::FileType::kLink) break;
    std::error_code error;
    const std::string next = std::filesystem::read_symlink(path, error).string();
    if (error) break;
    path = os::join_path(os::folder_of(path), next);
  }
  auto whole = os::absolute_path(path);
  return whole.ok() ? std::move(*whole) : path;
}

// None for what is no regular file: devices may have several readers and writers.
std::optional<Target> target_of(const std::string& path) {
  const std::string end = end_of_links(path);
  const auto info = os::file_info(end);
  if (info.ok()) return info->regular() ? std::make_optional(Target{info->device, info->inode, ""}) : std::nullopt;
  const auto folder = os::file_info(os::folder_of(end));
  if (!folder.ok()) return Target{0, 0, os::normalize_path(end)};
  return Target{folder->device, folder->inode, os::file_name_of(end)};
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

// What of the project no run may write to.
class OwnFiles {
 public:
  OwnFiles(const plan::Plan& plan, const std::string& root) {
    for (const std::string folder : {".runink", "contracts", "features", "steps", "golden"}) {
      auto real = os::absolute_path(os::join_path(root, folder));  // it may be a link itself
      if (real.ok()) folders_.emplace_back(std::move(*real), folder);
    }
    std::vector<std::string> files = plan.files;
    files.emplace_back(config::kProjectFile);
    for (std::string& file : program_files(plan, root)) files.push_back(std::move(file));
    for (const std::string& file : files) {
      if (const auto target = target_of(os::join_path(root, file))) targets_.emplace_back(*target, file);
    }
  }
  // What `path` leads to, as a person calls it; empty where that is no file of the project's own.
  std::string at(const std::string& path) const {
    if (const auto target = target_of(path)) {
      for (const auto& [own, name] : targets_) {
        if (own == *target) return name;
      }
    }
    const std::string end = end_of_links(path);
    for (const auto& [folder, name] : folders_) {
      if (end.starts_with(folder + "/")) return name + end.substr(folder.size());
    }
    return "";
  }

 private:
  std::vector<std::pair<std::string, std::string>> folders_;  // where each lies, and its name
  std::vector<std::pair<Target, std::string>> targets_;
};

// `written`: as the feature has it. `at`: what it leads to.
Status refuse_own_file(const std::string& written, const std::string& at, const Location& place, const std::string& root) {
  const std::string also = at == written ? "" : ", which leads to " + at + ",";
  return at_place(invalid_argument("{}{} belongs to the project itself; a run would destroy it", written, also)
                      .with_kind("dsl.sink_conflict")
                      .with_hint("write to a folder of your data, such as out/"),
                  place, root, written);
}

Status check_own_files(const plan::ScenarioPlan& scenario, const OwnFiles& own, const std::string& root) {
  for (const auto& op : scenario.operators) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr || !sink->exec.empty() || sink->locator.empty() || sink->locator == "-") continue;
    const auto locator = RUNINK_TRY_CONTEXT(sink_locator(*sink, root), op.location.to_string());
    if (const std::string at = own.at(locator.path); !at.empty()) return refuse_own_file(sink->locator, at, op.location, root);
  }
  for (const auto& n : scenario.notifications) {
    if (n.channel != "file") continue;
    if (const std::string at = own.at(os::join_path(root, n.target)); !at.empty())
      return refuse_own_file(n.target, at, n.location, root);
  }
  return {};
}

}  // namespace

Status check_sink_targets(const plan::Plan& plan, const std::vector<const plan::ScenarioPlan*>& scenarios,
                          const std::string& root) {
  const OwnFiles own(plan, root);
  for (const plan::ScenarioPlan* scenario : scenarios) RUNINK_RETURN_IF_ERROR(check_own_files(*scenario, own, root));
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
