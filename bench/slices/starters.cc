#include "starters.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "platform/os/file.h"

namespace runink::bench {
namespace {

constexpr int64_t kLongMicros = 30'000'000;  // only what hangs takes as long

// A command as posix_spawn takes it: the payload's output is `output`, 0 and 2 are this process's.
class SpawnPlan {
 public:
  SpawnPlan(const sandbox::peers::PeerCommand& command, int output) : command_(command) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, output, 1);
    for (const auto& [path, number] : command_.files)
      ::posix_spawn_file_actions_addopen(&actions_, number, path.c_str(), O_RDONLY, 0);
    for (std::string& word : command_.argv) argv_.push_back(word.data());
    argv_.push_back(nullptr);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() { ::posix_spawn_file_actions_destroy(&actions_); }

  Result<pid_t> spawn() {
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, argv_[0], &actions_, nullptr, argv_.data(), environ);
    if (error != 0) return from_errno(error, fmt::format("start {}", command_.argv[0]));
    return pid;
  }
  void rename(const std::string& last) {
    command_.argv.back() = last;
    argv_[argv_.size() - 2] = command_.argv.back().data();
  }
  std::string text() const { return command_.argv[0]; }

 private:
  sandbox::peers::PeerCommand command_;
  posix_spawn_file_actions_t actions_;
  std::vector<char*> argv_;
};

Status reap(pid_t pid, const std::string& what) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return from_errno(errno, "wait for " + what);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return aborted("{} ended with status {:#x}", what, status);
}

class CommandStarter : public Starter {
 public:
  CommandStarter(Stamp stamp, const sandbox::peers::PeerCommand& command, bool named)
      : stamp_(std::move(stamp)), plan_(command, stamp_.descriptor()), named_(named) {}

  Result<Start> once() override {
    if (named_) plan_.rename(fmt::format("runink-bench-{}-{}", ::getpid(), ++number_));
    stamp_.clear();
    const double before = children_cpu_seconds();
    Start start;
    start.asked = now_nanos();
    const pid_t pid = RUNINK_TRY(plan_.spawn());
    RUNINK_RETURN_IF_ERROR(reap(pid, plan_.text()));
    start.reaped = now_nanos();
    start.first = stamp_.nanos();
    seconds_ += children_cpu_seconds() - before;
    if (start.first == 0) return internal_error("{} ended without having started the payload", plan_.text());
    return start;
  }
  double cpu_seconds() override { return seconds_; }

 private:
  Stamp stamp_;
  SpawnPlan plan_;
  const bool named_;
  uint64_t number_ = 0;
  double seconds_ = 0;
};

}  // namespace

Result<Stamp> Stamp::make() {
  Stamp stamp;
  stamp.file_ = os::Fd(::memfd_create("stamp", MFD_CLOEXEC), "stamp");
  if (!stamp.file_.valid() || ::ftruncate(stamp.file_.get(), 4096) != 0) return from_errno(errno, "make a stamp");
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, stamp.file_.get(), 0);
  if (page == MAP_FAILED) return from_errno(errno, "map a stamp");
  stamp.page_ = static_cast<int64_t*>(page);
  return stamp;
}

Stamp::Stamp(Stamp&& other) noexcept : file_(std::move(other.file_)), page_(std::exchange(other.page_, nullptr)) {}

Stamp::~Stamp() {
  if (page_ != nullptr) ::munmap(page_, 4096);
}

// The payload only writes: the position is the file's, whoever has it open.
void Stamp::clear() {
  page_[0] = page_[1] = 0;
  (void)::lseek(file_.get(), 0, SEEK_SET);
}

int64_t Stamp::nanos() const { return page_[0] * 1'000'000'000 + page_[1]; }

Result<std::unique_ptr<Starter>> make_command_starter(sandbox::peers::PeerCommand command) {
  return std::unique_ptr<Starter>(new CommandStarter(RUNINK_TRY(Stamp::make()), command, false));
}

Result<std::unique_ptr<Starter>> make_bundle_starter(std::string runtime, std::string bundle, std::string state) {
  const auto command = sandbox::peers::bundle_command(runtime, bundle, state, "name");
  return std::unique_ptr<Starter>(new CommandStarter(RUNINK_TRY(Stamp::make()), command, true));
}

Result<std::unique_ptr<LauncherStarter>> LauncherStarter::make(const model::SliceSpec& spec, const LauncherUse& use) {
  Stamp stamp = RUNINK_TRY(Stamp::make());
  launcher::LauncherClient client = RUNINK_TRY(launcher::LauncherClient::start({}));
  std::unique_ptr<LauncherStarter> starter(new LauncherStarter(std::move(client), std::move(stamp), spec, use));
  if (use.parked > 0) {
    launcher::PoolRequest request;
    request.spec = spec;
    request.count = use.parked;
    RUNINK_RETURN_IF_ERROR(starter->client_.keep_parked(request));
    RUNINK_RETURN_IF_ERROR(starter->prepare(static_cast<int>(use.parked)));
  }
  return starter;
}

Status LauncherStarter::launch(int output) {
  launcher::LaunchRequest request;
  request.spec = spec_;
  request.recycle = use_.recycle;
  return client_.launch(++number_, std::move(request),
                        {.input = 0, .output = output, .error = 2, .more = {}, .kept = {}});
}

Result<launcher::LauncherEvent> LauncherStarter::next() {
  for (;;) {
    auto event = RUNINK_TRY(client_.next_event(kLongMicros));
    if (!event) return deadline_exceeded("the launcher says nothing");
    if (event->kind == launcher::LauncherEvent::Kind::kRefused) return std::move(event->refused);
    if (event->kind == launcher::LauncherEvent::Kind::kPool) {
      RUNINK_RETURN_IF_ERROR(std::move(event->pool.failed));
      continue;
    }
    return std::move(*event);
  }
}

void LauncherStarter::count(launcher::StartPath path) {
  switch (path) {
    case launcher::StartPath::kCold:
      ++paths_.cold;
      return;
    case launcher::StartPath::kParked:
      ++paths_.parked;
      return;
    case launcher::StartPath::kRecycled:
      ++paths_.recycled;
      return;
  }
}

Result<Start> LauncherStarter::once() {
  stamp_.clear();
  Start start;
  start.asked = now_nanos();
  RUNINK_RETURN_IF_ERROR(launch(stamp_.descriptor()));
  for (;;) {
    const launcher::LauncherEvent event = RUNINK_TRY(next());
    if (event.kind == launcher::LauncherEvent::Kind::kStarted) {
      count(event.started.path);
      continue;
    }
    start.reaped = now_nanos();
    start.first = stamp_.nanos();
    if (start.first == 0 || !event.end.exited || event.end.code != 0) {
      return internal_error("a slice ended without having started the payload (code {}, signal {})", event.end.code,
                            event.end.signal);
    }
    return start;
  }
}

// Until the launcher has as many ready as will be taken, and nothing left to do about those that were.
Status LauncherStarter::prepare(int starts) {
  const uint64_t wanted = std::min(use_.parked, static_cast<uint32_t>(starts));
  const int64_t deadline = now_nanos() + kLongMicros * 1000;
  for (;;) {
    const launcher::LauncherState state = RUNINK_TRY(client_.list(kLongMicros));
    const launcher::Counters& now = state.counters;
    if (now.ready >= wanted && now.running == 0 && now.leaving == 0) return {};
    if (now_nanos() > deadline) return deadline_exceeded("{} of {} slices stand ready", state.counters.ready, wanted);
    auto event = RUNINK_TRY(client_.next_event(10'000));
    if (event && event->kind == launcher::LauncherEvent::Kind::kPool)
      RUNINK_RETURN_IF_ERROR(std::move(event->pool.failed));
  }
}

Result<uint64_t> LauncherStarter::run_for(int64_t nanos, int at_once) {
  const os::Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC), "/dev/null");
  const int64_t end = now_nanos() + nanos;
  uint64_t done = 0;
  int outstanding = 0;
  while (outstanding > 0 || now_nanos() < end) {
    while (outstanding < at_once && now_nanos() < end) {
      RUNINK_RETURN_IF_ERROR(launch(nowhere.get()));
      ++outstanding;
    }
    const launcher::LauncherEvent event = RUNINK_TRY(next());
    if (event.kind == launcher::LauncherEvent::Kind::kStarted) {
      count(event.started.path);
      continue;
    }
    if (!event.end.exited || event.end.code != 0) return internal_error("a slice's payload failed");
    --outstanding;
    if (now_nanos() < end) ++done;
  }
  return done;
}

}  // namespace runink::bench
