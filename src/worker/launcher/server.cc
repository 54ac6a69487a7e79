#include "worker/launcher/server.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/launcher/pools.h"
#include "worker/launcher/protocol.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/seccomp.h"
#include "worker/sandbox/slice.h"
#include "worker/wire/framing.h"
#include "worker/wire/spec_codec.h"

namespace runink::launcher {
namespace {

using sandbox::SliceEvent;

constexpr size_t kMostSlices = 20'000;
constexpr int kMostMessagesAtOnce = 16;
constexpr size_t kMostAnswers = 1000;  // that wait for the owner to take them
// A start that came just now may be followed by another: pools wait that long, unless they are nearly empty.
constexpr int64_t kQuietNanos = 1'000'000;
constexpr int64_t kGroupRetryNanos = 20'000'000;
constexpr int64_t kEndNanos = 10'000'000'000;

// What epoll tells: whose descriptor it was. Seats begin at kFirstSeat.
enum : uint64_t { kOwner = 0, kListener = 1, kFirstSeat = 2 };

// A slice, and what it is there for.
struct Seat {
  std::unique_ptr<sandbox::Slice> slice;
  PoolKey key;
  bool for_pool = false;             // it is being made, or stands ready, for its pool
  bool ready = false;                // it stands ready
  std::optional<uint64_t> launched;  // the owner's number of the slice that has it
  os::Fd control;                    // of an engine: our end, until the owner gets it
  int watched[3] = {-1, -1, -1};
  int64_t timer = 0;
};

// What the owner asked for, until it has ended and is forgotten.
struct Launched {
  uint64_t seat = 0;                         // 0: it has none any more
  LaunchRequest request;                     // without secrets once it is started
  std::optional<sandbox::Operations> start;  // until it is started
  std::vector<os::Fd> streams, kept;
  os::Fd vault;  // its secrets, while a slice is made for it: a copy of this process must not have them
  SliceRecord record;
  std::vector<int> signals;                 // that came before it was started
  int64_t limit_nanos = 0, kill_nanos = 0;  // monotonic; 0: none
  bool killed = false, timed_out = false;
};

Result<os::Fd> lock_away(std::vector<model::SliceSecret>* secrets) {
  os::Fd vault(::memfd_create("secrets", MFD_CLOEXEC), "secrets");
  if (!vault.valid()) return from_errno(errno, "make room for secrets");
  std::string bytes = wire::encode_value(*secrets);
  Status written = os::write_all(vault, bytes);
  ::explicit_bzero(bytes.data(), bytes.size());
  RUNINK_RETURN_IF_ERROR(std::move(written));
  return vault;
}

Status take_out(const os::Fd& vault, std::vector<model::SliceSecret>* secrets) {
  std::string bytes(RUNINK_TRY(os::file_info(vault)).size, '\0');
  (void)RUNINK_TRY(os::pread_full(vault, bytes.data(), bytes.size(), 0));
  auto taken = wire::decode_value<std::vector<model::SliceSecret>>(bytes, "the secrets of a slice");
  ::explicit_bzero(bytes.data(), bytes.size());
  *secrets = RUNINK_TRY(std::move(taken));
  return {};
}

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
    refresh_facts();
    epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC), "epoll");
    if (!epoll_.valid()) return from_errno(errno, "wait for events");
    if (!options_.listen_path.empty()) {
      listener_ = RUNINK_TRY(wire::listen_at(options_.listen_path));
      RUNINK_RETURN_IF_ERROR(watch(listener_.get(), kListener));
    }
    take_owner(wire::Channel(std::move(options_.owner)));
    while (!stopping_) {
      wait_and_handle(millis_to_wait());
      handle_timers();
      if (!stopping_ && may_fill_pools()) fill_a_pool();
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
    const sandbox::Slice& slice = *seat->slice;
    const int now[] = {slice.pid_descriptor(), slice.init_descriptor(), slice.program_descriptor()};
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
    for (int i = 0; i < count && !stopping_; ++i) {
      const uint64_t whose = events[i].data.u64;
      if (whose == kOwner) {
        handle_owner();
      } else if (whose == kListener) {
        handle_listener();
      } else {
        handle_seat(whose);
      }
    }
  }

  // ── Time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  void set_timer(uint64_t number, Seat* seat) {
    int64_t next = seat->slice->deadline_nanos();
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
    if (owner_gone_nanos_ != 0 && now - owner_gone_nanos_ > options_.outlive_micros * 1000) stopping_ = true;
    if (!dying_.empty()) retry_groups(now);
  }

  void handle_seat_timer(uint64_t number, Seat* seat, int64_t now) {
    const int64_t deadline = seat->slice->deadline_nanos();
    if (deadline != 0 && deadline <= now) {
      return refused(number, seat, seat->slice->give_up());
    }
    if (seat->launched) {
      Launched& launched = launched_.at(*seat->launched);
      if (launched.limit_nanos != 0 && launched.limit_nanos <= now) {
        launched.limit_nanos = 0;
        launched.timed_out = true;
        seat->slice->signal(SIGTERM);
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
    if (!dying_.empty()) next = std::min(next, group_retry_nanos_);
    if (pools_.next_missing(now)) next = std::min(next, pools_.urgent(now) ? now : last_launch_nanos_ + kQuietNanos);
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
    if (at == launched_.end() || at->second.seat == 0) return;
    at->second.killed = true;
    seats_.at(at->second.seat).slice->kill();
  }

  // ── Starting ───────────────────────────────────────────────────────────────────────────────────────────────────

  void launch(wire::Message message) {
    last_launch_nanos_ = os::monotonic_nanos();
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
    Status begun = begin(number, &launched, std::move(message.descriptors));
    if (begun.ok()) return;
    const uint64_t seat = launched.seat;
    forget_refused(number, std::move(begun));
    if (seat != 0) discard(seat);
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
    sandbox::HostFacts facts = facts_;
    sandbox::add_facts_of(request.spec, &facts);
    launched->start = RUNINK_TRY(sandbox::plan_start(request.spec, facts));
    const PoolKey key = key_of(request.spec, request.kind);
    if (const auto taken = take_ready(key, request.recycle)) {
      launched->record.started.path = taken->recycled ? StartPath::kRecycled : StartPath::kParked;
      return seat_taken(number, launched, taken->seat);
    }
    launched->record.started.path = StartPath::kCold;
    if (!request.spec.secrets.empty()) {
      launched->vault = RUNINK_TRY(lock_away(&launched->request.spec.secrets));
      model::wipe_secrets(&launched->request.spec);
    }
    launched->seat = RUNINK_TRY(park(key, facts));
    Seat& seat = seats_.at(launched->seat);
    seat.launched = number;
    return {};
  }

  PoolKey key_of(const model::SliceSpec& spec, SliceKind kind) const {
    return {.parking = sandbox::class_of(spec, facts_),
            .kind = kind,
            .engine = kind == SliceKind::kEngine ? engine_key(spec) : ""};
  }

  std::optional<Pools::Taken> take_ready(const PoolKey& key, bool recycle) {
    if (pools_.count_ready() == 0) return std::nullopt;
    if (sandbox::root_parts_stamp() != stamp_) {
      for (const uint64_t seat : pools_.take_all()) discard(seat);
      return std::nullopt;
    }
    return pools_.take(key, recycle);
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
    if (launched->vault.valid()) {
      RUNINK_RETURN_IF_ERROR(take_out(launched->vault, &launched->request.spec.secrets));
      launched->vault.reset();
    }
    Status begun = seat->slice->start(launched->request.spec, std::move(*launched->start), streams);
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

  Result<uint64_t> park(const PoolKey& key, const sandbox::HostFacts& facts) {
    const sandbox::Operations operations = RUNINK_TRY(sandbox::plan_parking(key.parking, facts));
    const uint64_t number = next_seat_++;
    Seat seat;
    seat.slice = RUNINK_TRY(sandbox::Slice::park(key.parking, operations, &makers_));
    seat.key = key;
    watch_seat(number, &seats_.emplace(number, std::move(seat)).first->second);
    return number;
  }

  void started(uint64_t number, Seat* seat) {
    Launched& launched = launched_.at(number);
    launched.record.state = SliceState::kRunning;
    launched.record.started_at_nanos = os::monotonic_nanos();
    Started& told = launched.record.started;
    told.pid = seat->slice->pid();
    told.group = seat->slice->group();
    told.first_id = seat->slice->first_id();
    ++(told.path == StartPath::kCold     ? counters_.cold
       : told.path == StartPath::kParked ? counters_.parked
                                         : counters_.recycled);
    if (launched.request.spec.time_limit_micros > 0) {
      launched.limit_nanos = launched.record.started_at_nanos + launched.request.spec.time_limit_micros * 1000;
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
    launched_.erase(at);
    refuse(number, why);
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
    if (seat->key.kind == SliceKind::kCommand) return stands_ready(number, seat);
    Status begun = start_engine(number, seat);
    if (!begun.ok()) refused(number, seat, std::move(begun));
  }

  Status start_engine(uint64_t number, Seat* seat) {
    const Pools::Pool* pool = pools_.find(seat->key);
    model::SliceSpec spec = pool->spec;
    spec.resources = {};  // those of the launch come with it
    sandbox::HostFacts facts = facts_;
    sandbox::add_facts_of(spec, &facts);
    sandbox::Operations start = RUNINK_TRY(sandbox::plan_start(spec, facts));
    std::vector<int> streams;
    const os::Fd its = RUNINK_TRY(make_control(seat, &streams));
    RUNINK_RETURN_IF_ERROR(seat->slice->start(spec, std::move(start), streams));
    watch_seat(number, seat);
    return {};
  }

  void program_started(uint64_t number, Seat* seat) {
    if (seat->launched) return started(*seat->launched, seat);
    stands_ready(number, seat);
  }

  void stands_ready(uint64_t number, Seat* seat) {
    pools_.ready(seat->key, number);
    seat->for_pool = false;
    seat->ready = true;
    const Pools::Pool* pool = pools_.find(seat->key);
    if (pool->ready.size() > pool->wanted) {  // fewer are wanted by now
      discard(number);
    } else if (pool->ready.size() == pool->wanted) {
      tell_pool(seat->key);
    }
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

  void ended(uint64_t number, Seat* seat, sandbox::SliceEnd end) {
    if (!seat->launched) {  // an engine that stood ready
      leave_pool(number, seat, internal_error("a parked engine ended by itself"));
      seat->slice->end();
      return;
    }
    const uint64_t owners = *seat->launched;
    Launched& launched = launched_.at(owners);
    const bool recycle = launched.request.recycle && !launched.killed && launched.request.kind == SliceKind::kCommand;
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
      seat->slice->end();
    }
  }

  void gone(uint64_t number) {
    Seat& seat = seats_.at(number);
    leave_pool(number, &seat, internal_error("a slice ended while it was being parked"));
    if (seat.timer != 0) timers_.erase({seat.timer, number});
    if (!seat.slice->try_remove_group()) {
      dying_.push_back(std::move(seat.slice));
      group_retry_nanos_ = os::monotonic_nanos() + kGroupRetryNanos;
    }
    seats_.erase(number);
  }

  // The kernel takes a moment to empty a group.
  void retry_groups(int64_t now) {
    if (now < group_retry_nanos_) return;
    std::erase_if(dying_, [](const auto& slice) { return slice->try_remove_group(); });
    group_retry_nanos_ = now + kGroupRetryNanos;
  }

  // One that is not needed any more, whatever it does.
  void discard(uint64_t number) {
    const auto at = seats_.find(number);
    if (at == seats_.end()) return;
    pools_.remove(at->second.key, number);
    at->second.ready = false;
    at->second.slice->kill();
    set_timer(number, &at->second);
  }

  // ── Pools ──────────────────────────────────────────────────────────────────────────────────────────────────────

  void refresh_facts() {
    facts_ = sandbox::gather_host_facts();
    stamp_ = sandbox::root_parts_stamp();
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
                          .wanted = pool->wanted,
                          .ready = static_cast<uint32_t>(pool->ready.size()),
                          .failed = pool->failed}));
  }

  bool may_fill_pools() const {
    const int64_t now = os::monotonic_nanos();
    if (!pools_.next_missing(now)) return false;
    return pools_.urgent(now) || (idle_ && now - last_launch_nanos_ >= kQuietNanos);
  }

  void fill_a_pool() {
    const int64_t now = os::monotonic_nanos();
    const std::optional<PoolKey> key = pools_.next_missing(now);
    if (!key) return;
    pools_.began(*key);
    refresh_facts();
    sandbox::HostFacts facts = facts_;
    sandbox::look_at_mounts(key->parking.mounts, &facts);
    const auto seat = park(*key, facts);
    if (!seat.ok()) {
      pools_.failed(*key, seat.status(), now);
      return tell_pool(*key);
    }
    seats_.at(*seat).for_pool = true;
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────────────────

  void end_all() {
    for (auto& [number, seat] : seats_) {
      seat.slice->kill();
      seat.slice->end();
    }
    const int64_t deadline = os::monotonic_nanos() + kEndNanos;
    owner_.close();
    if (listener_.valid()) (void)os::remove_file(options_.listen_path);
    listener_.reset();
    // The destructors wait for what the kernel has not ended by then.
    for (auto& [number, seat] : seats_) dying_.push_back(std::move(seat.slice));
    seats_.clear();
    while (!dying_.empty() && os::monotonic_nanos() < deadline) {
      std::erase_if(dying_, [](const auto& slice) {
        while (slice->next_event()) {
        }
        return slice->pid_descriptor() < 0 && slice->try_remove_group();
      });
      if (!dying_.empty()) ::usleep(500);
    }
    dying_.clear();
    makers_.groups.remove_herds();
  }

  ServerOptions options_;
  sandbox::SliceMakers makers_;  // before all slices
  os::Fd epoll_, listener_, nothing_;
  wire::Channel owner_;
  uint32_t owner_events_ = 0;  // that are watched for
  int64_t owner_gone_nanos_ = 0;
  bool stopping_ = false, idle_ = false;
  int64_t last_launch_nanos_ = 0;

  sandbox::HostFacts facts_;
  std::string stamp_;
  Pools pools_;
  std::unordered_map<uint64_t, Seat> seats_;
  uint64_t next_seat_ = kFirstSeat;
  std::unordered_map<uint64_t, Launched> launched_;
  std::set<std::pair<int64_t, uint64_t>> timers_;
  std::vector<std::unique_ptr<sandbox::Slice>> dying_;  // whose groups are still busy
  int64_t group_retry_nanos_ = 0;
  Counters counters_;
};

}  // namespace

Status serve(ServerOptions options) {
  // Of sockets whose other end has gone every write says so.
  ::signal(SIGPIPE, SIG_IGN);
  Server server(std::move(options));
  return server.run();
}

}  // namespace runink::launcher
