#include "worker/sandbox/spawner.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <unordered_map>
#include <vector>

#include "platform/os/machine.h"
#include "worker/sandbox/child.h"
#include "worker/sandbox/dying_groups.h"
#include "worker/wire/spec_codec.h"

namespace runink::sandbox {

enum class SpawnerMessage : uint16_t {
  kSpawn = 1,       // SpawnOrder
  kRelease = 2,     // its group's name, as text; empty without
  kLimitHerds = 3,  // std::vector<model::HerdLimit>
  kSpawned = 101,   // SpawnedSlice; descriptors: pidfd, init
  kFailed = 102,    // Status
  kHerds = 103,     // std::vector<HerdState>
};

struct SpawnOrder {
  ParkingClass parking;
  Operations operations;
  model::SliceResources resources;
};

template <typename Archive>
void visit(Archive& archive, ParkingClass& parking) {
  auto& [herd, user, group, limited, terminal, mounts] = parking;
  archive(herd, user, group, limited, terminal, mounts);
}

template <typename Archive>
void visit(Archive& archive, MountSource& source) {
  auto& [path, folder, writable, device, device_major, device_minor, block, granted, scratch_bytes, mapped,
         by_specification, user, group] = source;
  archive(path, folder, writable, device, device_major, device_minor, block, granted, scratch_bytes, mapped,
          by_specification, user, group);
}

// Its descriptors go beside the message.
template <typename Archive>
void visit(Archive& archive, SpawnedSlice& slice) {
  archive(slice.pid, slice.first_id, slice.group);
}

template <typename Archive>
void visit(Archive& archive, SpawnOrder& order) {
  // What else operations may have is of starts.
  archive(order.parking, order.operations.list, order.operations.sources, order.resources);
}

namespace {

constexpr size_t kMostDying = 32;  // groups that wait for a quiet moment
constexpr int kRetryMillis = 20;
constexpr int64_t kEndNanos = 10'000'000'000;

class SpawnerProcess {
 public:
  SpawnerProcess(wire::Channel channel, os::ProcessIdentity launcher, bool replaces_another)
      : launcher_(std::move(channel)), makers_(std::move(launcher)) {
    if (!replaces_another || !makers_.groups.open().ok()) return;
    before_ = makers_.groups.all_of_launcher();
    give_up_before_ = os::monotonic_nanos() + kEndNanos;
  }

  void run() {
    while (serve()) {
    }
    // The launcher is gone, and its slices go with it.
    // Also groups of a spawner before this one, and of slices that were not told of.
    const int64_t deadline = os::monotonic_nanos() + kEndNanos;
    std::vector<std::string> left = makers_.groups.all_of_launcher();
    while (!left.empty() && os::monotonic_nanos() < deadline) {
      std::erase_if(left, [&](const std::string& name) { return makers_.groups.remove(name); });
      if (!left.empty()) (void)::usleep(1000);
    }
    makers_.groups.remove_herds();
  }

 private:
  // False once the launcher has gone. Groups are removed while there is nothing else to do, and when there are many.
  bool serve() {
    for (;;) {
      auto message = launcher_.receive();
      if (!message.ok()) return false;
      if (!*message) break;
      obey(**message);
      for (int i = 0; i < 2 && dying_.size() > kMostDying; ++i) dying_.remove_one(os::monotonic_nanos());
    }
    const auto events = static_cast<short>(POLLIN | (launcher_.wants_to_write() ? POLLOUT : 0));
    pollfd waiting = {launcher_.descriptor(), events, 0};
    const int millis = dying_.millis_to_wait(os::monotonic_nanos());
    const bool soon = !before_.empty() && (millis < 0 || millis > kRetryMillis);
    if (::poll(&waiting, 1, soon ? kRetryMillis : millis) < 0 && errno != EINTR) return false;
    if (waiting.revents == 0) dying_.remove_one(os::monotonic_nanos());
    if (waiting.revents == 0) remove_before();
    return launcher_.flush().ok();
  }

  void obey(const wire::Message& message) {
    switch (static_cast<SpawnerMessage>(message.type)) {
      case SpawnerMessage::kSpawn:
        return spawn(message);
      case SpawnerMessage::kLimitHerds:
        return limit_herds(message.body);
      case SpawnerMessage::kRelease:
        return release(message);
      default:
        return;
    }
  }

  // Those that are still used after a while are released by their slices' ends.
  void remove_before() {
    std::erase_if(before_, [this](const std::string& name) { return makers_.groups.remove(name); });
    if (os::monotonic_nanos() > give_up_before_) before_.clear();
  }

  void limit_herds(const std::string& body) {
    const auto limits = wire::decode_value<std::vector<model::HerdLimit>>(body, "limits of herds");
    if (!limits.ok()) return;
    (void)launcher_.send(static_cast<uint16_t>(SpawnerMessage::kHerds), 0,
                         wire::encode_value(makers_.groups.limit_herds(*limits)));
  }

  void release(const wire::Message& message) {
    held_.erase(message.subject);
    dying_.add(message.body);
  }

  void spawn(const wire::Message& message) {
    SliceHoldings holdings;
    auto made = make(message.body, &holdings);
    if (!made.ok()) {
      dying_.add(std::move(holdings.group));
      (void)launcher_.send(static_cast<uint16_t>(SpawnerMessage::kFailed), message.subject,
                           wire::encode_value(made.status()));
      return;
    }
    const int descriptors[] = {made->pidfd.get(), made->init.get()};
    (void)launcher_.send(static_cast<uint16_t>(SpawnerMessage::kSpawned), message.subject, wire::encode_value(*made),
                         descriptors);
    held_.emplace(message.subject, std::move(holdings));
  }

  // Most orders are as the one before, whose memory is left as it is: each page of it that is written to is copied,
  // here or in the slice.
  Result<SpawnedSlice> make(const std::string& body, SliceHoldings* holdings) {
    if (body != last_body_) {
      last_body_.clear();
      last_order_ = RUNINK_TRY(wire::decode_value<SpawnOrder>(body, "an order to make a slice"));
      last_body_ = body;
    }
    return spawn_slice(last_order_.parking, last_order_.operations, last_order_.resources, SpawnParent::kItsParent,
                       &makers_, holdings);
  }

  wire::Channel launcher_;
  SpawnMakers makers_;  // before what they made
  std::unordered_map<uint64_t, SliceHoldings> held_;
  DyingGroups dying_{&makers_.groups};
  std::vector<std::string> before_;  // groups of the spawner whose place this one takes: nobody may know of them
  int64_t give_up_before_ = 0;
  std::string last_body_;
  SpawnOrder last_order_;  // what it says
};

}  // namespace

Status Spawner::start() {
  stop();
  auto [mine, its] = RUNINK_TRY(wire::Channel::make_pair());
  os::ProcessIdentity self = os::current_process();
  const bool replaces_another = std::exchange(started_, true);
  const pid_t pid = ::fork();
  if (pid < 0) return from_errno(errno, "make the process that makes slices");
  if (pid == 0) {
    close_all_but({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, its.descriptor()});
    (void)::prctl(PR_SET_NAME, kSpawnerName);
    SpawnerProcess(std::move(its), std::move(self), replaces_another).run();
    ::_exit(0);
  }
  channel_ = std::move(mine);
  pid_ = pid;
  return {};
}

void Spawner::stop() {
  channel_.close();
  if (pid_ <= 0) return;
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

Status Spawner::spawn(uint64_t slice, const ParkingClass& parking, const Operations& operations,
                      const model::SliceResources& resources) {
  SpawnOrder order{.parking = parking, .resources = resources};
  order.operations.list = operations.list;
  order.operations.sources = operations.sources;
  return channel_.send(static_cast<uint16_t>(SpawnerMessage::kSpawn), slice, wire::encode_value(order));
}

Status Spawner::limit_herds(const std::vector<model::HerdLimit>& limits) {
  return channel_.send(static_cast<uint16_t>(SpawnerMessage::kLimitHerds), 0, wire::encode_value(limits));
}

Status Spawner::release(uint64_t slice, const std::string& group) {
  return channel_.send(static_cast<uint16_t>(SpawnerMessage::kRelease), slice, group);
}

Result<std::optional<Spawner::Answer>> Spawner::next() {
  std::optional<wire::Message> message = RUNINK_TRY(channel_.receive());
  if (!message) return std::optional<Answer>();
  const auto type = static_cast<SpawnerMessage>(message->type);
  if (type == SpawnerMessage::kFailed) {
    Status why;
    wire::Decoder decoder(message->body);
    decoder(why);
    RUNINK_RETURN_IF_ERROR(decoder.finish("why a slice could not be made"));
    return std::optional<Answer>(Made{message->subject, std::move(why)});
  }
  if (type == SpawnerMessage::kHerds) {
    return std::optional<Answer>(
        RUNINK_TRY(wire::decode_value<HerdStates>(message->body, "whether limits of herds hold")));
  }
  if (type != SpawnerMessage::kSpawned || message->descriptors.size() != 2) {
    return data_loss("the process that makes slices sent a message of type {}", message->type);
  }
  auto made = RUNINK_TRY(wire::decode_value<SpawnedSlice>(message->body, "a slice that was made"));
  made.pidfd = std::move(message->descriptors[0]);
  made.init = std::move(message->descriptors[1]);
  return std::optional<Answer>(Made{message->subject, std::move(made)});
}

}  // namespace runink::sandbox
