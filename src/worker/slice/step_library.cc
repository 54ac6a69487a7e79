#include "worker/slice/step_library.h"

#include <dlfcn.h>

#include "base/nearest.h"
#include "base/text.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"

namespace runink::slice {

namespace {

constexpr uint32_t kStepsMax = 1000;
constexpr uint64_t kTextMax = 4u << 20;

std::string_view text_of(const runink_step_text& text) {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}

Result<contract::ContractPtr> contract_of(const runink_step_contract* from, const std::string& step, const char* side) {
  if (from == nullptr || from->text.size > kTextMax) return failed_precondition("step \"{}\" has no {} contract", step, side);
  const std::string name(text_of(from->name));
  return RUNINK_TRY_CONTEXT(contract::parse_contract_text(text_of(from->text), "contract " + name + " inside step " + step),
                            fmt::format("read the {} contract of step \"{}\"", side, step));
}

}  // namespace

bool is_step_name(std::string_view name) {
  if (name.empty() || name.size() > 200) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))) return false;
  }
  return true;
}

Result<std::vector<LoadedStep>> load_steps(const std::string& path) {
  if (!RUNINK_TRY(os::file_info(path)).regular()) return invalid_argument("{} is not a file", path);
  // A path without a slash would be looked for in the system's folders.
  const std::string absolute = RUNINK_TRY(os::absolute_path(path));
  void* handle = ::dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();
    return failed_precondition("cannot load {}: {}", path, why == nullptr ? "unknown error" : why)
        .with_hint("build it with: runi compile");
  }
  auto function = reinterpret_cast<runink_step_library_function>(::dlsym(handle, RUNINK_STEP_LIBRARY_SYMBOL));
  const runink_step_library* library = function == nullptr ? nullptr : function();
  if (library == nullptr) {
    return failed_precondition("{} holds no steps: it does not export {}", path, RUNINK_STEP_LIBRARY_SYMBOL)
        .with_hint("a file of steps includes <runink/step/step.h> and is built with: runi compile");
  }
  if (library->abi_version != RUNINK_STEP_ABI_VERSION) {
    return failed_precondition("{} was built for version {} of the step interface, and this runi-slice speaks version {}", path,
                               library->abi_version, RUNINK_STEP_ABI_VERSION)
        .with_kind("step.abi")
        .with_hint("build it again with: runi compile");
  }
  if (library->step_count == 0 || library->steps == nullptr) {
    return failed_precondition("{} holds no steps", path).with_hint("define one with RUNINK_STEP(\"Name\", Input, Output) (…) { … }");
  }
  if (library->step_count > kStepsMax) return failed_precondition("{} says that it holds {} steps", path, library->step_count);
  std::vector<LoadedStep> steps;
  for (uint32_t i = 0; i < library->step_count; ++i) {
    LoadedStep step;
    step.entry = &library->steps[i];
    step.name = std::string(text_of(step.entry->name));
    step.library = path;
    if (!is_step_name(step.name)) {
      return failed_precondition("{} holds a step named \"{}\"", path, escape_control(step.name))
          .with_hint("a step's name has letters, digits, _, - and ., and begins with a letter");
    }
    for (const LoadedStep& other : steps) {
      if (other.name == step.name) return failed_precondition("{} holds two steps named \"{}\"", path, step.name);
    }
    if (step.entry->process == nullptr) return failed_precondition("step \"{}\" of {} has no function", step.name, path);
    step.input = RUNINK_TRY(contract_of(step.entry->input, step.name, "input"));
    step.output = RUNINK_TRY(contract_of(step.entry->output, step.name, "output"));
    steps.push_back(std::move(step));
  }
  return steps;
}

Result<LoadedStep> load_step(const std::string& path, std::string_view name) {
  std::vector<LoadedStep> steps = RUNINK_TRY(load_steps(path));
  std::vector<std::string> names;
  for (LoadedStep& step : steps) {
    if (step.name == name) return std::move(step);
    names.push_back(step.name);
  }
  const auto near = nearest(std::string(name), names);
  return not_found("{} holds no step named \"{}\"", path, escape_control(name))
      .with_hint(near.empty() ? "it holds " + join(names, ", ") : "is \"" + near[0] + "\" meant?");
}

}  // namespace runink::slice
