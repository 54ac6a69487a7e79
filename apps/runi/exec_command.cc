#include "exec_command.h"

#include <fmt/format.h>

#include "base/text.h"
#include "model/slice_spec.h"
#include "platform/os/file.h"
#include "worker/launcher/foreground.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/operations.h"

namespace runink {
namespace {

// Those of env(1), timeout(1) and of every container's front end, so that scripts can tell the command's own from
// these.
constexpr int kExitTimedOut = 124;
constexpr int kExitNoSlice = 125;
constexpr int kExitProgramRefused = 126;
constexpr int kExitProgramMissing = 127;
constexpr int kSignalled = 128;

// "NAME=VALUE" at its first "=".
Result<std::pair<std::string, std::string>> read_pair(const cli::Invocation& invocation, const std::string& text,
                                                      const char* flag, const char* form) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    return invocation.usage_error(fmt::format("{} \"{}\" is not {}", flag, escape_control(text), form));
  }
  return std::make_pair(text.substr(0, at), text.substr(at + 1));
}

Status read_secrets(const cli::Invocation& invocation, model::SliceSpec* spec) {
  for (const std::string& text : invocation.texts("secret")) {
    auto [name, file] = RUNINK_TRY(read_pair(invocation, text, "--secret", "NAME=FILE"));
    Result<std::string> bytes = os::read_file(file, model::kMostSecretBytes);
    if (!bytes.ok())
      return std::move(bytes).status().with_context(fmt::format("read the secret {}", escape_control(name)));
    spec->secrets.push_back({std::move(name), std::move(*bytes)});
  }
  return {};
}

Status as_usage(Status status) {
  return status.code() == Code::kInvalidArgument ? std::move(status).with_kind(cli::kKindUsage) : std::move(status);
}

Result<model::SliceSpec> read_spec(const cli::Invocation& invocation) {
  model::SliceSpec spec;
  spec.argv = invocation.texts("COMMAND");
  const std::string here = RUNINK_TRY(os::working_directory());
  for (const std::string& text : invocation.texts("mount")) {
    auto mount = model::parse_mount(text, here);
    if (!mount.ok()) return as_usage(std::move(mount).status());
    spec.mounts.push_back(std::move(*mount));
  }
  for (const std::string& text : invocation.texts("env")) {
    spec.environment.push_back(RUNINK_TRY(read_pair(invocation, text, "--env", "NAME=VALUE")));
  }
  model::add_default_environment(&spec);
  const auto user = model::parse_user(invocation.text("user"));
  if (!user.ok()) return as_usage(user.status());
  std::tie(spec.user, spec.group) = *user;
  spec.working_directory = invocation.text("workdir");
  spec.time_limit_micros = invocation.duration_micros("timeout");
  if (invocation.given("timeout") && spec.time_limit_micros <= 0) {
    return invocation.usage_error("--timeout is more than 0");
  }
  spec.grace_micros = invocation.duration_micros("grace");
  if (invocation.given("cpu")) spec.resources.cpus = invocation.number("cpu");
  if (invocation.given("memory")) spec.resources.memory_bytes = invocation.bytes("memory");
  if (invocation.given("pids")) {
    const int64_t most = invocation.integer("pids");
    if (most < 2 || most > 1'000'000) return invocation.usage_error("--pids is a number from 2 to 1000000");
    spec.resources.processes = static_cast<uint32_t>(most);
  }
  RUNINK_RETURN_IF_ERROR(as_usage(model::validate(spec)));
  RUNINK_RETURN_IF_ERROR(read_secrets(invocation, &spec));
  RUNINK_RETURN_IF_ERROR(as_usage(model::validate(spec)));
  return spec;
}

int exit_code_of(const Status& status) {
  if (status.kind() == sandbox::kKindProgramMissing) return kExitProgramMissing;
  if (status.kind() == sandbox::kKindProgramRefused) return kExitProgramRefused;
  return kExitNoSlice;
}

Result<int> run_slice(cli::Invocation& invocation, model::SliceSpec* spec, const sandbox::Operations& operations) {
  cli::Console& console = invocation.console();
  if (!operations.missing_guarantees.empty()) {
    console.say("note: this slice is weaker than one that root starts: " + join(operations.missing_guarantees, "; "));
  }
  RUNINK_RETURN_IF_ERROR(console.flush());  // what follows on the streams is the command's
  auto launcher = launcher::LauncherClient::start({});
  const auto ended = launcher.ok() ? launcher::run_in_foreground(&*launcher, spec)
                                   : Result<launcher::ForegroundEnd>(launcher.status());
  if (!ended.ok()) {
    console.print_error(ended.status());
    return exit_code_of(ended.status());
  }
  for (const std::string& sentence : ended->end.limits_hit) console.say("limit: " + sentence);
  if (ended->timed_out) {
    console.say(fmt::format("the time limit of {} has ended the command", invocation.text("timeout")));
    return kExitTimedOut;
  }
  return ended->end.exited ? ended->end.code : kSignalled + ended->end.signal;
}

}  // namespace

Result<int> run_exec(cli::Invocation& invocation) {
  model::SliceSpec spec = RUNINK_TRY(read_spec(invocation));
  const auto operations = sandbox::plan_operations(spec, sandbox::gather_host_facts(spec));
  if (!operations.ok()) {
    invocation.console().print_error(operations.status());
    return kExitNoSlice;
  }
  if (invocation.enabled("explain")) {
    invocation.console().out(sandbox::explain(*operations));
    return cli::kExitDone;
  }
  return run_slice(invocation, &spec, *operations);
}

}  // namespace runink
