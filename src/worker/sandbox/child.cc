#include "worker/sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "worker/sandbox/raw_calls.h"
#include "worker/wire/framing.h"

namespace runink::sandbox {
namespace {

void report(wire::Channel* to, ReportType type, std::string_view body = {}, std::span<const int> descriptors = {}) {
  // Where nobody reads any more, there is nobody to tell.
  (void)to->send(static_cast<uint16_t>(type), 0, body, descriptors);
}

[[noreturn]] void fail(wire::Channel* to, Phase phase, size_t operation, int error) noexcept {
  report(to, ReportType::kFailed, wire::encode_value(StartFailure{static_cast<uint32_t>(operation), phase, error}));
  ::_exit(1);
}

// Carries out process 1's operations of a list, in order. Ends this process where one fails.
void set_up_all(const std::vector<Operation>& list, wire::Channel* to, const ChildContext& context,
                SetupState* state) noexcept {
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].place != Place::kInit || list[i].action == Action::kStartProgram) continue;
    if (const int error = set_up(context, list[i], state); error != 0) fail(to, list[i].phase, i, error);
  }
}

wire::Message must_receive(wire::Channel* from) noexcept {
  auto message = from->receive_within(-1);
  if (!message.ok() || !*message) ::_exit(1);
  return std::move(**message);
}

void must_become(const ProgramStep& step, Phase phase, ProgramState* state) noexcept {
  const int error = become_program(step, state);
  if (error == 0) return;
  state->outcome = ProgramState::Outcome::kFailed;
  fail(state->launcher, phase, step.operation, error);
}

// Its texts end where the kernel looks for their end.
bool can_be_executed(const ReceivedExecuteOrder& order, size_t streams) noexcept {
  const auto ends = [](std::string_view text) { return !text.empty() && text.back() == '\0'; };
  return order.stream_grants.size() == streams &&
         std::all_of(order.steps.begin(), order.steps.end(), [&](const auto& step) { return ends(step.path); }) &&
         std::all_of(order.candidates.begin(), order.candidates.end(), ends) &&
         std::all_of(order.argv.begin(), order.argv.end(), ends) &&
         std::all_of(order.environment.begin(), order.environment.end(), ends);
}

// Pages of the stack are faulted in before the order comes.
void warm_stack() noexcept {
  volatile char stack[12u << 10];
  for (size_t at = 0; at < sizeof stack; at += 4096) stack[at] = 0;
}

// Waits for its order. What is allocated from here on delays the start: the heap's pages are copies of the spawner's,
// and the first write to each is a fault.
void receive_order(ProgramState* state) noexcept {
  const auto received = state->launcher->receive_into(&state->received, wire::Channel::Wait::kInKernel);
  const auto is = [&](OrderType type) { return state->received.type == static_cast<uint16_t>(type); };
  if (!received.ok() || !*received || is(OrderType::kStepAside)) {
    state->outcome = ProgramState::Outcome::kSteppedAside;
    ::_exit(0);
  }
  if (!is(OrderType::kExecute)) ::_exit(1);
  // Of this process's table: process 1 must not close these numbers in its own.
  for (os::Fd& fd : state->received.descriptors) state->streams.push_back(fd.release());
  wire::Decoder decoder(state->received.body);
  decoder(state->order);
  if (!decoder.finish("an order to execute").ok() || !can_be_executed(state->order, state->streams.size())) ::_exit(1);
}

// The process that becomes the program, from its beginning on.
[[noreturn]] void run_program(const Operations& parking, ProgramState* state) noexcept {
  for (size_t i = 0; i < parking.list.size(); ++i) {
    const Operation& operation = parking.list[i];
    if (operation.place != Place::kProgram) continue;
    must_become({.operation = static_cast<uint32_t>(i),
                 .action = operation.action,
                 .path = operation.path,
                 .number = operation.number,
                 .second = operation.second},
                Phase::kPark, state);
  }
  state->make_room();
  warm_stack();
  report(state->launcher, ReportType::kReady);
  receive_order(state);
  state->outcome = ProgramState::Outcome::kOrdered;
  for (const ProgramStep& step : state->order.steps) must_become(step, Phase::kStart, state);
  ::_exit(1);  // not reached: the last operation executes the program, or fails
}

// Memory for the process that becomes the program, until it is executed: with a page before it that cannot be touched.
class ProgramStack {
 public:
  bool make() noexcept {
    if (memory_ != MAP_FAILED) return true;
    memory_ = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    return memory_ != MAP_FAILED && ::mprotect(memory_, kGuard, PROT_NONE) == 0;
  }
  void* top() const noexcept { return static_cast<char*>(memory_) + kBytes; }

 private:
  static constexpr size_t kBytes = 64u << 10, kGuard = 4096;
  void* memory_ = MAP_FAILED;
};

// What processes have used that ended and were waited for.
void add_usage(const rusage& ended, SliceUsage* sum) noexcept {
  const auto micros = [](const timeval& time) { return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec; };
  constexpr uint64_t kBlock = 512;
  sum->user_micros += micros(ended.ru_utime);
  sum->system_micros += micros(ended.ru_stime);
  sum->minor_faults += static_cast<uint64_t>(ended.ru_minflt);
  sum->major_faults += static_cast<uint64_t>(ended.ru_majflt);
  sum->io_read_bytes = sum->io_read_bytes.value_or(0) + static_cast<uint64_t>(ended.ru_inblock) * kBlock;
  sum->io_write_bytes = sum->io_write_bytes.value_or(0) + static_cast<uint64_t>(ended.ru_oublock) * kBlock;
  sum->peak_memory_bytes = std::max(sum->peak_memory_bytes.value_or(0), static_cast<uint64_t>(ended.ru_maxrss) * 1024);
}

class Init {
 public:
  explicit Init(const ParkOrder& order) : order_(order), sources_(order.sources) {
    launcher_ = wire::Channel(os::Fd(order.launcher, "launcher"));
    context_ = {.parking = order.operations, .sources = &sources_, .group_files = &order.group_files};
  }

  [[noreturn]] void run() noexcept {
    expect(must_receive(&launcher_), OrderType::kGo);
    set_up_all(order_.operations->list, &launcher_, context_, &state_);
    move_socket_above();
    // Trees and the files of the group have been used; what stays is the socket and the lock.
    close_all_but({launcher_.descriptor(), order_.ids_lock});
    (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    signals_ = os::Fd(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK), "signals");
    if (!signals_.valid()) ::_exit(1);
    const size_t user = number_of(Action::kBecomeUser);
    if (order_.operations->list[user].number == ::geteuid()) scrubber_.remember_limits();
    make_program();
    serve();
  }

 private:
  static void expect(const wire::Message& message, OrderType type) noexcept {
    if (message.type != static_cast<uint16_t>(type)) ::_exit(1);
  }

  size_t number_of(Action action) const noexcept {
    const auto& list = order_.operations->list;
    const auto at = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.action == action; });
    return static_cast<size_t>(at - list.begin());
  }

  // The process that becomes the program has it too, and waits at it: above what the program will get.
  void move_socket_above() noexcept {
    const int above = ::fcntl(launcher_.descriptor(), F_DUPFD_CLOEXEC, kAboveStreams);
    if (above < 0) fail(&launcher_, Phase::kPark, number_of(Action::kStartProgram), errno);
    launcher_ = wire::Channel(os::Fd(above, "launcher"));
    if (::fcntl(above, F_SETFL, 0) != 0) ::_exit(1);
  }

  void make_program() noexcept {
    if (!stack_.make()) fail(&launcher_, Phase::kPark, number_of(Action::kStartProgram), errno);
    program_state_.filtered = filtered_;
    program_state_.launcher = &launcher_;
    program_state_.places = places_;
    shares_memory_ = 1;
    program_ = ::clone(begin_program, stack_.top(), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, this, nullptr, nullptr,
                       &shares_memory_);
    const int error = errno;
    // From here until the kernel clears that word, when the other has executed the program or has ended, all memory is
    // the other's, errno too: nothing but system calls, whose answers do not matter.
    while (program_ > 0 && __atomic_load_n(&shares_memory_, __ATOMIC_ACQUIRE) != 0) {
      ::syscall(SYS_futex, &shares_memory_, FUTEX_WAIT, 1, nullptr, nullptr, 0);
    }
    if (program_ < 0) fail(&launcher_, Phase::kPark, number_of(Action::kStartProgram), error);
    forget_program();
  }

  static int begin_program(void* init) noexcept {
    auto* self = static_cast<Init*>(init);
    std::vector<int> kept = {self->launcher_.descriptor()};
    for (const FencePlace& one : self->places_) kept.push_back(one.place);
    close_all_but(std::move(kept));
    run_program(*self->order_.operations, &self->program_state_);
  }

  // What it was executed with may hold secrets, and its descriptors are not this process's.
  void forget_program() noexcept {
    using Outcome = ProgramState::Outcome;
    const Outcome outcome = program_state_.outcome;
    scrub_at_end_ = outcome == Outcome::kOrdered && program_state_.order.scrub;
    program_state_ = ProgramState();
    if (outcome == Outcome::kOrdered) report(&launcher_, ReportType::kStarted);
    if (outcome != Outcome::kSteppedAside) return;
    while (::waitpid(program_, nullptr, 0) < 0 && errno == EINTR) {
    }
    program_ = -1;
  }

  [[noreturn]] void serve() noexcept {
    for (;;) {
      pollfd waiting[] = {{launcher_.descriptor(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
      if (::poll(waiting, 2, -1) < 0 && errno != EINTR) ::_exit(1);
      if (waiting[1].revents != 0) {
        signalfd_siginfo info;  // one at most, since they are all of one kind
        (void)!::read(signals_.get(), &info, sizeof info);
        reap();
      }
      for (;;) {
        auto message = launcher_.receive();
        // The launcher has gone, or has done with this slice: the kernel kills whatever else is in it.
        if (!message.ok()) ::_exit(0);
        if (!*message) break;
        obey(std::move(**message));
      }
    }
  }

  void obey(wire::Message message) noexcept {
    switch (static_cast<OrderType>(message.type)) {
      case OrderType::kPrepare:
        return prepare(std::move(message));
      case OrderType::kSignal: {
        const auto signal = wire::decode_value<int32_t>(message.body, "a signal");
        // To the whole group, as a terminal does; the program leads it. pid 0 would be this process's own group.
        if (signal.ok() && program_ > 0 && ::kill(-program_, *signal) != 0) (void)::kill(program_, *signal);
        return;
      }
      case OrderType::kScrub:
        return scrub();
      default:
        ::_exit(1);
    }
  }

  void prepare(wire::Message message) noexcept {
    auto order = wire::decode_value<PrepareOrder>(message.body, "an order to prepare");
    if (!order.ok()) ::_exit(1);
    std::vector<ChildSource> trees;
    for (const os::Fd& fd : message.descriptors) trees.push_back({.tree = fd.get()});
    state_.root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ChildContext context = context_;
    context.sources = &trees;
    context.secrets = &order->secrets;
    set_up_all(order->list, &launcher_, context, &state_);
    ::close(state_.root);
    state_.root = -1;
    // This process lives as long as the slice, and its memory can be swapped: the files are the only copies that stay.
    for (model::SliceSecret& secret : order->secrets) ::explicit_bzero(secret.bytes.data(), secret.bytes.size());
    make_program();
  }

  void reap() noexcept {
    int status = 0;
    rusage usage;
    for (pid_t ended; (ended = ::wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0;) {
      add_usage(usage, &usage_);
      if (ended == program_) return end(status);
    }
  }

  // What the program leaves behind ends with it, and before its end is told.
  void end(int program_status) noexcept {
    rusage usage;
    pid_t ended;
    while ((ended = ::wait4(-1, nullptr, __WALL | WNOHANG, &usage)) > 0) add_usage(usage, &usage_);
    // Who has no children has no descendants: to say so is cheaper than to have the kernel look through all processes
    // of the host.
    if (ended == 0) {
      (void)::kill(-1, SIGKILL);
      while ((ended = ::wait4(-1, nullptr, __WALL, &usage)) > 0 || errno == EINTR) {
        if (ended > 0) add_usage(usage, &usage_);
      }
    }
    program_ = -1;
    report(&launcher_, ReportType::kEnded, wire::encode_value(ProgramEnd{program_status, usage_}));
    usage_ = {};
    if (scrub_at_end_) scrub();
  }

  void scrub() noexcept {
    if (program_ > 0) ::_exit(1);
    const std::string left = scrubber_.scrub();
    if (!left.empty()) {
      report(&launcher_, ReportType::kUnclean, left);
      ::_exit(0);
    }
    // It mounts nothing any more, since only a slice that was never used gets something of its own. With the filter for
    // itself it has it for all programs to come, who save a tenth of a millisecond each.
    if (!filtered_) filtered_ = install_filter(default_filter()) == 0;
    if (places_.empty()) places_ = open_fence_places(*order_.operations);
    make_program();
  }

  const ParkOrder& order_;
  std::vector<ChildSource> sources_;
  ChildContext context_;
  SetupState state_;
  wire::Channel launcher_;
  os::Fd signals_;
  pid_t program_ = -1;
  bool filtered_ = false, scrub_at_end_ = false;
  std::vector<FencePlace> places_;
  int shares_memory_ = 0;
  ProgramState program_state_;
  ProgramStack stack_;
  SliceUsage usage_;
  Scrubber scrubber_;
};

}  // namespace

void close_all_but(std::vector<int> kept) noexcept {
  std::sort(kept.begin(), kept.end());
  unsigned first = 0;
  for (const int fd : kept) {
    if (fd < 0) continue;
    const auto number = static_cast<unsigned>(fd);
    if (number > first) (void)::close_range(first, number - 1, 0);
    first = number + 1;
  }
  (void)::close_range(first, ~0U, 0);
}

void run_init(const ParkOrder& order) noexcept {
  (void)::prctl(PR_SET_NAME, kInitName);
  std::vector<int> kept = order.group_files;
  for (const ChildSource& source : order.sources) kept.push_back(source.tree);
  kept.push_back(order.launcher);
  kept.push_back(order.ids_lock);
  close_all_but(std::move(kept));
  Init init(order);
  init.run();
}

}  // namespace runink::sandbox
