// runi server
#include <fmt/format.h>

#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "control/node/barn_node.h"
#include "platform/os/signals.h"

namespace runink::plane {

namespace {

constexpr int64_t kStopPollNanos = 20'000'000;

// On a terminal as text, unless something else is asked for.
telemetry::Log::Form log_form(const std::string& asked) {
  const bool text = asked == "text" || (asked == "auto" && ::isatty(STDERR_FILENO) == 1);
  return text ? telemetry::Log::Form::kText : telemetry::Log::Form::kJson;
}

// Connections and tables of the state take descriptors: as many as the machine lets this process have. Where it does
// not let it, the limit stays as it is.
void take_descriptors() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// Runs until somebody asks it to stop, or the member has to.
class Running {
 public:
  Running(net::EventLoop& loop, telemetry::Log& log) : loop_(loop), log_(log) { os::install_stop_signals(&stop_); }

  Status run(const node::NodeOptions& options) {
    node_ = RUNINK_TRY(node::BarnNode::start(loop_, log_, options, [this](const Status& why) {
      why_ = why;
      loop_.stop();
    }));
    watch_for_stop();
    loop_.run();
    node_.reset();
    return why_;
  }

 private:
  void watch_for_stop() {
    if (!stop_.requested()) {
      loop_.call_after(kStopPollNanos, [this] { watch_for_stop(); });
      return;
    }
    log_.info("barn.member.stopping", "this member was asked to stop");
    node_->hand_over([this] { loop_.stop(); });
  }

  net::EventLoop& loop_;
  telemetry::Log& log_;
  inline static StopFlag stop_;  // signals may come until the process ends
  std::unique_ptr<node::BarnNode> node_;
  Status why_;
};

}  // namespace

Result<int> run_server(cli::Invocation& invocation) {
  if (!invocation.enabled("barn-only")) {
    return invocation.usage_error("a member holds the Barn and nothing else yet: --barn-only says that this is known");
  }
  node::NodeOptions options;
  options.folder = invocation.text("FOLDER");
  options.key_file = RUNINK_TRY(key_file_of(invocation));
  options.cache_bytes = std::max<uint64_t>(invocation.bytes("cache"), 1 << 20);
  const int64_t entries = invocation.integer("snapshot-entries");
  if (entries < 10) return invocation.usage_error("--snapshot-entries is at least 10");
  options.snapshot_entries = static_cast<raft::Index>(entries);
  options.keep_entries = static_cast<raft::Index>(entries / 10);
  if (invocation.enabled("moved")) RUNINK_RETURN_IF_ERROR(node::adopt_place(options.folder));

  take_descriptors();
  telemetry::Log::Options log_options;
  log_options.form = log_form(invocation.text("log"));
  const auto log = telemetry::Log::to_descriptor(STDERR_FILENO, log_options);
  const std::unique_ptr<net::EventLoop> loop = RUNINK_TRY(net::EventLoop::create());
  Running running(*loop, *log);
  const Status why = running.run(options);
  if (why.ok()) {
    log->info("barn.member.stopped", "this member has stopped");
    return cli::kExitDone;
  }
  if (log_options.form == telemetry::Log::Form::kText) return why;  // for a person, as every error is told
  // Whoever reads lines gets lines, to the last one.
  log->error("barn.member.failed", why.to_string(), {{"kind", why.kind()}, {"help", why.hint()}});
  return cli::exit_code(why);
}

}  // namespace runink::plane
