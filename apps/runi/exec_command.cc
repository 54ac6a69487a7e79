#include "exec_command.h"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/text.h"
#include "exec_by_agent.h"
#include "model/slice_spec.h"
#include "platform/os/file.h"
#include "worker/launcher/foreground.h"
#include "worker/network/resolve.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/slice_errors.h"
#include "worker/sandbox/terminal_relay.h"

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
    if (file.empty()) return invocation.usage_error(fmt::format("--secret {}= names no file", escape_control(name)));
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
template <typename Value>
Result<Value> as_usage(Result<Value> value) {
  if (value.ok()) return value;
  return as_usage(std::move(value).status());
}

Status read_resources(const cli::Invocation& invocation, model::SliceResources* resources) {
  if (invocation.given("cpu")) resources->cpus = invocation.number("cpu");
  if (invocation.given("cpu-weight")) {
    const int64_t weight = invocation.integer("cpu-weight");
    if (weight < 1 || weight > 10'000) return invocation.usage_error("--cpu-weight is a number from 1 to 10000");
    resources->cpu_weight = static_cast<uint32_t>(weight);
  }
  if (invocation.given("memory")) resources->memory_bytes = invocation.bytes("memory");
  if (invocation.given("memory-high")) resources->memory_high_bytes = invocation.bytes("memory-high");
  if (invocation.given("swap")) resources->swap_bytes = invocation.bytes("swap");
  if (invocation.given("pids")) {
    const int64_t most = invocation.integer("pids");
    if (most < 2 || most > 1'000'000) return invocation.usage_error("--pids is a number from 2 to 1000000");
    resources->processes = static_cast<uint32_t>(most);
  }
  if (invocation.given("cpuset")) {
    resources->cpu_set = RUNINK_TRY_CONTEXT(as_usage(model::parse_numbers(invocation.text("cpuset"))), "--cpuset");
  }
  if (invocation.given("numa")) {
    resources->memory_nodes = RUNINK_TRY_CONTEXT(as_usage(model::parse_numbers(invocation.text("numa"))), "--numa");
  }
  for (const std::string& text : invocation.texts("io")) {
    resources->io.push_back(RUNINK_TRY(as_usage(model::parse_io_limit(text))));
  }
  return {};
}

Status read_network(const cli::Invocation& invocation, model::SliceNetwork* network) {
  for (const std::string& text : invocation.texts("network")) {
    network->endpoints.push_back(RUNINK_TRY(as_usage(model::parse_endpoint(text))));
  }
  if (invocation.given("network-rate")) network->bytes_per_second = invocation.bytes("network-rate");
  return {};
}

// "UID[:GID]", or the name of a user of this host, with that user's own group.
Result<model::SliceIdentity> read_identity(const std::string& text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return model::parse_identity(text);
  errno = 0;
  const struct passwd* user = ::getpwnam(text.c_str());
  if (user != nullptr) return model::SliceIdentity{user->pw_uid, user->pw_gid};
  if (errno != 0 && errno != ENOENT) return from_errno(errno, fmt::format("look up the user {}", escape_control(text)));
  return invalid_argument("act as \"{}\": there is no such user on this host", escape_control(text))
      .with_hint("give a name of /etc/passwd, or UID[:GID]");
}

// SIZE or SIZE:FOLDER, relative to `here`.
Status read_scratch(const std::string& text, const std::string& here, model::SliceSpec* spec) {
  const size_t colon = text.find(':');
  if (!parse_bytes(text.substr(0, colon), &spec->scratch_bytes)) {
    return invalid_argument("scratch \"{}\": not SIZE or SIZE:FOLDER", escape_control(text))
        .with_hint("such as 1Gi, or 20Gi:/var/tmp");
  }
  if (colon == std::string::npos) return {};
  spec->scratch_folder = os::normalize_path(os::join_path(here, text.substr(colon + 1)));
  return {};
}

// TERM is of the terminal, and so what a program needs to know of yours.
void add_terminal(model::SliceSpec* spec) {
  spec->terminal = sandbox::TerminalRelay::size_of_caller();
  const bool given = std::any_of(spec->environment.begin(), spec->environment.end(),
                                 [](const auto& entry) { return entry.first == "TERM"; });
  const char* kind = std::getenv("TERM");
  if (!given && kind != nullptr) spec->environment.emplace_back("TERM", kind);
}

Result<model::SliceSpec> read_spec(const cli::Invocation& invocation) {
  model::SliceSpec spec;
  spec.argv = invocation.texts("COMMAND");
  spec.herd = invocation.text("herd");
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
  RUNINK_RETURN_IF_ERROR(read_resources(invocation, &spec.resources));
  if (invocation.given("act-as")) spec.act_as = RUNINK_TRY(as_usage(read_identity(invocation.text("act-as"))));
  if (invocation.given("scratch")) {
    RUNINK_RETURN_IF_ERROR(as_usage(read_scratch(invocation.text("scratch"), here, &spec)));
  }
  for (const std::string& text : invocation.texts("device")) {
    spec.devices.push_back(RUNINK_TRY(as_usage(model::parse_device(text))));
  }
  if (invocation.given("gpu")) spec.gpus = RUNINK_TRY(as_usage(model::parse_gpus(invocation.text("gpu"))));
  RUNINK_RETURN_IF_ERROR(read_network(invocation, &spec.network));
  if (invocation.enabled("terminal")) add_terminal(&spec);
  RUNINK_RETURN_IF_ERROR(as_usage(model::validate(spec)));
  RUNINK_RETURN_IF_ERROR(read_secrets(invocation, &spec));
  RUNINK_RETURN_IF_ERROR(as_usage(model::validate(spec)));
  return spec;
}

std::string describe_usage(const sandbox::SliceUsage& usage) {
  const auto bytes = [](const std::optional<uint64_t>& count) { return count ? human_bytes(*count) : "unknown"; };
  const auto seconds = [](int64_t micros) { return static_cast<double>(micros) / 1e6; };
  return fmt::format(
      "{:.3f} s of processor time ({:.3f} user, {:.3f} system), {} of memory at most, {} read and {} "
      "written, {} page faults ({} from disk)",
      seconds(usage.user_micros + usage.system_micros), seconds(usage.user_micros), seconds(usage.system_micros),
      bytes(usage.peak_memory_bytes), bytes(usage.io_read_bytes), bytes(usage.io_write_bytes),
      human_count(usage.minor_faults + usage.major_faults), human_count(usage.major_faults));
}

int exit_code_of(const Status& status) {
  if (status.kind() == sandbox::kKindProgramMissing) return kExitProgramMissing;
  if (status.kind() == sandbox::kKindProgramRefused) return kExitProgramRefused;
  return kExitNoSlice;
}

// How it ended, and the exit code that says so.
int tell_end(cli::Invocation& invocation, const Result<sandbox::SliceEnd>& ended) {
  cli::Console& console = invocation.console();
  if (!ended.ok()) {
    console.print_error(ended.status());
    return exit_code_of(ended.status());
  }
  for (const std::string& sentence : ended->limits_hit) console.say("limit: " + sentence);
  if (invocation.enabled("usage")) console.say("usage: " + describe_usage(ended->usage));
  if (ended->timed_out) {
    console.say(fmt::format("the time limit of {} has ended the command", invocation.text("timeout")));
    return kExitTimedOut;
  }
  return ended->exited ? ended->code : kSignalled + ended->signal;
}

Result<int> run_slice(cli::Invocation& invocation, model::SliceSpec* spec, const sandbox::Operations& operations) {
  cli::Console& console = invocation.console();
  if (!operations.missing_guarantees.empty()) {
    console.say("note: this slice is weaker than one that root starts: " + join(operations.missing_guarantees, "; "));
  }
  RUNINK_RETURN_IF_ERROR(console.flush());  // what follows on the streams is the command's
  auto launcher = launcher::LauncherClient::start({});
  const auto ended =
      launcher.ok() ? launcher::run_in_foreground(&*launcher, spec) : Result<sandbox::SliceEnd>(launcher.status());
  return tell_end(invocation, ended);
}

}  // namespace

Result<int> run_exec(cli::Invocation& invocation) {
  auto read = read_spec(invocation);
  if (!read.ok() && read.status().kind() != cli::kKindUsage) {
    invocation.console().print_error(read.status());
    return kExitNoSlice;
  }
  model::SliceSpec spec = RUNINK_TRY(std::move(read));
  if (const Status resolved = network::resolve(&spec.network); !resolved.ok()) {
    invocation.console().print_error(resolved);
    return kExitNoSlice;
  }
  if (invocation.enabled("detach") && (invocation.enabled("usage") || spec.terminal)) {
    model::wipe_secrets(&spec);
    return invocation.usage_error("--detach goes with neither --usage nor --terminal: nobody waits for the command");
  }
  if (!invocation.enabled("explain")) {
    if (const auto ended = exec_by_agent(invocation, &spec)) return tell_end(invocation, *ended);
  }
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
