#include "worker/sandbox/slice.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "platform/os/machine.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/slice_errors.h"
#include "worker/sandbox/sources.h"

namespace runink::sandbox {
namespace {

std::string stream_name(size_t number) {
  static constexpr const char* kNames[] = {"input", "output", "error"};
  if (number < std::size(kNames)) return fmt::format("{} (descriptor {})", kNames[number], number);
  return fmt::format("descriptor {}", number);
}

// A folder as a stream would be a way out of the slice's root: openat(0, ".."). What each may be used for comes back.
Result<std::vector<uint8_t>> check_streams(const std::vector<int>& streams) {
  std::vector<uint8_t> grants;
  if (streams.size() < 3 || streams.size() >= static_cast<size_t>(kAboveStreams)) {
    return invalid_argument("start a slice: {} descriptors for its program; it has from 3 to {}", streams.size(),
                            kAboveStreams - 1);
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    struct stat info = {};
    if (::fstat(streams[i], &info) != 0) return from_errno(errno, fmt::format("look at its {}", stream_name(i)));
    const int flags = ::fcntl(streams[i], F_GETFL);
    if (S_ISDIR(info.st_mode) || flags < 0 || (flags & O_PATH) != 0) {
      return invalid_argument("start a slice: its {} is a folder", stream_name(i))
          .with_hint("give it a file, a pipe or a terminal; a slice sees folders by --mount");
    }
    const int mode = flags & O_ACCMODE;
    uint8_t grant = kGrantDevice;
    if (mode != O_WRONLY) grant |= kGrantRead;
    if (mode != O_RDONLY) grant |= kGrantWrite;
    grants.push_back(grant);
  }
  return grants;
}

// What process 1 does, without what only the launcher says. The places in the list stay.
std::vector<Operation> without_words(const std::vector<Operation>& list) {
  std::vector<Operation> out = list;
  for (Operation& operation : out) operation.says.clear();
  return out;
}

std::string with_nul(std::string text) {
  text.push_back('\0');
  return text;
}

std::vector<ProgramStepOf<std::string>> steps_of(const std::vector<Operation>& list) {
  std::vector<ProgramStepOf<std::string>> out;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].place != Place::kProgram) continue;
    out.push_back({.operation = static_cast<uint32_t>(i),
                   .action = list[i].action,
                   .path = with_nul(list[i].path),
                   .number = list[i].number,
                   .second = list[i].second});
  }
  return out;
}

bool has(const Operations& operations, Place place) {
  return std::any_of(operations.list.begin(), operations.list.end(),
                     [&](const Operation& operation) { return operation.place == place; });
}

SliceEnd end_of(const ProgramEnd& told) {
  SliceEnd end{.exited = WIFEXITED(told.wait_status), .usage = told.usage};
  (end.exited ? end.code : end.signal) = end.exited ? WEXITSTATUS(told.wait_status) : WTERMSIG(told.wait_status);
  return end;
}

Status send_order(wire::Channel* to, OrderType type, std::string_view body = {},
                  std::span<const int> descriptors = {}) {
  return to->send(static_cast<uint16_t>(type), 0, body, descriptors);
}

}  // namespace

Slice::Slice(ParkingClass parking, std::shared_ptr<const Operations> operations, SpawnedSlice spawned,
             SliceMakers* makers)
    : class_(std::move(parking)),
      parking_(std::move(operations)),
      makers_(makers),
      first_id_(spawned.first_id),
      pid_(spawned.pid),
      pidfd_(std::move(spawned.pidfd)),
      init_(wire::Channel(std::move(spawned.init))),
      deadline_nanos_(os::monotonic_nanos() + kStartLimitNanos) {}

Result<std::unique_ptr<Slice>> Slice::take(const ParkingClass& parking, std::shared_ptr<const Operations> operations,
                                           const model::SliceResources& resources, SpawnedSlice spawned,
                                           SliceMakers* makers) {
  const std::string group = spawned.group;
  std::unique_ptr<Slice> slice(new Slice(parking, std::move(operations), std::move(spawned), makers));
  if (!group.empty()) {
    slice->group_ = RUNINK_TRY(makers->groups.adopt(group));
    if (resources.any()) RUNINK_RETURN_IF_ERROR(slice->group_.is_limited_to(resources));
  }
  return slice;
}

Slice::~Slice() {
  if (pid_ <= 0 || reaped_) return;
  kill();
  while (::waitpid(pid_, nullptr, __WALL) < 0 && errno == EINTR) {
  }
}

bool Slice::will_do_for(const Operations& start) const { return used_ == 0 || !has(start, Place::kInit); }

Status Slice::start(const model::SliceSpec& spec, Operations start, const std::vector<int>& streams, bool again) {
  RUNINK_CHECK(state_ == State::kParked);
  start_ = std::move(start);
  words_ = {.program = spec.argv[0], .working_directory = spec.working_directory, .user = spec.user};
  std::vector<uint8_t> stream_grants = RUNINK_TRY(check_streams(streams));
  if (class_.limited) RUNINK_RETURN_IF_ERROR(group_.limit(spec.resources, start_.device_rules));
  if (!start_.gpus.gpus.empty()) gpus_ = RUNINK_TRY(take_gpus(start_.gpus));
  if (start_.network) RUNINK_RETURN_IF_ERROR(connect(*start_.network));
  std::vector<OpenSource> sources;
  std::vector<int> trees;
  for (const MountSource& source : start_.sources) {
    OpenSource open = RUNINK_TRY(open_source(source));
    RUNINK_RETURN_IF_ERROR(clone_source(source, first_id_, spec.user, spec.group, &open));
    trees.push_back(open.tree.get());
    sources.push_back(std::move(open));
  }
  execute_ = {.steps = steps_of(start_.list),
              .candidates = {},
              .argv = {},
              .environment = {},
              .stream_grants = std::move(stream_grants)};
  for (const std::string& candidate : start_.program_candidates) execute_.candidates.push_back(with_nul(candidate));
  for (const std::string& word : spec.argv) execute_.argv.push_back(with_nul(word));
  for (const auto* entries : {&spec.environment, &std::as_const(start_.environment)}) {
    for (const auto& [name, value] : *entries) execute_.environment.push_back(with_nul(name + "=" + value));
  }
  deadline_nanos_ = os::monotonic_nanos() + kStartLimitNanos;
  individual_ = has(start_, Place::kInit);
  execute_.scrub = scrubs_itself_ = again && group().empty() && !individual_ && !start_.network;
  if (!individual_) return execute(streams);

  for (const int stream : streams) {
    const int copy = ::fcntl(stream, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return from_errno(errno, "keep a descriptor of a slice's program");
    streams_.emplace_back(copy, "stream");
  }
  // Process 1 stands still until the other has gone; then it makes a new one.
  RUNINK_RETURN_IF_ERROR(send_order(&init_, OrderType::kStepAside));
  PrepareOrder order{.list = without_words(start_.list), .secrets = spec.secrets};
  std::string body = wire::encode_value(order);
  for (model::SliceSecret& secret : order.secrets) ::explicit_bzero(secret.bytes.data(), secret.bytes.size());
  Status sent = send_order(&init_, OrderType::kPrepare, body, trees);
  ::explicit_bzero(body.data(), body.size());
  state_ = State::kPreparing;
  return sent;
}

// Its network namespace is there since it was parked. Process 1 is ours, not reaped, and executes nothing: its number
// means it and no other.
Status Slice::connect(const network::NetworkPlan& plan) {
  const std::string path = fmt::format("/proc/{}/ns/net", pid_);
  const os::Fd its(::open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  if (!its.valid()) return from_errno(errno, "open the network of a slice: " + path);
  network_ = RUNINK_TRY(makers_->networks.attach(plan, its.get()));
  return {};
}

Status Slice::limit(const model::SliceSpec& spec) {
  return spec.resources.any() ? group_.limit(spec.resources) : Status();
}

Status Slice::execute(const std::vector<int>& streams) {
  state_ = State::kStarting;
  const std::string body = wire::encode_value(execute_);
  execute_ = {};
  return send_order(&init_, OrderType::kExecute, body, streams);
}

std::optional<SliceEvent> Slice::next_event() {
  if (auto event = take()) return event;
  return look_for_end();
}

std::optional<SliceEvent> Slice::take() {
  while (init_.valid()) {
    (void)init_.flush();
    auto received = init_.receive();
    if (!received.ok()) {
      init_.close();
    } else if (!*received) {
      break;
    } else if (auto event = understand(std::move(**received))) {
      return event;
    }
  }
  return std::nullopt;
}

std::optional<SliceEvent> Slice::understand(wire::Message message) {
  switch (static_cast<ReportType>(message.type)) {
    case ReportType::kReady:
      if (state_ == State::kEnded && scrubs_itself_) return std::nullopt;  // it is not wanted again, after all
      if (!is_getting_ready()) break;
      if (state_ == State::kPreparing) {
        std::vector<int> streams;
        for (const os::Fd& stream : streams_) streams.push_back(stream.get());
        Status sent = execute(streams);
        streams_.clear();
        if (!sent.ok()) return refuse(std::move(sent));
        return std::nullopt;
      }
      if (Status member = group_.check_member(pid_); !member.ok()) return refuse(std::move(member));
      if (Status counted = group_.begin_counting(); !counted.ok()) return refuse(std::move(counted));
      state_ = State::kParked;
      deadline_nanos_ = 0;
      return SliceEvent{.kind = SliceEvent::Kind::kParked};
    case ReportType::kStarted:
      if (state_ == State::kRefused) return std::nullopt;
      if (state_ != State::kStarting) break;
      return started();
    case ReportType::kFailed: {
      const auto failure = wire::decode_value<StartFailure>(message.body, "a failure");
      if (!failure.ok()) return refuse(failure.status());
      const Operations& from = failure->phase == Phase::kPark ? *parking_ : start_;
      if (failure->operation >= from.list.size()) break;
      return refuse(operation_failed(from.list[failure->operation], failure->error, words_));
    }
    case ReportType::kEnded: {
      const auto ended = wire::decode_value<ProgramEnd>(message.body, "an end");
      if (!ended.ok() || state_ == State::kRefused) return std::nullopt;
      if (state_ != State::kRunning) return refuse(ended_early("a slice ended before its program ran"));
      return finish(end_of(*ended));
    }
    case ReportType::kUnclean:
      if (state_ == State::kEnded && scrubs_itself_) return std::nullopt;
      if (state_ != State::kScrubbing) break;
      state_ = State::kRefused;
      deadline_nanos_ = 0;
      return SliceEvent{.kind = SliceEvent::Kind::kUnclean, .left = std::move(message.body)};
  }
  return refuse(internal_error("process 1 of a slice said something unexpected ({})", message.type));
}

SliceEvent Slice::started() {
  state_ = State::kRunning;
  deadline_nanos_ = 0;
  return SliceEvent{.kind = SliceEvent::Kind::kStarted};
}

SliceEvent Slice::refuse(Status status) {
  state_ = State::kRefused;
  deadline_nanos_ = 0;
  kill();
  return SliceEvent{.kind = SliceEvent::Kind::kRefused, .status = std::move(status)};
}

// Its limits hold for what is done to prepare it, too.
Status Slice::ended_early(const char* what) const {
  const std::vector<std::string> hit = group_.limits_hit();
  if (hit.empty()) return internal_error("{}", what);
  return resource_exhausted("{}: {}", what, join(hit, "; ")).with_kind("sandbox.limit");
}

SliceEvent Slice::finish(SliceEnd end) {
  SliceEvent event{.kind = SliceEvent::Kind::kEnded, .end = std::move(end)};
  event.end.at_nanos = os::monotonic_nanos();
  event.end.limits_hit = group_.limits_hit();
  group_.add_usage(&event.end.usage);
  gpus_.clear();
  state_ = State::kEnded;
  ++used_;
  return event;
}

// Process 1 ends last: the kernel kills and reaps all others of its namespace before its own end is told.
std::optional<SliceEvent> Slice::look_for_end() {
  // As long as its socket has not ended, it lives, or has said something that was not heard yet.
  if (state_ == State::kGone || pid_ <= 0 || init_.valid()) return std::nullopt;
  if (!reaped_) {
    int status = 0;
    const pid_t waited = ::waitpid(pid_, &status, WNOHANG | __WALL);
    if (waited != pid_ && !(waited < 0 && errno == ECHILD)) return std::nullopt;
    reaped_ = true;
    network_.detach();  // not sooner: what its sockets said when they were closed had to get out
    pidfd_.reset();
    deadline_nanos_ = 0;
  }
  switch (state_) {
    case State::kRunning:
      // It was killed, or ran out of memory, before it could tell how its program did.
      return finish(SliceEnd{.signal = SIGKILL});
    case State::kStarting:
      // Nobody is left who could say whether the program ran: it may have.
      return started();
    case State::kParking:
    case State::kParked:
    case State::kPreparing:
      return refuse(ended_early("process 1 of a slice ended before its program ran"));
    default:
      state_ = State::kGone;
      return SliceEvent{.kind = SliceEvent::Kind::kGone};
  }
}

Status Slice::give_up() {
  state_ = State::kRefused;
  deadline_nanos_ = 0;
  kill();
  return not_ready_in_time();
}

Status not_ready_in_time() {
  return deadline_exceeded("start a slice: it was not ready after {} s", kStartLimitNanos / 1'000'000'000)
      .with_hint("does a file system that it mounts still answer?");
}

void Slice::signal(int signal) {
  if (init_.valid() && state_ == State::kRunning) {
    (void)send_order(&init_, OrderType::kSignal, wire::encode_value(int32_t{signal}));
  }
}

void Slice::kill() {
  if (pid_ > 0 && !reaped_) (void)raw::send_signal(pidfd_.get(), SIGKILL);
}

void Slice::end() { init_.close(); }

bool Slice::may_be_scrubbed() {
  return state_ == State::kEnded && !reaped_ && !individual_ && !start_.network && group_.can_begin_anew();
}

void Slice::scrub() {
  state_ = State::kScrubbing;
  deadline_nanos_ = os::monotonic_nanos() + kStartLimitNanos;
  if (!scrubs_itself_) (void)send_order(&init_, OrderType::kScrub);
}

}  // namespace runink::sandbox
