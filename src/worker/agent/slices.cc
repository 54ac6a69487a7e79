#include "worker/agent/slices.h"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "platform/crypto/random.h"
#include "platform/os/machine.h"
#include "platform/os/shell_words.h"

namespace runink::agent {
namespace {

constexpr size_t kMostCommandBytes = 4096;  // of what a record keeps of it
constexpr int64_t kNanosOfMicro = 1000;

int64_t now_nanos() { return os::monotonic_nanos(); }
int64_t now_micros() { return system_clock().unix_micros(); }

// Of what the launcher saw at a moment of the monotonic clock.
int64_t micros_of(int64_t monotonic_nanos) {
  if (monotonic_nanos == 0) return now_micros();
  return now_micros() - (os::monotonic_nanos() - monotonic_nanos) / 1000;
}

bool asks_to_end(int signal) { return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT; }

std::string class_of_pool(const launcher::PoolState& pool) {
  std::string name = pool.herd + (pool.kind == launcher::SliceKind::kEngine ? ", engine" : "");
  if (pool.limited) name += ", limited";
  if (pool.terminal) name += ", terminal";
  return name;
}

Found found_of(const launcher::Adopted* adopted) {
  if (adopted == nullptr) return Found::kUnknown;
  switch (adopted->record.state) {
    case launcher::SliceState::kStarting:
      return Found::kStarting;
    case launcher::SliceState::kRunning:
      return Found::kRunning;
    case launcher::SliceState::kEnded:
      return Found::kEnded;
  }
  return Found::kUnknown;
}

std::vector<std::string> names_of(const std::vector<model::HerdLimit>& limits) {
  std::vector<std::string> names;
  for (const model::HerdLimit& limit : limits) names.push_back(limit.herd);
  return names;
}

bool was_out_of_memory(const sandbox::SliceEnd& end) {
  return std::any_of(end.limits_hit.begin(), end.limits_hit.end(),
                     [](const std::string& sentence) { return sentence.starts_with("out of memory"); });
}

}  // namespace

struct Slices::Slice {
  explicit Slice(SliceRecord r)
      : record(std::move(r)), life(record.options, record.kept), number(slice_number(record.id)) {}

  SliceRecord record;
  Life life;
  const uint64_t number;
  bool limited = false;  // its owner is no operator
  launcher::Started started;
  std::vector<SliceWatcher*> watchers;
  int end_signal = SIGTERM;
  net::EventLoop::TimerId timer = 0;
  bool swept = false;
  Status refusal;

  // Until it is launched.
  launcher::LaunchRequest request;
  std::vector<os::Fd> descriptors;
  os::Pipe output, error;  // of a detached one; the read ends until the capture has them
  os::Fd control;
};

Slices::Slices(net::EventLoop& loop, telemetry::Log& log, LogStore& logs, Options options)
    : loop_(loop),
      log_(log),
      logs_(logs),
      options_(std::move(options)),
      parked_(options_.parked, options_.root, names_of(options_.herd_limits)) {}

Result<std::unique_ptr<Slices>> Slices::open(net::EventLoop& loop, telemetry::Log& log, LogStore& logs,
                                             Options options) {
  std::unique_ptr<Slices> slices(new Slices(loop, log, logs, std::move(options)));
  slices->self_ = std::make_shared<Slices*>(slices.get());
  slices->boot_id_ = os::boot_id();
  slices->records_ = std::make_unique<RecordStore>(RUNINK_TRY(RecordStore::open(slices->options_.records)));
  slices->capture_ =
      RUNINK_TRY(Capture::start(logs, [&loop, self = std::weak_ptr(slices->self_)](const std::string& id) {
        loop.post([self, id] {
          if (const auto alive = self.lock()) (*alive)->on_drained(id);
        });
      }));
  RUNINK_RETURN_IF_ERROR(slices->recover());
  return slices;
}

Slices::~Slices() {
  self_.reset();
  for (auto& [id, slice] : slices_) loop_.cancel(slice->timer);
}

// ---- What a former agent left ----

Status Slices::recover() {
  std::vector<std::string> faults;
  std::vector<SliceRecord> records = RUNINK_TRY(records_->load(&faults));
  for (const std::string& fault : faults) log_.error("agent.record.damaged", fault);
  link_ = RUNINK_TRY(LauncherLink::open(loop_, log_, options_.launcher_path, *this));
  std::map<uint64_t, launcher::Adopted> found;
  if (link_->adopted()) {
    for (launcher::Adopted& one : RUNINK_TRY(link_->list()).slices) found.emplace(one.slice, std::move(one));
  }
  for (SliceRecord& record : records) {
    const auto at = found.find(slice_number(record.id));
    recover_one(std::move(record), at == found.end() ? nullptr : &at->second);
    if (at != found.end()) found.erase(at);
  }
  std::vector<launcher::Adopted> strays;
  for (auto& [number, one] : found) strays.push_back(std::move(one));
  end_strays(std::move(strays));
  drop_oldest_ended();
  on_launcher_started();
  return {};
}

void Slices::recover_one(SliceRecord record, launcher::Adopted* found) {
  const std::string id = record.id;
  const bool was_over = record.kept.stage == Stage::kEnded;
  if (record.boot_id != boot_id_ && record.kept.reason == EndReason::kItself && !was_over) {
    record.kept.reason = EndReason::kHostRestarted;
  }
  if (found != nullptr && found->record.end.timed_out && record.kept.reason == EndReason::kItself) {
    record.kept.reason = EndReason::kTimeLimit;
  }
  if (!was_over && (found == nullptr || found->record.state == launcher::SliceState::kEnded)) {
    record.ended_micros = found != nullptr ? micros_of(found->record.end.at_nanos) : now_micros();
  }
  Slice& slice = *slices_.emplace(id, std::make_unique<Slice>(std::move(record))).first->second;
  if (found != nullptr) {
    slice.started = found->record.started;
    if (!was_over) slice.record.end = found->record.end;
    if (found->kept.size() == 2) {
      slice.output.read = std::move(found->kept[0]);
      slice.error.read = std::move(found->kept[1]);
    }
  }
  if (!was_over) {
    log_.info("agent.slice.found", "a slice of a former agent was found",
              {{"slice", id}, {"herd", slice.record.herd}, {"running", found_of(found) == Found::kRunning}});
  }
  run(slice, slice.life.recover(found_of(found), options_.end_found, now_nanos()));
}

// Slices whose callers waited for them at the former agent, and went with it.
void Slices::end_strays(std::vector<launcher::Adopted> strays) {
  for (const launcher::Adopted& stray : strays) {
    log_.info("agent.slice.stray", "a slice that nobody waits for any more is ended",
              {{"slice", make_slice_id(stray.slice)}, {"herd", stray.record.herd}});
    if (stray.record.state == launcher::SliceState::kEnded) {
      link_->forget(stray.slice);
      continue;
    }
    strays_.insert(stray.slice);
    link_->kill(stray.slice);
  }
}

// ---- Requests ----

Slices::Slice* Slices::find(const std::string& id) const {
  const auto at = slices_.find(id);
  return at == slices_.end() ? nullptr : at->second.get();
}

std::string Slices::new_id() const {
  for (;;) {
    std::string id = make_slice_id(crypto::random_u64());
    if (!slices_.contains(id) && !strays_.contains(slice_number(id))) return id;
  }
}

Status Slices::admit(const SliceRequest& request, bool limited) const {
  size_t all = 0, own = 0;
  for (const auto& [id, slice] : slices_) {
    if (slice->life.done()) continue;
    ++all;
    own += slice->limited && slice->record.owner == request.owner ? 1 : 0;
  }
  if (all >= options_.most) {
    return resource_exhausted("start a slice: this agent has {} already", all).with_hint("wait until some have ended");
  }
  if (limited && own >= options_.most_of_user) {
    return resource_exhausted("start a slice: user {} has {} already", request.owner, own)
        .with_hint("wait until some have ended");
  }
  return {};
}

std::string Slices::start(SliceRequest request, bool limited, SliceWatcher* watcher) {
  const Status admitted = admit(request, limited);
  if (!admitted.ok()) {
    watcher->on_refused(admitted);
    return {};
  }
  SliceRecord record;
  record.id = new_id();
  record.herd = request.launch.spec.herd;
  record.owner = request.owner;
  record.command = os::join_command(request.launch.spec.argv).substr(0, kMostCommandBytes);
  record.boot_id = boot_id_;
  record.requested_micros = now_micros();
  record.options = {.detached = request.detached, .grace_nanos = request.launch.spec.grace_micros * kNanosOfMicro};
  const std::string id = record.id;
  Slice& slice = *slices_.emplace(id, std::make_unique<Slice>(std::move(record))).first->second;
  slice.limited = limited;
  slice.request = std::move(request.launch);
  slice.request.ends_with_owner = !request.detached;
  slice.descriptors = std::move(request.descriptors);
  slice.watchers.push_back(watcher);
  run(slice, slice.life.on(Event::kAccepted));
  if (slice.life.stage() == Stage::kPreparing) run(slice, slice.life.on(Event::kPrepared));
  return id;
}

bool Slices::watch(const std::string& id, SliceWatcher* watcher) {
  Slice* slice = find(id);
  if (slice == nullptr) return false;
  slice->watchers.push_back(watcher);
  return true;
}

void Slices::unwatch(SliceWatcher* watcher) {
  for (auto& [id, slice] : slices_) std::erase(slice->watchers, watcher);
}

void Slices::signal(const std::string& id, int signal) {
  Slice* slice = find(id);
  if (slice == nullptr || slice->life.done()) return;
  if (!asks_to_end(signal)) return link_->signal(slice->number, signal);
  if (slice->life.stage() == Stage::kEnding) return kill(id, EndReason::kAsked);
  slice->end_signal = signal;
  run(*slice, slice->life.ask_to_end(EndReason::kAsked, now_nanos()));
}

void Slices::end(const std::string& id, EndReason reason, std::optional<int64_t> grace_nanos) {
  Slice* slice = find(id);
  if (slice != nullptr) run(*slice, slice->life.ask_to_end(reason, now_nanos(), grace_nanos));
}

void Slices::kill(const std::string& id, EndReason reason) {
  Slice* slice = find(id);
  if (slice != nullptr) run(*slice, slice->life.kill(reason));
}

void Slices::end_all(EndReason reason, bool detached_too) {
  for (auto& [id, slice] : slices_) {
    if (detached_too || !slice->life.options().detached) run(*slice, slice->life.ask_to_end(reason, now_nanos()));
  }
}

void Slices::kill_all(EndReason reason, bool detached_too) {
  for (auto& [id, slice] : slices_) {
    if (detached_too || !slice->life.options().detached) run(*slice, slice->life.kill(reason));
  }
}

// ---- What the launcher and the capture say ----

void Slices::on_launcher_event(launcher::LauncherEvent event) {
  using Kind = launcher::LauncherEvent::Kind;
  if (event.kind == Kind::kPool) {
    counters_.parked_by_class[class_of_pool(event.pool)] = event.pool.ready;
    if (event.pool.failed.ok()) return;
    return log_.warning("agent.parking.failed", event.pool.failed.to_string(), {{"herd", event.pool.herd}});
  }
  if (event.kind == Kind::kHerds) return on_herds(std::move(event.herds));
  if (strays_.contains(event.slice)) {
    if (event.kind == Kind::kStarted) return link_->kill(event.slice);
    strays_.erase(event.slice);
    return link_->forget(event.slice);
  }
  Slice* slice = find(make_slice_id(event.slice));
  if (slice == nullptr) return;
  switch (event.kind) {
    case Kind::kStarted:
      slice->started = event.started;
      slice->control = std::move(event.control);
      slice->record.path = launcher::start_path_name(event.started.path);
      slice->record.started_micros = micros_of(event.started.at_nanos);
      ++counters_.starts_by_path[slice->record.path];
      return run(*slice, slice->life.on(Event::kStarted));
    case Kind::kRefused:
      slice->refusal = std::move(event.refused);
      return run(*slice, slice->life.on(Event::kRefused));
    case Kind::kEnded:
      slice->record.end = std::move(event.end);
      slice->record.ended_micros = micros_of(slice->record.end.at_nanos);
      return run(*slice, slice->life.on(slice->record.end.timed_out ? Event::kTimedOut : Event::kEnded));
    case Kind::kHerds:
    case Kind::kPool:
      return;
  }
}

void Slices::on_launcher_lost(const Status& why) {
  log_.error("agent.launcher.lost", why.to_string(), {{"slices", alive(true)}});
  strays_.clear();
  counters_.parked_by_class.clear();
  for (auto& [id, slice] : slices_) {
    if (slice->life.done()) continue;
    slice->refusal = unavailable("start a slice: the launcher ended meanwhile").with_hint("start it again");
    if (slice->record.ended_micros == 0) slice->record.ended_micros = now_micros();
    run(*slice, slice->life.on(Event::kLauncherLost));
  }
}

// A launcher of a former agent may limit other herds, and so is told in any case.
void Slices::on_launcher_started() {
  herd_states_.clear();
  link_->limit_herds(options_.herd_limits);
  for (const launcher::PoolRequest& request : parked_.all()) link_->keep_parked(request);
}

void Slices::on_herds(std::vector<sandbox::HerdState> states) {
  for (sandbox::HerdState& state : states) {
    if (!state.status.ok()) {
      log_.error("agent.herd.refused",
                 "the limits of a herd do not hold here, so its slices are refused: " + state.status.to_string(),
                 {{"herd", state.herd}, {"help", state.status.hint()}});
    }
    herd_states_[state.herd] = std::move(state.status);
  }
}

std::optional<Status> Slices::herd_state(const std::string& herd) const {
  const auto at = herd_states_.find(herd);
  return at == herd_states_.end() ? std::nullopt : std::optional(at->second);
}

void Slices::on_drained(const std::string& id) {
  Slice* slice = find(id);
  if (slice != nullptr) run(*slice, slice->life.on(Event::kStreamsEnded));
}

// ---- Hooks ----

void Slices::run(Slice& slice, Hooks hooks) {
  for (const Hook hook : hooks) {
    Status done = carry_out(slice, hook);
    if (done.ok()) continue;
    if (slice.life.stage() == Stage::kPreparing || hook == Hook::kLaunch) {
      slice.refusal = std::move(done);
      return run(slice, slice.life.on(hook == Hook::kLaunch ? Event::kRefused : Event::kFailed));
    }
    log_.error("agent.hook.failed", done.to_string(), {{"slice", slice.record.id}, {"hook", hook_name(hook)}});
  }
  after(slice);
}

Status Slices::carry_out(Slice& slice, Hook hook) {
  switch (hook) {
    case Hook::kWriteRecord:
      return write_record(slice);
    case Hook::kOpenStreams:
      return open_streams(slice);
    case Hook::kLaunch:
      return launch(slice);
    case Hook::kTellStarted:
      tell_started(slice);
      return {};
    case Hook::kTellRefused:
      tell_refused(slice);
      return {};
    case Hook::kAskToEnd:
      link_->signal(slice.number, slice.end_signal);
      return {};
    case Hook::kKill:
      link_->kill(slice.number);
      return {};
    case Hook::kDrain:
      capture_->finish(slice.record.id);
      return {};
    case Hook::kWriteEnd:
      write_end(slice);
      return write_record(slice);
    case Hook::kTellEnded:
      tell_ended(slice);
      return {};
    case Hook::kRelease:
      link_->forget(slice.number);
      return {};
    case Hook::kForget:
      forget(slice);
      return {};
  }
  return {};
}

Status Slices::write_record(Slice& slice) {
  slice.record.kept = slice.life.kept();
  return records_->put(slice.record);
}

Status Slices::open_streams(Slice& slice) {
  RUNINK_RETURN_IF_ERROR(logs_.begin({.slice = slice.record.id, .herd = slice.record.herd}));
  if (slice.life.stage() != Stage::kPreparing) {
    return capture_->add(slice.record.id, std::move(slice.output.read), std::move(slice.error.read));
  }
  slice.output = RUNINK_TRY(os::make_pipe("output of a slice"));
  slice.error = RUNINK_TRY(os::make_pipe("error output of a slice"));
  return {};
}

// The descriptors are the launcher's and the slice's from here on, and closed on this side.
Status Slices::launch(Slice& slice) {
  std::vector<os::Fd> given = std::move(slice.descriptors);
  launcher::LaunchDescriptors descriptors;
  size_t streams = 0;
  os::Fd nothing;
  if (slice.life.options().detached) {
    nothing = os::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null");
    if (!nothing.valid()) return from_errno(errno, "open /dev/null");
    descriptors = {.input = nothing.get(), .output = slice.output.write.get(), .error = slice.error.write.get()};
    descriptors.kept = {slice.output.read.get(), slice.error.read.get()};
  } else {
    descriptors = {.input = given[0].get(), .output = given[1].get(), .error = given[2].get()};
    streams = 3;
  }
  for (size_t i = streams; i < given.size(); ++i) descriptors.more.push_back(given[i].get());
  const std::vector<launcher::PoolRequest> parked = parked_.used(slice.request.spec);
  RUNINK_RETURN_IF_ERROR(link_->launch(slice.number, std::move(slice.request), descriptors));
  for (const launcher::PoolRequest& request : parked) link_->keep_parked(request);
  slice.request = {};
  if (!slice.life.options().detached) return {};
  slice.output.write.reset();
  slice.error.write.reset();
  return capture_->add(slice.record.id, std::move(slice.output.read), std::move(slice.error.read));
}

void Slices::write_end(Slice& slice) {
  const SliceRecord& record = slice.record;
  // Also of one whose agent had no time to begin it.
  if (logs_.begin({.slice = record.id, .herd = record.herd}).ok()) {
    for (const std::string& sentence : record.end.limits_hit) logs_.note(record.id, "limit: " + sentence);
    if (slice.life.reason() != EndReason::kItself) {
      logs_.note(record.id, "ended: " + std::string(reason_sentence(slice.life.reason())));
    }
  }
  logs_.end(record.id);
}

void Slices::forget(Slice& slice) {
  const std::string& id = slice.record.id;
  Status removed = records_->remove(id);
  if (!removed.ok()) log_.warning("agent.record.stays", removed.to_string(), {{"slice", id}});
  logs_.end(id);
  removed = logs_.remove(id);
  if (!removed.ok()) log_.warning("agent.log.stays", removed.to_string(), {{"slice", id}});
}

namespace {

template <typename Tell>
void tell_all(const std::vector<SliceWatcher*>& watchers, Tell tell) {
  // Each may unwatch itself or others meanwhile.
  const std::vector<SliceWatcher*> all = watchers;
  for (SliceWatcher* watcher : all) {
    if (std::find(watchers.begin(), watchers.end(), watcher) != watchers.end()) tell(*watcher);
  }
}

}  // namespace

void Slices::tell_started(Slice& slice) {
  const StartedAnswer answer{.id = slice.record.id, .path = slice.record.path};
  tell_all(slice.watchers, [&](SliceWatcher& watcher) { watcher.on_started(answer, slice.control); });
  slice.control.reset();
}

void Slices::tell_refused(Slice& slice) {
  ++counters_.starts_by_path["refused"];
  model::wipe_secrets(&slice.request.spec);
  if (slice.refusal.ok()) {
    slice.refusal = cancelled("start a slice: {}", reason_sentence(slice.life.reason()));
  }
  tell_all(slice.watchers, [&](SliceWatcher& watcher) { watcher.on_refused(slice.refusal); });
}

void Slices::tell_ended(Slice& slice) {
  count_end(slice);
  const EndedAnswer answer{.id = slice.record.id, .reason = slice.life.reason(), .end = slice.record.end};
  tell_all(slice.watchers, [&](SliceWatcher& watcher) { watcher.on_ended(answer); });
}

void Slices::count_end(const Slice& slice) {
  const sandbox::SliceEnd& end = slice.record.end;
  const EndReason reason = slice.life.reason();
  const bool lost = reason == EndReason::kLauncherLost || reason == EndReason::kHostRestarted;
  const char* cause = lost                              ? "launcher_lost"
                      : reason == EndReason::kTimeLimit ? "timed_out"
                      : was_out_of_memory(end)          ? "out_of_memory"
                      : reason != EndReason::kItself    ? "asked"
                      : end.exited                      ? "exited"
                                                        : "signalled";
  ++counters_.ends_by_cause[cause];
  counters_.ended_cpu_seconds += static_cast<double>(end.usage.user_micros + end.usage.system_micros) / 1e6;
  counters_.ended_out_of_memory += was_out_of_memory(end) ? 1 : 0;
}

// What is done after every change.
void Slices::after(Slice& slice) {
  loop_.cancel(slice.timer);
  slice.timer = 0;
  const std::string id = slice.record.id;
  if (const std::optional<int64_t> next = slice.life.next_time()) {
    slice.timer = loop_.call_at(*next, [this, id] {
      Slice* due = find(id);
      if (due == nullptr) return;
      due->timer = 0;
      run(*due, due->life.on_time(now_nanos()));
    });
  }
  if (!slice.life.done() || std::exchange(slice.swept, true)) return;
  // Not now: whoever called may go on with it.
  loop_.defer([self = std::weak_ptr(self_), id] {
    const auto alive = self.lock();
    if (!alive) return;
    Slices& slices = **alive;
    const Slice* over = slices.find(id);
    if (over == nullptr) return;
    if (!over->life.options().detached || over->life.stage() == Stage::kRefused) {
      slices.slices_.erase(id);
    } else {
      slices.drop_oldest_ended();
    }
    if (slices.on_over_) slices.on_over_();
  });
}

void Slices::drop_oldest_ended() {
  std::vector<std::pair<int64_t, std::string>> ended;
  for (const auto& [id, slice] : slices_) {
    if (slice->life.done() && slice->life.options().detached) ended.emplace_back(slice->record.ended_micros, id);
  }
  if (ended.size() <= options_.most_ended) return;
  std::sort(ended.begin(), ended.end());
  ended.resize(ended.size() - options_.most_ended);
  for (const auto& [micros, id] : ended) {
    forget(*find(id));
    slices_.erase(id);
  }
}

// ---- What there is ----

bool Slices::over(const std::string& id) const {
  const Slice* slice = find(id);
  return slice == nullptr || slice->life.done();
}

size_t Slices::alive(bool detached_too) const {
  return static_cast<size_t>(std::count_if(slices_.begin(), slices_.end(), [&](const auto& entry) {
    return !entry.second->life.done() && (detached_too || !entry.second->life.options().detached);
  }));
}

SliceView Slices::view_of(const Slice& slice) const {
  const SliceRecord& record = slice.record;
  return {.id = record.id,
          .herd = record.herd,
          .command = record.command,
          .path = record.path,
          .group = slice.started.group,
          .owner = record.owner,
          .detached = record.options.detached,
          .stage = slice.life.stage(),
          .reason = slice.life.reason(),
          .pid = slice.life.done() ? 0 : slice.started.pid,
          .requested_micros = record.requested_micros,
          .started_micros = record.started_micros,
          .ended_micros = record.ended_micros,
          .end = record.end};
}

std::optional<SliceView> Slices::view(const std::string& id) const {
  const Slice* slice = find(id);
  return slice == nullptr ? std::nullopt : std::optional(view_of(*slice));
}

std::vector<SliceView> Slices::views(bool ended) const {
  std::vector<SliceView> views;
  for (const auto& [id, slice] : slices_) {
    if (ended || !slice->life.done()) views.push_back(view_of(*slice));
  }
  return views;
}

Slices::Counters Slices::counters() const {
  Counters counters = counters_;
  counters.launcher_starts = link_->starts();
  return counters;
}

}  // namespace runink::agent
