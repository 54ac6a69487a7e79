#include "worker/sandbox/operations.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "worker/sandbox/plan_writer.h"
#include "worker/sandbox/seccomp.h"

namespace runink::sandbox {
namespace {

std::string source_says(const MountSource& source) {
  if (source.scratch_bytes > 0) {
    return fmt::format("make an encrypted file system of {} in {}, in a file without a name, with a key of its own",
                       human_bytes(source.scratch_bytes), escape_control(source.path));
  }
  if (source.device) {
    std::string says = fmt::format("open {}, a {} device {}:{}", source.path, source.block ? "block" : "character",
                                   source.device_major, source.device_minor);
    if (source.granted) {
      says += fmt::format("; make a node of it that the slice may {}", source.writable ? "read and write" : "read");
    }
    return says;
  }
  std::string says = fmt::format("open {}, through no symbolic link", escape_control(source.path));
  if (source.by_specification) {
    says += fmt::format(", as {0}:{1} may; the slice acts on it as {0}:{1}", source.user, source.group);
  } else if (source.mapped) {
    says += fmt::format("; the slice acts on it as its owner, {}:{}", source.user, source.group);
  }
  return says;
}

const char* heading(const Operation& operation) {
  switch (operation.place) {
    case Place::kLauncher:
      return "on the host";
    case Place::kInit:
      return "process 1 of the slice";
    case Place::kProgram:
      return "the process that becomes the program";
  }
  return "";
}

}  // namespace

void PlanWriter::open_sources() {
  for (size_t i = 0; i < out_.sources.size(); ++i) {
    add(Place::kLauncher, Action::kOpenSource, source_says(out_.sources[i])).source = static_cast<int>(i);
  }
}

Result<MountSource> source_of(const model::SliceMount& mount, const std::optional<model::SliceIdentity>& act_as,
                              const HostEntry& entry, bool root) {
  MountSource source{.path = mount.source,
                     .folder = entry.kind != HostEntry::Kind::kFile,
                     .writable = mount.writable,
                     .mapped = root && (act_as || entry.owner != 0),
                     .by_specification = root && act_as,
                     .user = act_as ? act_as->user : entry.owner,
                     .group = act_as ? act_as->group : entry.group};
  const bool there = entry.kind == HostEntry::Kind::kFile || entry.kind == HostEntry::Kind::kFolder;
  const bool as_root = !act_as && (entry.owner == 0 || entry.group == 0);
  if (!root || !there || !mount.writable || !as_root) return source;
  const std::string path = escape_control(mount.source);
  return permission_denied("mount {} writable at {}: it belongs to {}, and a slice does not write as root", path,
                           escape_control(mount.target), entry.owner == 0 ? "root" : "the group root")
      .with_hint(
          fmt::format("a program it left there could run as root on this host; give {0} to the user the slice is to act "
                      "as (chown UID:GID), say whom it is to act as (--act-as), or mount it read-only",
                      path));
}

Result<Operations> plan_operations(const model::SliceSpec& spec, const HostFacts& facts) {
  Operations start = RUNINK_TRY(plan_start(spec, facts));
  HostFacts parking_facts = facts;
  if (facts.root) parking_facts.mounts.clear();
  Operations all = RUNINK_TRY(plan_parking(class_of(spec, facts), parking_facts));
  const int offset = static_cast<int>(all.sources.size());
  for (Operation& operation : start.list) {
    if (operation.source >= 0) operation.source += offset;
    all.list.push_back(std::move(operation));
  }
  for (MountSource& source : start.sources) all.sources.push_back(std::move(source));
  all.program_candidates = std::move(start.program_candidates);
  all.device_rules = std::move(start.device_rules);
  all.gpus = std::move(start.gpus);
  all.network = std::move(start.network);
  all.environment = std::move(start.environment);
  return all;
}

std::string explain(const Operations& operations) {
  std::string out;
  const Operation* before = nullptr;
  size_t number = 0;
  for (const Operation& operation : operations.list) {
    if (before == nullptr || before->phase != operation.phase) {
      out += operation.phase == Phase::kPark ? "To park a slice of its class\n" : "To start it\n";
    }
    if (before == nullptr || before->phase != operation.phase || before->place != operation.place) {
      out += fmt::format("{}:\n", heading(operation));
    }
    out += fmt::format("{:4}  {}\n", ++number, operation.says);
    if (operation.action == Action::kFilterCalls) {
      const std::string rules = describe_default_filter();
      for (const std::string_view line : split(rules, '\n')) {
        if (!line.empty()) out += fmt::format("        {}\n", line);
      }
    }
    before = &operation;
  }
  if (!operations.missing_guarantees.empty()) {
    out += "weaker than a slice that root starts:\n";
    for (const std::string& sentence : operations.missing_guarantees) out += fmt::format("      {}\n", sentence);
  }
  return out;
}

}  // namespace runink::sandbox
