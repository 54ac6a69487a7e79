#include "isolate/slice_specs.h"

#include <algorithm>

#include "client/local/program_files.h"
#include "model/slice_path.h"
#include "platform/os/file.h"
#include "worker/sandbox/host_facts.h"

namespace runink::isolate {
namespace {

constexpr const char* kProgram = "/run/runink/runi-slice";
constexpr std::string_view kStepFolder = "steps/";
constexpr uint64_t kProgramMemory = uint64_t{128} << 20;  // of a stage, besides what its operators hold
constexpr uint64_t kLeastMemory = uint64_t{16} << 20;     // less starts no interpreter
constexpr uint64_t kScratch = uint64_t{16} << 20;         // of a stage, which is handed its files

void limit(const plan::Requires& needs, uint64_t extra_memory, model::SliceResources* resources) {
  if (!sandbox::is_host_root()) return;  // limits take root; the note about slices of others says so
  if (needs.cpu > 0) resources->cpus = std::max(needs.cpu, resources->cpus.value_or(0));
  if (needs.memory_bytes > 0) {
    resources->memory_bytes =
        std::max(std::max(needs.memory_bytes, kLeastMemory) + extra_memory, resources->memory_bytes.value_or(0));
  }
}

// The host's file or folder `path`, at that very path. What lies in the parts of the root that every slice has is
// there.
Status mount_at_its_place(const std::string& path, model::SliceSpec* spec) {
  const std::string source = RUNINK_TRY(os::canonical_path(path));
  const std::string target = os::normalize_path(path);
  if (model::is_within(target, "/usr") && model::is_within(source, "/usr")) return {};
  const auto same = [&](const model::SliceMount& mount) { return mount.target == target; };
  if (std::none_of(spec->mounts.begin(), spec->mounts.end(), same)) spec->mounts.push_back({source, target, false});
  return {};
}

}  // namespace

Result<model::SliceSpec> stage_spec(const plan::Part& part, const std::string& runi_slice) {
  model::SliceSpec spec;
  spec.argv = {kProgram, "serve"};
  spec.mounts.push_back({RUNINK_TRY(os::canonical_path(runi_slice)), kProgram, false});
  spec.scratch_bytes = kScratch;
  model::add_default_environment(&spec);
  limit(part.scenario.needs, kProgramMemory, &spec.resources);
  for (const plan::OperatorId id : part.operators) {
    const plan::Operator& op = part.scenario.operators[id];
    if (!std::holds_alternative<plan::Program>(op.parameters)) limit(op.needs, kProgramMemory, &spec.resources);
  }
  return spec;
}

Result<model::SliceSpec> step_spec(const plan::Operator& op, const local::StepCommand& command,
                                   const std::string& project_root, const std::string& runi_slice) {
  model::SliceSpec spec;
  spec.argv = command.argv;
  spec.environment = std::get<plan::Program>(op.parameters).environment;
  model::add_default_environment(&spec);
  if (!command.library.empty()) {
    spec.argv[0] = kProgram;
    spec.mounts.push_back({RUNINK_TRY(os::canonical_path(runi_slice)), kProgram, false});
    RUNINK_RETURN_IF_ERROR(mount_at_its_place(command.library, &spec));
  } else {
    for (const std::string& file : local::files_of_command(command.argv, project_root)) {
      // A script may load others that lie beside it.
      const bool code = file.starts_with(kStepFolder);
      RUNINK_RETURN_IF_ERROR(mount_at_its_place(os::join_path(project_root, code ? "steps" : file), &spec));
      // A link among them that leads elsewhere leads there in the slice, too.
      const std::string real = RUNINK_TRY(os::canonical_path(os::join_path(project_root, file)));
      if (code && !model::is_within(real, RUNINK_TRY(os::canonical_path(os::join_path(project_root, "steps"))))) {
        RUNINK_RETURN_IF_ERROR(mount_at_its_place(real, &spec));
      }
    }
  }
  // Where its files are; without any there is no such folder.
  const bool inside = std::any_of(spec.mounts.begin(), spec.mounts.end(),
                                  [&](const auto& mount) { return model::is_within(mount.target, project_root); });
  spec.working_directory = inside || model::is_within(project_root, "/usr") ? project_root : "/tmp";
  limit(op.needs, 0, &spec.resources);
  return spec;
}

}  // namespace runink::isolate
