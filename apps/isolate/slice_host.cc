#include "isolate/slice_host.h"

#include <unistd.h>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/operations.h"

namespace runink::isolate {

using launcher::LauncherEvent;

namespace {
constexpr int64_t kStartNanos = 60'000'000'000;  // the launcher gives up before
}  // namespace

Status SliceHost::begin(const model::SliceSpec& spec) {
  if (launcher_) return {};
  if (!sandbox::is_host_root()) {
    missing_ = RUNINK_TRY(sandbox::plan_operations(spec, sandbox::gather_host_facts(spec))).missing_guarantees;
  }
  launcher_ = RUNINK_TRY_CONTEXT(launcher::LauncherClient::start({}), "start the launcher of slices");
  return {};
}

// Ends are kept, whoever waits for something else.
Result<std::optional<LauncherEvent>> SliceHost::next_event(int64_t timeout_micros) {
  auto event = launcher_->next_event(timeout_micros);
  if (!event.ok()) {
    launcher_gone(event.status());
    return std::move(event).status();
  }
  if (event->has_value() && (*event)->kind == LauncherEvent::Kind::kEnded && running_.erase((*event)->slice) > 0) {
    ended_.push_back({(*event)->slice, std::move((*event)->end)});
  }
  return event;
}

void SliceHost::launcher_gone(const Status& why) {
  for (const uint64_t slice : running_) ended_.push_back({slice, Status(why).with_context("the launcher of slices")});
  running_.clear();
  launcher_.reset();
}

Result<uint64_t> SliceHost::start(const model::SliceSpec& spec, const Streams& streams) {
  RUNINK_RETURN_IF_ERROR(begin(spec));
  const os::Fd null = RUNINK_TRY(os::open_file("/dev/null", os::OpenMode::kReadWrite));
  const auto given = [&](int fd) { return fd >= 0 ? fd : null.get(); };
  const uint64_t slice = ++last_;
  RUNINK_RETURN_IF_ERROR(launcher_->launch(slice, {.spec = spec},
                                           {.input = given(streams.input),
                                            .output = given(streams.output),
                                            .error = given(streams.error),
                                            .more = streams.more}));
  running_.insert(slice);
  const int64_t until = os::monotonic_nanos() + kStartNanos;
  for (;;) {
    const int64_t left = until - os::monotonic_nanos();
    if (left <= 0) return deadline_exceeded("start a slice: the launcher has not answered in time");
    auto event = RUNINK_TRY(next_event(left / 1000));
    if (!event || event->slice != slice) continue;
    if (event->kind == LauncherEvent::Kind::kStarted) return slice;
    if (event->kind == LauncherEvent::Kind::kRefused) {
      running_.erase(slice);
      return std::move(event->refused);
    }
  }
}

void SliceHost::kill(uint64_t slice) {
  if (launcher_ && running_.contains(slice)) (void)launcher_->kill(slice);
}

void SliceHost::add_descriptors(std::vector<pollfd>* out) const {
  if (!launcher_) return;
  out->push_back(
      {launcher_->descriptor(), static_cast<short>(POLLIN | (launcher_->wants_to_write() ? POLLOUT : 0)), 0});
}

std::optional<SliceHost::Ended> SliceHost::next_ended() {
  while (ended_.empty() && launcher_) {
    (void)launcher_->flush();
    auto event = next_event(0);
    if (!event.ok() || !event->has_value()) break;
  }
  if (ended_.empty()) return std::nullopt;
  Ended out = std::move(ended_.front());
  ended_.pop_front();
  return out;
}

}  // namespace runink::isolate
