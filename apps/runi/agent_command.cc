#include "agent_command.h"

#include <errno.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "agent_access.h"
#include "base/text.h"
#include "client/cli/program.h"
#include "platform/os/file.h"
#include "worker/agent/agent.h"

namespace runink {
namespace {

constexpr uint64_t kMostKeyBytes = 4096;

telemetry::Log::Form log_form(const std::string& asked) {
  const bool text = asked == "text" || (asked == "auto" && ::isatty(STDERR_FILENO) == 1);
  return text ? telemetry::Log::Form::kText : telemetry::Log::Form::kJson;
}

// Each slice takes some, and each caller. Where the machine does not let it, the limit stays as it is.
void take_descriptors() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::string> default_state() {
  if (::geteuid() == 0) return std::string("/var/lib/runink/agent");
  const char* folder = std::getenv("XDG_STATE_HOME");
  if (folder != nullptr && folder[0] == '/') return std::string(folder) + "/runink/agent";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.local/state/runink/agent";
  return failed_precondition("there is no place for the agent's state: HOME is not set")
      .with_hint("name one: --state FOLDER");
}

Result<std::string> read_key(const std::string& file) {
  std::string text = RUNINK_TRY_CONTEXT(os::read_file(file, kMostKeyBytes), "read --fluentd-key-file");
  const std::string key(trim(text));
  if (key.empty()) return invalid_argument("{}: the key is empty", escape_control(file));
  return key;
}

Result<std::optional<agent::FluentdForwarder::Options>> read_fluentd(const cli::Invocation& invocation) {
  if (!invocation.given("fluentd")) {
    for (const char* flag : {"fluentd-key-file", "fluentd-tls", "fluentd-ca"}) {
      if (invocation.given(flag)) return invocation.usage_error(fmt::format("--{} needs --fluentd", flag));
    }
    return std::optional<agent::FluentdForwarder::Options>();
  }
  agent::FluentdForwarder::Options options;
  auto where = net::parse_host_port(invocation.text("fluentd"));
  if (!where.ok()) return invocation.usage_error("--fluentd: " + where.status().message());
  options.where = std::move(*where);
  if (invocation.given("fluentd-key-file"))
    options.shared_key = RUNINK_TRY(read_key(invocation.text("fluentd-key-file")));
  if (invocation.enabled("fluentd-tls") || invocation.given("fluentd-ca")) {
    options.tls = net::ClientTls{.ca_file = invocation.text("fluentd-ca")};
  }
  return std::optional(std::move(options));
}

Result<std::map<std::string, std::string>> read_labels(const cli::Invocation& invocation) {
  std::map<std::string, std::string> labels;
  if (invocation.given("labels")) labels = RUNINK_TRY(agent::read_labels(invocation.text("labels")));
  for (const std::string& text : invocation.texts("label")) {
    auto label = agent::parse_label(text);
    if (!label.ok()) return invocation.usage_error("--label: " + label.status().message());
    labels[label->first] = label->second;
  }
  return labels;
}

Result<agent::AgentOptions> read_options(const cli::Invocation& invocation) {
  agent::AgentOptions options;
  options.version = cli::version();
  options.state =
      RUNINK_TRY(os::absolute_path(invocation.given("state") ? invocation.text("state") : RUNINK_TRY(default_state())));
  options.socket = agent::own_socket_path();
  if (invocation.given("socket")) options.socket = RUNINK_TRY(os::absolute_path(invocation.text("socket")));
  options.authority = agent::Authority(::geteuid());
  for (const std::string& name : invocation.texts("allow-user")) {
    RUNINK_RETURN_IF_ERROR(options.authority.allow_user(name));
  }
  for (const std::string& name : invocation.texts("allow-group")) {
    RUNINK_RETURN_IF_ERROR(options.authority.allow_group(name));
  }
  for (const std::string& text : invocation.texts("herd-limit")) {
    const Status added = model::add_herd_limit(text, &options.herd_limits);
    if (!added.ok()) return invocation.usage_error("--herd-limit: " + added.to_string());
  }
  if (!options.herd_limits.empty() && ::geteuid() != 0) {
    return permission_denied("limit the herd {}: control groups take root", options.herd_limits.front().herd)
        .with_kind("sandbox.limit")
        .with_hint("run the agent as root, or leave --herd-limit out");
  }
  options.end_found = invocation.text("on-start") == "end";
  const int64_t parked = invocation.integer("parked");
  if (parked < 0 || parked > 100) return invocation.usage_error("--parked is a number from 0 to 100");
  options.parked = static_cast<uint32_t>(parked);
  if (invocation.given("metrics")) {
    const auto where = net::parse_host_port(invocation.text("metrics"), true);
    if (!where.ok()) return invocation.usage_error("--metrics: " + where.status().message());
    options.metrics = RUNINK_TRY(net::numeric_address(*where));
  }
  options.fluentd = RUNINK_TRY(read_fluentd(invocation));
  options.labels = RUNINK_TRY(read_labels(invocation));
  return options;
}

// Signals that ask to stop, as a descriptor. Made before there are threads, which then have them blocked, too.
class StopSignals {
 public:
  StopSignals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction action = {};
      // Under nohup it stays ignored.
      const bool ignored = ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
      if (signal != SIGHUP || !ignored) ::sigaddset(&set, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    descriptor_ = os::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signals");
  }
  int descriptor() const { return descriptor_.get(); }
  bool take() const {
    signalfd_siginfo info = {};
    return ::read(descriptor_.get(), &info, sizeof info) == sizeof info;
  }

 private:
  os::Fd descriptor_;
};

// Runs until somebody asks it to stop, and all that ends then has ended. Who asks twice does not wait for any grace.
class Running final : private net::EventLoop::IoHandler {
 public:
  Running(net::EventLoop& loop, telemetry::Log& log, const StopSignals& signals, bool keep)
      : loop_(loop), log_(log), signals_(signals), keep_(keep) {}
  ~Running() { loop_.unwatch(signals_.descriptor()); }

  Status run(agent::AgentOptions options) {
    agent_ = RUNINK_TRY(agent::Agent::start(loop_, log_, std::move(options)));
    RUNINK_RETURN_IF_ERROR(loop_.watch(signals_.descriptor(), net::EventLoop::kReadable, this));
    log_.info("agent.ready", "callers are served",
              {{"socket", agent_->socket()},
               {"pid", ::getpid()},
               {"slices", agent_->slices()},
               {"metrics", agent_->metrics_address() ? agent_->metrics_address()->text() : std::string()}});
    loop_.run();
    const size_t left = agent_->slices();
    agent_.reset();
    log_.info("agent.stopped", "this agent has stopped", {{"slices_left_running", left}});
    return {};
  }

 private:
  void on_io(unsigned) override {
    while (signals_.take()) {
      if (std::exchange(stopping_, true)) {
        agent_->hurry();
        continue;
      }
      log_.info("agent.stopping", "this agent was asked to stop", {{"slices", agent_->slices()}, {"keep", keep_}});
      agent_->stop(keep_, [this] { loop_.stop(); });
    }
  }

  net::EventLoop& loop_;
  telemetry::Log& log_;
  const StopSignals& signals_;
  const bool keep_;
  bool stopping_ = false;
  std::unique_ptr<agent::Agent> agent_;
};

}  // namespace

Result<int> run_agent(cli::Invocation& invocation) {
  if (!invocation.enabled("local")) {
    return invocation.usage_error("an agent serves this machine and no cluster yet: --local says that this is known");
  }
  agent::AgentOptions options = RUNINK_TRY(read_options(invocation));
  take_descriptors();
  ::umask(077);
  // A core file would hold what slices are given.
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const StopSignals signals;
  if (signals.descriptor() < 0) return from_errno(errno, "take the signals that stop an agent");
  telemetry::Log::Options log_options;
  log_options.form = log_form(invocation.text("log"));
  // Many slices may begin and end at once, and each is worth its line.
  log_options.burst = 1000;
  log_options.per_second = 100;
  const auto log = telemetry::Log::to_descriptor(STDERR_FILENO, log_options);
  const std::unique_ptr<net::EventLoop> loop = RUNINK_TRY(net::EventLoop::create());
  const Status why = Running(*loop, *log, signals, invocation.text("on-stop") == "keep").run(std::move(options));
  if (why.ok()) return cli::kExitDone;
  if (log_options.form == telemetry::Log::Form::kText) return why;  // for a person, as every error is told
  log->error("agent.failed", why.to_string(), {{"kind", why.kind()}, {"help", why.hint()}});
  return cli::exit_code(why);
}

}  // namespace runink
