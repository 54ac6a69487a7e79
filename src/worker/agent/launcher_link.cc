#include "worker/agent/launcher_link.h"

#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "platform/os/fd.h"
#include "platform/os/machine.h"

namespace runink::agent {
namespace {

constexpr int64_t kFormerOwnerNanos = 5'000'000'000;  // until a launcher knows that the agent before has gone
constexpr int64_t kListMicros = 10'000'000;
constexpr int kStopMillis = 5000;               // for a launcher to end its slices, and itself
constexpr int64_t kPauseNanos = 1'000'000'000;  // between tries to start one

void sleep_briefly() {
  const struct timespec pause = {.tv_sec = 0, .tv_nsec = 20'000'000};
  ::nanosleep(&pause, nullptr);
}

}  // namespace

Result<std::unique_ptr<LauncherLink>> LauncherLink::open(net::EventLoop& loop, telemetry::Log& log, std::string path,
                                                         Owner& owner) {
  std::unique_ptr<LauncherLink> link(new LauncherLink(loop, log, std::move(path), owner));
  Status connected = link->connect();
  if (connected.code() == Code::kNotFound || connected.code() == Code::kUnavailable) {
    RUNINK_RETURN_IF_ERROR(link->start());
  } else {
    RUNINK_RETURN_IF_ERROR(std::move(connected));
    link->adopted_ = true;
  }
  RUNINK_RETURN_IF_ERROR(link->watch());
  return link;
}

LauncherLink::~LauncherLink() {
  loop_.cancel(timer_);
  if (client_) loop_.unwatch(client_->descriptor());
}

// The former agent has ended, since its lock was free; its connection may be a moment behind.
Status LauncherLink::connect() {
  const int64_t deadline = os::monotonic_nanos() + kFormerOwnerNanos;
  for (;;) {
    auto client = launcher::LauncherClient::connect(path_);
    if (client.ok()) {
      client_ = std::make_unique<launcher::LauncherClient>(std::move(*client));
      return {};
    }
    if (client.status().code() != Code::kAborted || os::monotonic_nanos() > deadline) return std::move(client).status();
    sleep_briefly();
  }
}

Status LauncherLink::start() {
  client_ =
      std::make_unique<launcher::LauncherClient>(RUNINK_TRY(launcher::LauncherClient::start({.listen_path = path_})));
  ++starts_;
  started_nanos_ = os::monotonic_nanos();
  return {};
}

Status LauncherLink::watch() {
  writing_ = false;
  RUNINK_RETURN_IF_ERROR(loop_.watch(client_->descriptor(), net::EventLoop::kReadable, this));
  return {};
}

Result<launcher::LauncherState> LauncherLink::list() {
  if (!client_) return unavailable("ask the launcher for its slices: there is none");
  auto state = client_->list(kListMicros);
  if (client_->has_event()) loop_.defer([this] { take_events(); });
  return state;
}

Status LauncherLink::launch(uint64_t slice, launcher::LaunchRequest request,
                            const launcher::LaunchDescriptors& descriptors) {
  if (!client_) {
    return unavailable("start a slice: the launcher has ended, and another could not be started yet")
        .with_hint("the agent's log says why");
  }
  Status sent = client_->launch(slice, std::move(request), descriptors);
  after_sending(sent);
  return sent;
}

void LauncherLink::signal(uint64_t slice, int signal) {
  if (client_) after_sending(client_->signal(slice, signal));
}
void LauncherLink::kill(uint64_t slice) {
  if (client_) after_sending(client_->kill(slice));
}
void LauncherLink::forget(uint64_t slice) {
  if (client_) after_sending(client_->forget(slice));
}
void LauncherLink::keep_parked(const launcher::PoolRequest& request) {
  if (client_) after_sending(client_->keep_parked(request));
}
void LauncherLink::limit_herds(const std::vector<model::HerdLimit>& limits) {
  if (client_) after_sending(client_->limit_herds(limits));
}
void LauncherLink::stop() {
  loop_.cancel(timer_);
  timer_ = 0;
  if (!client_) return;
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, client_->pid(), 0)), "the launcher");
  (void)client_->stop();
  (void)client_->flush();
  struct pollfd ended = {process.get(), POLLIN, 0};
  if (process.valid()) (void)::poll(&ended, 1, kStopMillis);
  loop_.unwatch(client_->descriptor());
  client_.reset();
}

// Whether it has ended is heard by reading: what it sent before is taken first.
void LauncherLink::after_sending(const Status& sent) {
  if (!sent.ok() && sent.code() != Code::kUnavailable) {
    log_.warning("agent.launcher.unheard", "the launcher was not told: " + sent.to_string());
  }
  const bool wants = client_->wants_to_write();
  if (wants == writing_) return;
  writing_ = wants;
  loop_.set_interest(client_->descriptor(), net::EventLoop::kReadable | (wants ? net::EventLoop::kWritable : 0u));
}

void LauncherLink::on_io(unsigned events) {
  if ((events & net::EventLoop::kWritable) != 0) after_sending(client_->flush());
  take_events();
}

void LauncherLink::take_events() {
  // What the owner does with an event may lead here again.
  if (looking_) return;
  looking_ = true;
  Status why;
  for (int taken = 0; client_; ++taken) {
    // Others have their turn, too.
    if (taken == 1000) {
      loop_.defer([this] { take_events(); });
      break;
    }
    auto event = client_->next_event(0);
    if (!event.ok()) {
      why = std::move(event).status();
      break;
    }
    if (!*event) break;
    owner_.on_launcher_event(std::move(**event));
  }
  looking_ = false;
  if (!why.ok()) lose(why);
}

void LauncherLink::lose(const Status& why) {
  loop_.unwatch(client_->descriptor());
  client_.reset();
  owner_.on_launcher_lost(why);
  // One that ends at once is not started in circles.
  const bool at_once = os::monotonic_nanos() - started_nanos_ < kPauseNanos;
  timer_ = loop_.call_after(at_once ? kPauseNanos : 0, [this] { try_again(); });
}

void LauncherLink::try_again() {
  timer_ = 0;
  Status started = start();
  if (started.ok()) started = watch();
  if (started.ok()) {
    log_.info("agent.launcher.started", "another launcher was started", {{"pid", client_->pid()}});
    owner_.on_launcher_started();
    return;
  }
  client_.reset();
  log_.error("agent.launcher.failed", "no launcher could be started: " + started.to_string(),
             {{"help", started.hint()}});
  timer_ = loop_.call_after(kPauseNanos, [this] { try_again(); });
}

}  // namespace runink::agent
