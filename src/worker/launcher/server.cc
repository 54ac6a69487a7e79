#include "worker/launcher/server.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/launcher/mount_probe.h"
#include "worker/launcher/pools.h"
#include "worker/launcher/protocol.h"
#include "worker/launcher/root_watch.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/seccomp.h"
#include "worker/sandbox/slice.h"
#include "worker/sandbox/spawner.h"
#include "worker/wire/framing.h"
#include "worker/wire/spec_codec.h"

namespace runink::launcher {
namespace {

using sandbox::SliceEvent;

constexpr size_t kMostSlices = 20'000;
constexpr int kMostMessagesAtOnce = 16;
constexpr size_t kMostAnswers = 1000;  // that wait for the owner to take them
// A start that came just now may be followed by another: what can wait does so for a moment. Where pools last for a
// while as it goes, it waits until twice the time has passed that usually lies between two starts: so that at a steady
// pace they meet nothing but each other.
constexpr int64_t kLeastQuietNanos = 1'000'000, kMostQuietNanos = 20'000'000, kLongStartNanos = 20'000'000;
constexpr int64_t kAWhileNanos = 100'000'000;  // longer than a slice takes to be made, on a host with control groups v1
// Processors and memory can come and go. That is looked at in a quiet moment, and only then when a slice is started.
constexpr int64_t kFactsNanos = 1'000'000'000, kOldestFactsNanos = 5'000'000'000;
constexpr size_t kMostSpent = 64;  // slices that have ended, and are left for a quiet moment
constexpr int64_t kEndNanos = 10'000'000'000;

// What epoll tells: whose descriptor it was. Seats begin at kFirstSeat.
enum : uint64_t { kOwner = 0, kListener = 1, kSpawner = 2, kRoot = 3, kStray = 4, kProbe = 5, kFirstSeat = 6 };

// A slice, and what it is there for.
struct Seat {
  std::unique_ptr<sandbox::Slice> slice;  // none until its process 1 is made
  PoolKey key;
  std::shared_ptr<const sandbox::Operations> parking;
  model::SliceResources resources;   // that it is limited to when it is made
  int64_t spawn_deadline = 0;        // until then
  bool for_pool = false;             // it is being made, or stands ready, for its pool
  bool ready = false;                // it stands ready
  std::optional<uint64_t> launched;  // the owner's number of the slice that has it
  os::Fd control;                    // of an engine: our end, until the owner gets it
  int watched[2] = {-1, -1};
  int64_t timer = 0;
};

// What the owner asked for, until it has ended and is forgotten.
struct Launched {
  uint64_t seat = 0;                         // 0: it has none any more
  LaunchRequest request;                     // without secrets once it is started
  std::optional<sandbox::Operations> start;  // until it is started
  std::vector<os::Fd> streams, kept;
  SliceRecord record;
  std::vector<int> signals;                 // that came before it was started
  int64_t limit_nanos = 0, kill_nanos = 0;  // monotonic; 0: none
  bool killed = false, timed_out = false;
};

// A launch that waits until what it mounts has answered.
struct Probe {
  uint64_t launched = 0;
  MountProbe probe;
  int64_t deadline = 0;
  std::vector<os::Fd> descriptors;
};

std::string engine_key(const model::SliceSpec& spec) {
  model::SliceSpec engine;
  engine.argv = spec.argv;
  engine.environment = spec.environment;
  engine.working_directory = spec.working_directory;
  engine.mounts = spec.mounts;
  engine.network = spec.network;
  return wire::encode_value(engine);
}

class Server {
 public:
  explicit Server(ServerOptions options) : options_(std::move(options)) {}

  Status run() {
    raise_descriptor_limit();
    (void)sandbox::default_filter();
    epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC), "epoll");
    if (!epoll_.valid()) return from_errno(errno, "wait for events");
    if (!options_.listen_path.empty()) {
      listener_ = RUNINK_TRY(wire::listen_at(options_.listen_path));
      RUNINK_RETURN_IF_ERROR(watch(listener_.get(), kListener));
    }
    watch_root();
    look_at_host(kFactsNanos);
    RUNINK_RETURN_IF_ERROR(start_spawner());
    take_owner(wire::Channel(std::move(options_.owner)));
    while (!stopping_) {
      wait_and_handle(millis_to_wait());
      handle_timers();
      if (stopping_) break;
      while (spent_.size() > kMostSpent) end_one_spent();
      if (!spent_.empty() && is_quiet()) {
        end_one_spent();
      } else if (may_fill_pools()) {
        fill_a_pool();
      }
    }
    end_all();
    return {};
  }

 private:
  // ── Descriptors ────────────────────────────────────────────────────────────────────────────────────────────────

  // Three for each slice that runs, and more for each that is made.
  static void raise_descriptor_limit() {
    struct rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
  }

  Status watch(int fd, uint64_t whose, uint32_t events = EPOLLIN) {
    epoll_event event = {.events = events, .data = {.u64 = whose}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return {};
    if (errno == EEXIST && ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0) return {};
    return from_errno(errno, "watch a descriptor");
  }

  // Those of a slice change with what it does.
  void watch_seat(uint64_t number, Seat* seat) {
    if (!seat->slice) return set_timer(number, seat);
    const sandbox::Slice& slice = *seat->slice;
    const int now[] = {slice.pid_descriptor(), slice.init_descriptor()};
    for (size_t i = 0; i < std::size(now); ++i) {
      if (seat->watched[i] == now[i]) continue;
      seat->watched[i] = now[i];
      if (now[i] >= 0) (void)watch(now[i], number);
    }
    set_timer(number, seat);
  }

  void wait_and_handle(int millis) {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), millis);
    idle_ = count <= 0;
    // What was replaced before a start was asked for is seen by that start.
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kRoot) root_watch_.notice();
    }
    for (int i = 0; i < count && !stopping_; ++i) {
      const uint64_t whose = events[i].data.u64;
      if (whose == kOwner) {
        handle_owner();
      } else if (whose == kListener) {
        handle_listener();
      } else if (whose == kSpawner) {
        handle_spawner();
      } else if (whose == kStray) {
        reap_strays();
      } else if (whose == kProbe) {
        handle_probes();
      } else if (whose != kRoot) {
        handle_seat(whose);
      }
    }
  }

  // ── Time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  void set_timer(uint64_t number, Seat* seat) {
    int64_t next = seat->slice ? seat->slice->deadline_nanos() : seat->spawn_deadline;
    if (seat->launched) {
      const Launched& launched = launched_.at(*seat->launched);
      for (const int64_t time : {launched.limit_nanos, launched.kill_nanos}) {
        if (time != 0 && (next == 0 || time < next)) next = time;
      }
    }
    if (seat->timer == next) return;
    if (seat->timer != 0) timers_.erase({seat->timer, number});
    seat->timer = next;
    if (next != 0) timers_.insert({next, number});
  }

  void handle_timers() {
    const int64_t now = os::monotonic_nanos();
    while (!timers_.empty() && timers_.begin()->first <= now) {
      const uint64_t number = timers_.begin()->second;
      timers_.erase(timers_.begin());
      Seat& seat = seats_.at(number);
      seat.timer = 0;
      handle_seat_timer(number, &seat, now);
    }
    while (!probes_.empty() && probes_.front().deadline <= now) {
      give_up_probe(probes_.front().launched, sandbox::not_ready_in_time());
    }
    if (owner_gone_nanos_ != 0 && now - owner_gone_nanos_ > options_.outlive_micros * 1000) stopping_ = true;
  }

  void handle_seat_timer(uint64_t number, Seat* seat, int64_t now) {
    if (!seat->slice && seat->spawn_deadline != 0 && seat->spawn_deadline <= now) {
      seat->spawn_deadline = 0;  // when it is made after all, it is ended at once
      return refused(number, seat, sandbox::not_ready_in_time());
    }
    const int64_t deadline = seat->slice ? seat->slice->deadline_nanos() : 0;
    if (deadline != 0 && deadline <= now) {
      return refused(number, seat, seat->slice->give_up());
    }
    if (seat->launched) {
      Launched& launched = launched_.at(*seat->launched);
      if (launched.limit_nanos != 0 && launched.limit_nanos <= now) {
        launched.limit_nanos = 0;
        launched.timed_out = true;
        seat->slice->signal(SIGTERM);  // it runs, or had no limit yet
        launched.kill_nanos = now + launched.request.spec.grace_micros * 1000;
      }
      if (launched.kill_nanos != 0 && launched.kill_nanos <= now) {
        launched.kill_nanos = 0;
        seat->slice->kill();
      }
    }
    set_timer(number, seat);
  }

  int millis_to_wait() const {
    const int64_t now = os::monotonic_nanos();
    int64_t next = INT64_MAX;
    if (!timers_.empty()) next = std::min(next, timers_.begin()->first);
    if (owner_gone_nanos_ != 0) next = std::min(next, owner_gone_nanos_ + options_.outlive_micros * 1000);
    if (!probes_.empty()) next = std::min(next, probes_.front().deadline);
    const int64_t quiet = quiet_from();
    // Where there is no room for it now, the end of what is being done wakes this process.
    if (!spent_.empty() && has_room()) next = std::min(next, quiet);
    if (pools_.urgent(now)) next = now;
    if (pools_.next_missing(now) && has_room()) next = std::min(next, quiet);
    if (const int64_t attempt = pools_.next_attempt_nanos(); attempt != 0) next = std::min(next, attempt);
    if (next == INT64_MAX) return -1;
    return static_cast<int>(std::clamp<int64_t>((next - now + 999'999) / 1'000'000, 0, 60'000));
  }

  // ── The owner ──────────────────────────────────────────────────────────────────────────────────────────────────

  void take_owner(wire::Channel channel) {
    owner_ = std::move(channel);
    owner_gone_nanos_ = 0;
    owner_events_ = 0;
    watch_owner();
    tell(MessageType::kReady, 0, encode(Ready{.pid = ::getpid(), .slices = static_cast<uint32_t>(launched_.size())}));
  }

  void watch_owner() {
    const uint32_t events = (owner_.queued() < kMostAnswers ? EPOLLIN : 0u) | (owner_.wants_to_write() ? EPOLLOUT : 0u);
    if (events == owner_events_) return;
    owner_events_ = events;
    (void)watch(owner_.descriptor(), kOwner, events);
  }

  bool outlives() const { return listener_.valid(); }

  void owner_gone() {
    owner_.close();
    if (!outlives()) {
      stopping_ = true;
      return;
    }
    owner_gone_nanos_ = os::monotonic_nanos();
    std::vector<uint64_t> theirs;
    for (const auto& [slice, launched] : launched_) {
      if (launched.request.ends_with_owner && launched.record.state != SliceState::kEnded) theirs.push_back(slice);
    }
    for (const uint64_t slice : theirs) kill(slice);
  }

  // What is said while there is no owner is found in the records by the next.
  void tell(MessageType type, uint64_t subject, std::string_view body = {}, std::span<const int> descriptors = {}) {
    if (!owner_.valid()) return;
    if (!owner_.send(static_cast<uint16_t>(type), subject, body, descriptors).ok()) return owner_gone();
    watch_owner();
  }

  void handle_listener() {
    for (;;) {
      auto accepted = wire::accept_from(listener_);
      if (!accepted.ok() || !*accepted) return;
      const auto peer = wire::peer_of((*accepted)->get());
      wire::Channel channel(std::move(**accepted));
      if (!peer.ok() || (peer->user != ::geteuid() && peer->user != 0)) continue;
      if (owner_.valid()) {
        (void)channel.send(static_cast<uint16_t>(MessageType::kRefused), 0,
                           encode(aborted("own the launcher {}: it has an owner", ::getpid())));
        continue;
      }
      take_owner(std::move(channel));
    }
  }

  void handle_owner() {
    if (!owner_.flush().ok()) return owner_gone();
    // An owner that does not take its answers is not listened to.
    watch_owner();
    if (owner_.queued() >= kMostAnswers) return;
    for (int i = 0; i < kMostMessagesAtOnce; ++i) {
      auto message = owner_.receive();
      if (!message.ok()) return owner_gone();
      if (!*message) return;
      handle_message(std::move(**message));
      if (!owner_.valid() || stopping_) return;
    }
  }

  void handle_message(wire::Message message) {
    switch (static_cast<MessageType>(message.type)) {
      case MessageType::kLaunch:
        return launch(std::move(message));
      case MessageType::kSignal: {
        const auto signal = decode_signal(message.body);
        if (!signal.ok()) return owner_gone();
        return send_signal(message.subject, *signal);
      }
      case MessageType::kKill:
        return kill(message.subject);
      case MessageType::kKeepParked:
        return keep_parked(message.body);
      case MessageType::kList:
        return list();
      case MessageType::kLimitHerds:
        return limit_herds(message.body);
      case MessageType::kForget:
        if (const auto at = launched_.find(message.subject);
            at != launched_.end() && at->second.record.state == SliceState::kEnded) {
          launched_.erase(at);
        }
        return;
      case MessageType::kStop:
        stopping_ = true;
        return;
      default:
        return owner_gone();
    }
  }

  void list() {
    for (const auto& [number, launched] : launched_) {
      std::vector<int> kept;
      for (const os::Fd& fd : launched.kept) kept.push_back(fd.get());
      tell(MessageType::kSlice, number, encode(launched.record), kept);
    }
    counters_.running = launched_.size();
    counters_.ready = pools_.count_ready();
    counters_.leaving = spent_.size() + ending_.size();
    tell(MessageType::kListEnd, 0, encode(counters_));
  }

  void send_signal(uint64_t number, int signal) {
    const auto at = launched_.find(number);
    if (at == launched_.end()) return;
    if (at->second.record.state == SliceState::kStarting) {
      at->second.signals.push_back(signal);
    } else if (at->second.seat != 0) {
      seats_.at(at->second.seat).slice->signal(signal);
    }
  }

  void kill(uint64_t number) {
    const auto at = launched_.find(number);
    if (at == launched_.end()) return;
    if (at->second.seat == 0) return give_up_probe(number, cancelled("the slice was ended before its program ran"));
    at->second.killed = true;
    if (const auto& slice = seats_.at(at->second.seat).slice) slice->kill();
  }

  // ── Starting ───────────────────────────────────────────────────────────────────────────────────────────────────

  void launch(wire::Message message) {
    note_launch();
    const uint64_t number = message.subject;
    auto request = decode_launch(message.body);
    ::explicit_bzero(message.body.data(), message.body.size());
    if (!request.ok()) return refuse(number, request.status());
    if (launched_.contains(number)) {
      model::wipe_secrets(&request->spec);
      return refuse(number, already_exists("launch slice {}: there is one of that number", number));
    }
    Launched& launched = launched_[number];
    launched.request = std::move(*request);
    launched.record.herd = launched.request.spec.herd;
    launched.record.label = launched.request.label;
    ++starting_;
    const std::vector<std::string> paths = paths_to_probe(launched.request.spec);
    if (paths.empty()) return begin_or_refuse(number, std::move(message.descriptors));
    auto probe = start_probe(paths);
    if (!probe.ok()) return forget_refused(number, std::move(probe).status());
    (void)watch(probe->pidfd.get(), kProbe);
    probes_.push_back(
        {number, std::move(*probe), os::monotonic_nanos() + sandbox::kStartLimitNanos, std::move(message.descriptors)});
  }

  void begin_or_refuse(uint64_t number, std::vector<os::Fd> descriptors) {
    Launched& launched = launched_.at(number);
    Status begun = begin(number, &launched, std::move(descriptors));
    if (begun.ok()) return;
    const uint64_t seat = launched.seat;
    forget_refused(number, std::move(begun));
    if (seat != 0) discard(seat);
  }

  // Those that have ended: what they looked at answers.
  void handle_probes() {
    std::vector<Probe> answered;
    for (auto at = probes_.begin(); at != probes_.end();) {
      if (::waitpid(at->probe.pid, nullptr, WNOHANG) == 0) {
        ++at;
        continue;
      }
      answered.push_back(std::move(*at));
      at = probes_.erase(at);
    }
    for (Probe& one : answered) begin_or_refuse(one.launched, std::move(one.descriptors));
  }

  // Of a launch that is not waited for any longer. The process ends when the kernel lets it.
  void give_up_probe(uint64_t number, Status why) {
    const auto at =
        std::find_if(probes_.begin(), probes_.end(), [&](const Probe& one) { return one.launched == number; });
    if (at == probes_.end()) return;
    (void)sandbox::raw::send_signal(at->probe.pidfd.get(), SIGKILL);
    epoll_event event = {.events = EPOLLIN, .data = {.u64 = kStray}};
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, at->probe.pidfd.get(), &event);
    strays_.emplace_back(at->probe.pid, std::move(at->probe.pidfd));
    probes_.erase(at);
    forget_refused(number, std::move(why));
  }

  Status begin(uint64_t number, Launched* launched, std::vector<os::Fd> descriptors) {
    const LaunchRequest& request = launched->request;
    if (launched_.size() > kMostSlices) return resource_exhausted("launch a slice: {} run already", kMostSlices);
    if (descriptors.size() != size_t{3} + request.program_descriptors + request.kept_descriptors) {
      return invalid_argument("launch a slice: {} descriptors came, and not the {} that were announced",
                              descriptors.size(), size_t{3} + request.program_descriptors + request.kept_descriptors);
    }
    for (size_t i = 0; i < descriptors.size(); ++i) {
      auto& to = i < size_t{3} + request.program_descriptors ? launched->streams : launched->kept;
      to.push_back(std::move(descriptors[i]));
    }
    look_at_host(kOldestFactsNanos);
    RUNINK_RETURN_IF_ERROR(check_herd(request.spec));
    sandbox::add_facts_of(request.spec, &facts_);
    launched->start = RUNINK_TRY(sandbox::plan_start(request.spec, facts_, sandbox::Words::kOfErrors));
    const PoolKey key = key_of(request.spec, request.kind);
    if (const auto taken = take_ready(key, request, *launched->start)) {
      launched->record.started.path = taken->recycled ? StartPath::kRecycled : StartPath::kParked;
      return seat_taken(number, launched, taken->seat);
    }
    launched->record.started.path = StartPath::kCold;
    launched->seat = RUNINK_TRY(park(key, request.spec.resources));
    Seat& seat = seats_.at(launched->seat);
    seat.launched = number;
    return {};
  }

  PoolKey key_of(const model::SliceSpec& spec, SliceKind kind) const {
    return {.parking = sandbox::class_of(spec, facts_),
            .kind = kind,
            .engine = kind == SliceKind::kEngine ? engine_key(spec) : ""};
  }

  std::optional<Pools::Taken> take_ready(const PoolKey& key, const LaunchRequest& request,
                                         const sandbox::Operations& start) {
    // Its limits are tried again.
    if (const auto at = herds_.find(request.spec.herd); at != herds_.end() && !at->second.holds) return std::nullopt;
    return pools_.take(key, request.recycle, [&](uint64_t seat) { return seats_.at(seat).slice->will_do_for(start); });
  }

  // It stood ready: a parked command waits for its program, an engine runs and waits for its work.
  Status seat_taken(uint64_t number, Launched* launched, uint64_t seat_number) {
    Seat& seat = seats_.at(seat_number);
    launched->seat = seat_number;
    seat.launched = number;
    seat.for_pool = seat.ready = false;
    if (launched->request.kind == SliceKind::kCommand) return start(launched, &seat, seat_number);
    RUNINK_RETURN_IF_ERROR(seat.slice->limit(launched->request.spec));
    started(number, &seat);
    set_timer(seat_number, &seat);
    return {};
  }

  Status start(Launched* launched, Seat* seat, uint64_t seat_number) {
    std::vector<int> streams;
    for (const os::Fd& fd : launched->streams) streams.push_back(fd.get());
    os::Fd its;
    if (launched->request.kind == SliceKind::kEngine) {
      its = RUNINK_TRY(make_control(seat, &streams));
    }
    Status begun = seat->slice->start(launched->request.spec, std::move(*launched->start), streams,
                                      is_to_be_used_again(launched->request));
    model::wipe_secrets(&launched->request.spec);
    launched->start.reset();
    launched->streams.clear();
    watch_seat(seat_number, seat);
    return begun;
  }

  // What an engine is started with.
  Result<os::Fd> make_control(Seat* seat, std::vector<int>* streams) {
    if (!nothing_.valid()) nothing_ = os::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
    if (!nothing_.valid()) return from_errno(errno, "open /dev/null");
    auto [ours, its] = RUNINK_TRY(wire::Channel::make_pair());
    seat->control = ours.release();
    os::Fd end = its.release();
    // What blocks at its end is the program's to choose.
    RUNINK_RETURN_IF_ERROR(os::set_nonblocking(end, false));
    RUNINK_RETURN_IF_ERROR(os::set_nonblocking(seat->control, false));
    *streams = {nothing_.get(), nothing_.get(), nothing_.get(), end.get()};
    return end;
  }

  // Asks for a slice of the class, whose mounts facts_ are of.
  Result<uint64_t> park(const PoolKey& key, const model::SliceResources& resources) {
    Seat seat;
    seat.key = key;
    seat.parking = RUNINK_TRY(plan_of(key.parking));
    seat.resources = resources;
    seat.spawn_deadline = os::monotonic_nanos() + sandbox::kStartLimitNanos;
    const uint64_t number = next_seat_++;
    Status asked = spawner_.spawn(number, key.parking, *seat.parking, resources);
    if (asked.code() == Code::kUnavailable) {  // it was ended, and that has not been noticed yet
      spawner_lost(asked);
      asked = spawner_.spawn(number, key.parking, *seat.parking, resources);
    }
    RUNINK_RETURN_IF_ERROR(std::move(asked));
    watch_spawner();
    set_timer(number, &seats_.emplace(number, std::move(seat)).first->second);
    return number;
  }

  Result<std::shared_ptr<const sandbox::Operations>> plan_of(const sandbox::ParkingClass& parking) {
    if (const auto at = plans_.find(parking); at != plans_.end()) return at->second;
    auto plan = std::make_shared<const sandbox::Operations>(RUNINK_TRY(sandbox::plan_parking(parking, facts_)));
    if (parking.mounts.empty()) plans_.emplace(parking, plan);  // facts of mounts are of the moment
    return plan;
  }

  void started(uint64_t number, Seat* seat) {
    Launched& launched = launched_.at(number);
    launched.record.state = SliceState::kRunning;
    --starting_;
    launched.record.started.at_nanos = os::monotonic_nanos();
    Started& told = launched.record.started;
    told.pid = seat->slice->pid();
    told.group = seat->slice->group();
    told.first_id = seat->slice->first_id();
    ++(told.path == StartPath::kCold     ? counters_.cold
       : told.path == StartPath::kParked ? counters_.parked
                                         : counters_.recycled);
    if (launched.request.spec.time_limit_micros > 0) {
      launched.limit_nanos = launched.record.started.at_nanos + launched.request.spec.time_limit_micros * 1000;
    }
    const int control = seat->control.get();
    tell(MessageType::kStarted, number, encode(told), std::span(&control, control >= 0 ? 1 : 0));
    seat->control.reset();
    for (const int signal : launched.signals) seat->slice->signal(signal);
    launched.signals.clear();
  }

  void refuse(uint64_t number, const Status& why) {
    ++counters_.refused;
    tell(MessageType::kRefused, number, encode(why));
  }

  void forget_refused(uint64_t number, Status why) {
    const auto at = launched_.find(number);
    if (at->second.killed) why = cancelled("the slice was ended before its program ran");
    if (at->second.seat != 0) seats_.at(at->second.seat).launched.reset();
    model::wipe_secrets(&at->second.request.spec);
    --starting_;
    launched_.erase(at);
    refuse(number, why);
  }

  // ── The spawner ────────────────────────────────────────────────────────────────────────────────────────────────

  Status start_spawner() {
    RUNINK_RETURN_IF_ERROR(spawner_.start());
    spawner_events_ = 0;
    herd_orders_ = 0;
    if (!herds_.empty()) tell_spawner_limits();
    watch_spawner();
    return {};
  }

  void watch_spawner() {
    const uint32_t events = EPOLLIN | (spawner_.wants_to_write() ? EPOLLOUT : 0u);
    if (events == spawner_events_) return;
    spawner_events_ = events;
    (void)watch(spawner_.descriptor(), kSpawner, events);
  }

  void handle_spawner() {
    Status there = spawner_.flush();
    while (there.ok()) {
      auto answer = spawner_.next();
      if (!answer.ok()) {
        there = std::move(answer).status();
      } else if (*answer) {
        if (auto* made = std::get_if<sandbox::Spawner::Made>(&**answer)) {
          spawned(made->slice, std::move(made->result));
        } else {
          herds_limited(std::get<sandbox::Spawner::HerdStates>(**answer));
        }
      } else {
        return watch_spawner();
      }
    }
    spawner_lost(there);
  }

  // Something ended it. Slices that run do not need it.
  void spawner_lost(const Status& why) {
    std::vector<uint64_t> waiting;
    for (const auto& [number, seat] : seats_) {
      if (!seat.slice) waiting.push_back(number);
    }
    for (const uint64_t number : waiting) {
      spawned(number, unavailable("start a slice: the process that makes slices has ended ({})", why.message())
                          .with_hint("start it again"));
    }
    spawner_.stop();
    find_strays();
    if (Status again = start_spawner(); !again.ok()) stopping_ = true;
  }

  // Process 1 of a slice that it made and had not told of yet: nobody has its socket, so it ends, and is this process's
  // child. Where the kernel does not list children, it stays as an entry of the process table until the launcher ends.
  void find_strays() {
    strays_.clear();
    const std::string self = std::to_string(::getpid());
    const auto children = os::read_file("/proc/" + self + "/task/" + self + "/children");
    if (!children.ok()) return;
    std::set<pid_t> known;
    for (const auto& [number, seat] : seats_) {
      if (seat.slice) known.insert(seat.slice->pid());
    }
    for (const Probe& one : probes_) known.insert(one.probe.pid);
    for (const std::string_view word : split(trim(*children), ' ')) {
      const pid_t pid = std::atoi(std::string(word).c_str());
      if (pid <= 0 || known.contains(pid)) continue;
      os::Fd descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "a slice that nobody was told of");
      (void)sandbox::raw::send_signal(descriptor.get(), SIGKILL);
      (void)watch(descriptor.get(), kStray);
      strays_.emplace_back(pid, std::move(descriptor));
    }
  }

  void reap_strays() {
    std::erase_if(strays_, [](const auto& stray) { return ::waitpid(stray.first, nullptr, WNOHANG | __WALL) != 0; });
  }

  void spawned(uint64_t number, Result<sandbox::SpawnedSlice> made) {
    const auto at = seats_.find(number);
    if (at == seats_.end()) return spawner_release(number);
    Seat& seat = at->second;
    Status failed;
    if (made.ok()) {
      auto slice = sandbox::Slice::take(seat.key.parking, seat.parking, seat.resources, std::move(*made), &makers_);
      if (slice.ok()) {
        seat.slice = std::move(*slice);
        // It was made after the last order, and within the herd's limits.
        if (const auto herd = herds_.find(seat.key.parking.herd); herd != herds_.end() && herd_orders_ == 0) {
          herd->second.holds = true;
        }
      } else {
        failed = std::move(slice).status();
      }
    } else {
      failed = std::move(made).status();
    }
    if (!seat.slice) {
      refused(number, &seat, std::move(failed));
      return gone(number);
    }
    // It was given up while it was made.
    const bool unwanted = seat.launched ? launched_.at(*seat.launched).killed : !seat.for_pool;
    if (unwanted) seat.slice->kill();
    handle_seat(number);
  }

  void spawner_release(uint64_t number, const std::string& group = {}) {
    (void)spawner_.release(number, group);
    watch_spawner();
  }

  // ── Herds ──────────────────────────────────────────────────────────────────────────────────────────────────────

  void limit_herds(std::string_view body) {
    auto limits = decode_herd_limits(body);
    if (!limits.ok()) return owner_gone();
    if (limits->empty() && herds_.empty()) {
      return tell(MessageType::kHerds, 0, encode(std::vector<sandbox::HerdState>()));
    }
    // The next agent mostly wants what the former one did.
    const auto is_there = [&](const model::HerdLimit& limit) {
      const auto at = herds_.find(limit.herd);
      return at != herds_.end() && at->second.limit == limit;
    };
    if (limits->size() == herds_.size() && std::all_of(limits->begin(), limits->end(), is_there)) {
      return tell_spawner_limits();
    }
    herds_.clear();
    for (model::HerdLimit& limit : *limits) {
      std::string name = limit.herd;
      herds_[std::move(name)].limit = std::move(limit);
    }
    if (facts_.root) makers_.groups.know_herds(limits_of_herds());
    name_limited_herds();
    // What stands ready was made under other limits, or without a group.
    for (const uint64_t seat : pools_.take_all()) discard(seat);
    pools_.want_none([this](const PoolKey& key) { return !key.parking.limited && herds_.contains(key.parking.herd); });
    tell_spawner_limits();
  }

  std::vector<model::HerdLimit> limits_of_herds() const {
    std::vector<model::HerdLimit> limits;
    for (const auto& [name, herd] : herds_) limits.push_back(herd.limit);
    return limits;
  }

  void name_limited_herds() {
    facts_.limited_herds.clear();
    for (const auto& [name, herd] : herds_) facts_.limited_herds.push_back(name);
  }

  void tell_spawner_limits() {
    ++herd_orders_;
    (void)spawner_.limit_herds(limits_of_herds());
    watch_spawner();
  }

  // To the last order alone: those before it spoke of other limits.
  void herds_limited(const sandbox::Spawner::HerdStates& states) {
    if (--herd_orders_ > 0) return;
    for (const sandbox::HerdState& state : states) {
      if (const auto at = herds_.find(state.herd); at != herds_.end()) at->second.holds = state.status.ok();
    }
    tell(MessageType::kHerds, 0, encode(states));
  }

  Status check_herd(const model::SliceSpec& spec) const {
    const auto at = herds_.find(spec.herd);
    if (at == herds_.end()) return {};
    if (!facts_.root) {
      return permission_denied("start a slice of the herd {}: its limits are control groups, which take root",
                               spec.herd)
          .with_kind("sandbox.limit");
    }
    return sandbox::check_fits(spec.resources, at->second.limit);
  }

  // ── What becomes of slices ─────────────────────────────────────────────────────────────────────────────────────

  void handle_seat(uint64_t number) {
    for (;;) {
      const auto at = seats_.find(number);
      if (at == seats_.end()) return;
      Seat& seat = at->second;
      // After each event: a socket that is closed and the next one may have the same number.
      watch_seat(number, &seat);
      std::optional<SliceEvent> event = seat.slice->next_event();
      if (!event) return watch_seat(number, &seat);
      switch (event->kind) {
        case SliceEvent::Kind::kParked:
          parked(number, &seat);
          break;
        case SliceEvent::Kind::kRefused:
          refused(number, &seat, std::move(event->status));
          break;
        case SliceEvent::Kind::kStarted:
          program_started(number, &seat);
          break;
        case SliceEvent::Kind::kEnded:
          ended(number, &seat, std::move(event->end));
          break;
        case SliceEvent::Kind::kUnclean:
          ++counters_.scrub_failed;
          break;
        case SliceEvent::Kind::kGone:
          return gone(number);
      }
    }
  }

  void parked(uint64_t number, Seat* seat) {
    if (seat->launched) {
      const uint64_t launched = *seat->launched;
      Status begun = start(&launched_.at(launched), seat, number);
      if (!begun.ok()) {
        forget_refused(launched, std::move(begun));
        seat->slice->kill();
      }
      return;
    }
    if (seat->slice->used() > 0) {
      ++counters_.scrubbed;
      seat->ready = pools_.recycled(seat->key, number);
      if (!seat->ready) seat->slice->end();
      return;
    }
    // Who asked for it has given up, or was told that it could not be had: it said this before it was killed.
    if (!seat->for_pool) return seat->slice->kill();
    const bool engine = seat->key.kind == SliceKind::kEngine;
    if (!engine) return stands_ready(number, seat);
    if (Status begun = start_engine(number, seat); !begun.ok()) {
      refused(number, seat, std::move(begun));
      seat->slice->kill();
    }
  }

  Status start_engine(uint64_t number, Seat* seat) {
    const Pools::Pool* pool = pools_.find(seat->key);
    model::SliceSpec spec = pool->spec;
    spec.resources = {};  // those of the launch come with it
    sandbox::add_facts_of(spec, &facts_);
    sandbox::Operations start = RUNINK_TRY(sandbox::plan_start(spec, facts_, sandbox::Words::kOfErrors));
    std::vector<int> streams;
    const os::Fd its = RUNINK_TRY(make_control(seat, &streams));
    RUNINK_RETURN_IF_ERROR(seat->slice->start(spec, std::move(start), streams));
    watch_seat(number, seat);
    return {};
  }

  void program_started(uint64_t number, Seat* seat) {
    if (seat->launched) return started(*seat->launched, seat);
    if (!seat->for_pool) return seat->slice->kill();  // as in parked()
    stands_ready(number, seat);
  }

  void stands_ready(uint64_t number, Seat* seat) {
    pools_.ready(seat->key, number);
    seat->for_pool = false;
    seat->ready = true;
    const Pools::Pool* pool = pools_.find(seat->key);
    if (pool->ready.size() > pool->wanted) {  // fewer are wanted by now
      discard(number);
    }
    tell_pool(seat->key);
  }

  void refused(uint64_t number, Seat* seat, Status why) {
    if (seat->launched) {
      forget_refused(*seat->launched, std::move(why));
    } else {
      leave_pool(number, seat, std::move(why));
    }
    set_timer(number, seat);
  }

  // One that was being made for a pool, or stood ready, and has come to its end.
  void leave_pool(uint64_t number, Seat* seat, Status why) {
    if (seat->for_pool) {
      seat->for_pool = false;
      pools_.failed(seat->key, std::move(why), os::monotonic_nanos());
      tell_pool(seat->key);
    } else if (seat->ready) {
      seat->ready = false;
      pools_.remove(seat->key, number);
      ++counters_.parked_died;
    }
  }

  static bool is_to_be_used_again(const LaunchRequest& request) {
    return request.recycle && request.kind == SliceKind::kCommand;
  }

  void ended(uint64_t number, Seat* seat, sandbox::SliceEnd end) {
    if (!seat->launched) {  // an engine that stood ready
      leave_pool(number, seat, internal_error("a parked engine ended by itself"));
      seat->slice->end();
      return;
    }
    const uint64_t owners = *seat->launched;
    Launched& launched = launched_.at(owners);
    const bool recycle = is_to_be_used_again(launched.request) && !launched.killed;
    end.timed_out = launched.timed_out;
    ++counters_.ended;
    tell(MessageType::kEnded, owners, encode(end));
    launched.seat = 0;
    launched.limit_nanos = launched.kill_nanos = 0;
    launched.record.state = SliceState::kEnded;
    launched.record.end = std::move(end);
    if (!outlives()) launched_.erase(owners);
    seat->launched.reset();
    if (recycle && seat->slice->may_be_scrubbed()) {
      seat->slice->scrub();
    } else {
      spent_.push_back(number);
    }
  }

  void gone(uint64_t number) {
    Seat& seat = seats_.at(number);
    leave_pool(number, &seat, internal_error("a slice ended while it was being parked"));
    if (seat.timer != 0) timers_.erase({seat.timer, number});
    spawner_release(number, seat.slice ? seat.slice->group() : std::string());
    std::erase(spent_, number);
    ending_.erase(number);
    seats_.erase(number);
  }

  // The kernel takes a processor for a millisecond to end a slice's namespaces, and contends for its locks with the
  // start of another. So that is done in a quiet moment, one slice at a time, unless there are many.
  void end_one_spent() {
    const uint64_t number = spent_.front();
    spent_.pop_front();
    ending_.insert(number);
    seats_.at(number).slice->end();
  }

  // What nobody waits for, making and taking away, has at most half of the processors.
  bool has_room() const { return ending_.size() + pools_.count_parking() < half_of_processors_; }
  bool is_quiet() const { return idle_ && has_room() && os::monotonic_nanos() >= quiet_from(); }
  // Not while a slice is being made for a launch, unless that takes long.
  int64_t quiet_from() const {
    const auto shortest_gap = static_cast<double>(std::min(last_gap_nanos_, usual_gap_nanos_));
    const bool waits = pools_.least_ready() * shortest_gap >= kAWhileNanos;
    const int64_t pause =
        waits ? std::clamp(2 * usual_gap_nanos_, kLeastQuietNanos, kMostQuietNanos) : kLeastQuietNanos;
    return last_launch_nanos_ + (starting_ > 0 ? kLongStartNanos : pause);
  }
  void note_launch() {
    const int64_t now = os::monotonic_nanos();
    last_gap_nanos_ = std::min(now - last_launch_nanos_, kMostQuietNanos);
    usual_gap_nanos_ += (last_gap_nanos_ - usual_gap_nanos_) / 8;
    last_launch_nanos_ = now;
  }

  // One that is not needed any more, whatever it does.
  void discard(uint64_t number) {
    const auto at = seats_.find(number);
    if (at == seats_.end()) return;
    pools_.remove(at->second.key, number);
    at->second.ready = false;
    if (at->second.slice) at->second.slice->kill();
    set_timer(number, &at->second);
  }

  // ── Pools ──────────────────────────────────────────────────────────────────────────────────────────────────────

  void watch_root() {
    root_watch_.open(sandbox::default_root_parts());
    if (root_watch_.names() >= 0) (void)watch(root_watch_.names(), kRoot);
    if (root_watch_.mounts() >= 0) (void)watch(root_watch_.mounts(), kRoot, EPOLLPRI);
  }

  // What is parked shows the default root as it was then; other facts may be `old` nanoseconds old.
  void look_at_host(int64_t old) {
    const int64_t now = os::monotonic_nanos();
    const bool outdated = looked_nanos_ == 0 || now - looked_nanos_ >= old;
    if (!outdated && !root_watch_.may_have_changed()) return;
    root_watch_.seen();
    std::string stamp = sandbox::root_parts_stamp();
    if (stamp != stamp_) {
      for (const uint64_t seat : pools_.take_all()) discard(seat);
    } else if (!outdated) {
      return;
    }
    stamp_ = std::move(stamp);
    facts_ = sandbox::gather_host_facts();
    name_limited_herds();
    plans_.clear();
    looked_nanos_ = now;
  }

  void keep_parked(std::string_view body) {
    auto request = decode_pool_request(body);
    if (!request.ok()) return owner_gone();
    const PoolKey key = key_of(request->spec, request->kind);
    model::wipe_secrets(&request->spec);
    auto surplus = pools_.want(key, request->spec, request->count);
    if (!surplus.ok()) {
      return tell(MessageType::kPool, 0,
                  encode(PoolState{.herd = key.parking.herd, .kind = key.kind, .failed = surplus.status()}));
    }
    for (const uint64_t seat : *surplus) discard(seat);
    tell_pool(key);
  }

  void tell_pool(const PoolKey& key) {
    const Pools::Pool* pool = pools_.find(key);
    tell(MessageType::kPool, 0,
         encode(PoolState{.herd = key.parking.herd,
                          .kind = key.kind,
                          .limited = key.parking.limited,
                          .terminal = key.parking.terminal,
                          .wanted = pool->wanted,
                          .ready = static_cast<uint32_t>(pool->ready.size()),
                          .failed = pool->failed}));
  }

  bool may_fill_pools() const {
    const int64_t now = os::monotonic_nanos();
    if (!pools_.next_missing(now)) return false;
    return pools_.urgent(now) || is_quiet();
  }

  void fill_a_pool() {
    const int64_t now = os::monotonic_nanos();
    const std::optional<PoolKey> key = pools_.next_missing(now);
    if (!key) return;
    pools_.began(*key);
    look_at_host(kFactsNanos);
    sandbox::look_at_mounts(key->parking.mounts, &facts_);
    const auto seat =
        park(*key, key->kind == SliceKind::kCommand ? pools_.find(*key)->spec.resources : model::SliceResources());
    if (!seat.ok()) {
      pools_.failed(*key, seat.status(), now);
      return tell_pool(*key);
    }
    seats_.at(*seat).for_pool = true;
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────────────────

  void end_all() {
    for (auto& [number, seat] : seats_) {
      if (!seat.slice) continue;
      seat.slice->kill();
      seat.slice->end();
    }
    for (const Probe& one : probes_) (void)sandbox::raw::send_signal(one.probe.pidfd.get(), SIGKILL);
    const int64_t deadline = os::monotonic_nanos() + kEndNanos;
    owner_.close();
    if (listener_.valid()) (void)os::remove_file(options_.listen_path);
    listener_.reset();
    while (os::monotonic_nanos() < deadline) {
      std::erase_if(seats_, [](const auto& entry) {
        const auto& slice = entry.second.slice;
        while (slice && slice->next_event()) {
        }
        return !slice || slice->pid_descriptor() < 0;
      });
      if (seats_.empty()) break;
      ::usleep(500);
    }
    // The destructors wait for what the kernel has not ended by then; the spawner removes the groups, and one that it
    // makes just now ends with its socket.
    seats_.clear();
    spawner_.stop();
  }

  struct Herd {
    model::HerdLimit limit;
    bool holds = false;  // as far as the spawner has said
  };

  ServerOptions options_;
  sandbox::SliceMakers makers_;  // before all slices
  sandbox::Spawner spawner_;
  uint32_t spawner_events_ = 0;  // that are watched for
  os::Fd epoll_, listener_, nothing_;
  wire::Channel owner_;
  uint32_t owner_events_ = 0;  // that are watched for
  int64_t owner_gone_nanos_ = 0;
  bool stopping_ = false, idle_ = false;
  int64_t last_launch_nanos_ = 0, last_gap_nanos_ = 0, usual_gap_nanos_ = 0;
  uint64_t starting_ = 0;  // launches whose program does not run yet

  std::map<std::string, Herd> herds_;  // that are limited
  int herd_orders_ = 0;                // to the spawner, that it has not answered
  sandbox::HostFacts facts_;  // of the host; of mounts and the like, of the specification that was looked at last
  RootWatch root_watch_;
  std::string stamp_;
  int64_t looked_nanos_ = 0;
  std::map<sandbox::ParkingClass, std::shared_ptr<const sandbox::Operations>> plans_;  // of these facts
  const uint32_t half_of_processors_ = std::max(1u, std::thread::hardware_concurrency() / 2);
  Pools pools_{half_of_processors_};
  std::unordered_map<uint64_t, Seat> seats_;
  uint64_t next_seat_ = kFirstSeat;
  std::unordered_map<uint64_t, Launched> launched_;
  std::vector<std::pair<pid_t, os::Fd>> strays_;
  std::deque<Probe> probes_;  // by deadline
  std::set<std::pair<int64_t, uint64_t>> timers_;
  std::set<uint64_t> ending_;   // that were spent, and have not gone yet
  std::deque<uint64_t> spent_;  // seats whose slices have ended, and are to be taken away
  Counters counters_;
};

}  // namespace

Status serve(ServerOptions options) {
  (void)::prctl(PR_SET_NAME, sandbox::kLauncherName);
  // Of sockets whose other end has gone every write says so.
  ::signal(SIGPIPE, SIG_IGN);
  Server server(std::move(options));
  return server.run();
}

}  // namespace runink::launcher
