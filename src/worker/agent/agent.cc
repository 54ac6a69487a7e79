#include "worker/agent/agent.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/agent/node_rows.h"
#include "worker/sandbox/leftovers.h"

namespace runink::agent {
namespace {

constexpr size_t kMostConnections = 1024, kMostConnectionsOfUser = 64;
constexpr int kConnectionsATurn = 64;
constexpr int64_t kListenPauseNanos = 100'000'000;
constexpr int64_t kSampleNanos = 1'000'000'000;
constexpr int64_t kInventoryNanos = 5'000'000'000;

std::string user_of(uint32_t user) { return user == 0 ? "root" : fmt::format("user {}", user); }

// A folder that others may pass through, since the socket in it decides whom it serves.
Status make_passable(const std::string& folder, uint32_t own_user) {
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, own_user == 0 ? 0755 : 0700));
  struct stat info = {};
  // Slices that were started without an agent may have made it before, for root alone.
  if (own_user == 0 && folder == "/run/runink" && ::stat(folder.c_str(), &info) == 0 && info.st_uid == 0) {
    (void)::chmod(folder.c_str(), 0755);
  }
  return {};
}

// Of a page in Prometheus' text form the samples of one slice, with what is said about their families.
std::string only_of_slice(std::string_view page, const std::string& id) {
  const std::string label = "slice=\"" + id + "\"";
  std::string out, about;
  bool in_comments = false;
  for (const std::string_view line : split(page, '\n')) {
    const bool comment = line.starts_with('#');
    if (comment && !in_comments) about.clear();
    in_comments = comment;
    if (comment) about.append(line) += '\n';
    if (comment || line.find(label) == std::string_view::npos) continue;
    out += std::exchange(about, std::string());
    out.append(line) += '\n';
  }
  return out;
}

}  // namespace

Agent::Agent(net::EventLoop& loop, telemetry::Log& log, AgentOptions options)
    : loop_(loop), log_(log), options_(std::move(options)), own_user_(::geteuid()) {}

Result<std::unique_ptr<Agent>> Agent::start(net::EventLoop& loop, telemetry::Log& log, AgentOptions options) {
  std::unique_ptr<Agent> agent(new Agent(loop, log, std::move(options)));
  RUNINK_RETURN_IF_ERROR(agent->prepare());
  return agent;
}

Agent::~Agent() {
  loop_.cancel(sample_timer_);
  loop_.cancel(listen_timer_);
  if (listener_.valid()) {
    loop_.unwatch(listener_.get());
    // Before the lock is let go of: it is nobody else's.
    (void)os::remove_file(options_.socket);
  }
  sessions_.clear();
  metrics_.reset();
}

Status Agent::prepare() {
  started_micros_ = system_clock().unix_micros();
  RUNINK_RETURN_IF_ERROR(prepare_folders());
  // Callers wait until all is there.
  listener_ = RUNINK_TRY(wire::listen_at(options_.socket));
  if (options_.fluentd) {
    FluentdForwarder::Options fluentd = *options_.fluentd;
    fluentd.node = os::host_name();
    fluentd.log = &log_;
    fluentd_ = RUNINK_TRY(FluentdForwarder::start(std::move(fluentd)));
  }
  LogStore::Options logs = options_.logs;
  logs.folder = os::join_path(options_.state, "logs");
  logs.forwarder = fluentd_.get();
  logs.log = &log_;
  logs_ = RUNINK_TRY(LogStore::open(std::move(logs)));
  slices_ = RUNINK_TRY(Slices::open(loop_, log_, *logs_,
                                    {.records = os::join_path(options_.state, "slices"),
                                     .launcher_path = options_.socket + ".launcher",
                                     .end_found = options_.end_found,
                                     .parked = options_.parked,
                                     .root = own_user_ == 0,
                                     .herd_limits = options_.herd_limits}));
  slices_->set_on_over([this] { look_if_stopped(); });
  context_ = std::unique_ptr<SessionContext>(
      new SessionContext{.loop = loop_,
                         .slices = *slices_,
                         .logs = *logs_,
                         .authority = options_.authority,
                         .own_user = own_user_,
                         .status = [this] { return status(); },
                         .metrics = [this](const std::string& id) { return metrics(id); },
                         .add_usage =
                             [this](SliceView* view) {
                               const auto usage = usage_.usage(view->pid == 0 ? std::string() : view->group);
                               if (!usage) return;
                               view->cpu_seconds = usage->cpu_seconds;
                               view->memory_bytes = usage->memory_bytes;
                               view->memory_peak_bytes = usage->memory_peak_bytes;
                             }});
  publish_sample();
  metrics_ = RUNINK_TRY(MetricsServer::start({.listen = options_.metrics,
                                              .collect = [this] { return collect(); },
                                              .logs = logs_.get(),
                                              .fluentd = fluentd_.get()}));
  return listen();
}

Status Agent::prepare_folders() {
  if (options_.socket.empty()) {
    return failed_precondition("there is no place for the agent's socket: XDG_RUNTIME_DIR is not set")
        .with_hint("log in by a session, or name one: --socket PATH");
  }
  RUNINK_RETURN_IF_ERROR(make_passable(os::folder_of(options_.socket), own_user_));
  RUNINK_RETURN_IF_ERROR(os::make_directories(options_.state, 0700));
  auto lock = os::FileLock::try_acquire(os::join_path(options_.state, "lock"), "runi agent");
  if (!lock.ok()) {
    Status held = std::move(lock).status();
    if (held.code() != Code::kAborted) return held;
    return std::move(held)
        .with_context("an agent runs already")
        .with_hint("`runi agent status` asks it; another needs a --state and a --socket of its own");
  }
  lock_ = std::move(*lock);
  return {};
}

Status Agent::listen() {
  // Everybody may ask, and is told why he is refused.
  if (::chmod(options_.socket.c_str(), own_user_ == 0 ? 0666 : 0600) != 0) {
    return from_errno(errno, "let callers reach " + options_.socket);
  }
  return loop_.watch(listener_.get(), net::EventLoop::kReadable, this);
}

// ---- Connections ----

void Agent::on_io(unsigned) {
  for (int i = 0; i < kConnectionsATurn; ++i) {
    auto socket = wire::accept_from(listener_);
    if (!socket.ok()) {
      log_.warning("agent.connection.failed", socket.status().to_string());
      return pause_listening();
    }
    if (!*socket) return;
    take_connection(std::move(**socket));
  }
}

// Out of descriptors, most likely: not in circles.
void Agent::pause_listening() {
  loop_.set_interest(listener_.get(), 0);
  listen_timer_ = loop_.call_after(kListenPauseNanos, [this] {
    listen_timer_ = 0;
    loop_.set_interest(listener_.get(), net::EventLoop::kReadable);
  });
}

size_t Agent::connections_of(uint32_t user) const {
  return static_cast<size_t>(std::count_if(sessions_.begin(), sessions_.end(),
                                           [&](const auto& entry) { return entry.second->caller().user == user; }));
}

void Agent::take_connection(os::Fd socket) {
  const auto caller = caller_of(socket.get());
  if (!caller.ok()) return;
  // Operators are not kept out by others.
  const Role role = options_.authority.role_of(*caller);
  const bool too_many = role == Role::kOperator ? sessions_.size() >= 2 * kMostConnections
                                                : sessions_.size() >= kMostConnections ||
                                                      connections_of(caller->user) >= kMostConnectionsOfUser;
  if (too_many) {
    wire::Channel channel(std::move(socket));
    const Status why = resource_exhausted("ask the agent: it has too many connections").with_hint("try again later");
    (void)channel.send(static_cast<uint16_t>(AnswerType::kRefused), 0, launcher::encode(why));
    return;
  }
  auto session = Session::begin(*context_, std::move(socket), *caller,
                                [this](Session* closed) { loop_.defer([this, closed] { sessions_.erase(closed); }); });
  Session* key = session.get();
  sessions_.emplace(key, std::move(session));
}

// ---- The end ----

void Agent::stop(bool keep, std::function<void()> stopped) {
  stopping_ = true;
  keep_ = keep;
  stopped_ = std::move(stopped);
  context_->stopping = true;
  slices_->end_all(EndReason::kAgentStopped, !keep);
  loop_.defer([this] { look_if_stopped(); });
}

void Agent::hurry() {
  if (stopping_) slices_->kill_all(EndReason::kAgentStopped, !keep_);
}

void Agent::look_if_stopped() {
  if (!stopping_ || stopped_called_ || slices_->alive(!keep_) > 0) return;
  stopped_called_ = true;
  if (!keep_ || slices_->alive(true) == 0) slices_->stop_launcher();
  loop_.defer([this] { stopped_(); });
}

// ---- What it knows ----

void Agent::publish_sample() {
  loop_.cancel(sample_timer_);
  AgentSample sample;
  sample.version = options_.version;
  std::vector<std::pair<SliceSample, std::string>> running;
  for (SliceView& view : slices_->views(true)) {
    ++sample.slices_by_state[std::string(stage_name(view.stage))];
    if (view.pid == 0) continue;
    running.emplace_back(SliceSample{.id = view.id, .herd = view.herd}, view.group);
  }
  const Slices::Counters counters = slices_->counters();
  sample.starts_by_path = counters.starts_by_path;
  sample.ends_by_cause = counters.ends_by_cause;
  sample.parked_by_class = counters.parked_by_class;
  sample.launcher_starts = counters.launcher_starts;
  sample.ended_cpu_seconds = counters.ended_cpu_seconds;
  sample.ended_out_of_memory_kills = counters.ended_out_of_memory;
  {
    const std::lock_guard lock(mutex_);
    sample_ = std::move(sample);
    running_ = std::move(running);
  }
  sample_timer_ = loop_.call_after(kSampleNanos, [this] { publish_sample(); });
}

AgentSample Agent::collect() {
  AgentSample sample;
  std::vector<std::pair<SliceSample, std::string>> running;
  {
    const std::lock_guard lock(mutex_);
    sample = sample_;
    running = running_;
  }
  for (auto& [slice, group] : running) {
    slice.usage = sampled_usage_.usage(group);
    slice.events = sampled_usage_.events(group);
    sample.slices.push_back(std::move(slice));
  }
  const sandbox::Leftovers left = sandbox::count_leftovers();
  sample.leaks = LeakCounts{.processes = left.processes.left.size(),
                            .control_groups = left.groups.left.size(),
                            .links = left.links.left.size(),
                            .network_rules = left.rules.left.size()};
  return sample;
}

Result<std::string> Agent::metrics(const std::string& id) {
  publish_sample();
  std::string page = metrics_->page();
  if (id.empty()) return page;
  std::string own = only_of_slice(page, id);
  if (own.empty()) {
    return not_found("slice {} has no metrics now", id)
        .with_hint("those of a slice that runs in a control group, since it has limits, are counted");
  }
  return own;
}

std::vector<HerdStatus> Agent::herds() {
  std::vector<HerdStatus> herds;
  for (const model::HerdLimit& limit : options_.herd_limits) {
    herds.push_back({.limit = limit, .usage = usage_.usage(limit.herd), .state = slices_->herd_state(limit.herd)});
  }
  return herds;
}

AgentStatus Agent::status() {
  // It reads a good part of /proc and /sys: not for every caller.
  if (inventory_nanos_ == 0 || loop_.now() - inventory_nanos_ > kInventoryNanos) {
    inventory_ = gather_inventory({.labels = options_.labels});
    inventory_nanos_ = loop_.now();
  }
  const Inventory& inventory = inventory_;
  const size_t alive = slices_->alive(true);
  const pid_t launcher = slices_->launcher().pid();
  AgentStatus status;
  status.rows = {{"version", options_.version},
                 {"process", std::to_string(::getpid())},
                 {"runs as", user_of(own_user_)},
                 {"since", format_utc(started_micros_)},
                 {"socket", options_.socket},
                 {"state", options_.state},
                 {"launcher", launcher == 0 ? "none" : fmt::format("process {}", launcher)},
                 {"slices", std::to_string(alive)}};
  if (const auto& address = metrics_->address())
    status.rows.emplace_back("metrics", "http://" + address->text() + "/metrics");
  const std::vector<HerdStatus> herds = this->herds();
  for (auto& row : herd_rows(herds)) status.rows.push_back(std::move(row));
  for (auto& row : inventory_rows(inventory)) status.rows.push_back(std::move(row));
  status.json = fmt::format(
      R"({{"version":{},"pid":{},"user":{},"since":{},"socket":{},"state":{},"launcher_pid":{},"slices":{},"metrics":{},"herds":{},"node":{}}})",
      json_quote(options_.version), ::getpid(), own_user_, json_quote(format_utc(started_micros_)),
      json_quote(options_.socket), json_quote(options_.state), launcher, alive,
      metrics_->address() ? json_quote(metrics_->address()->text()) : "null", herds_json(herds),
      inventory_json(inventory));
  return status;
}

}  // namespace runink::agent
