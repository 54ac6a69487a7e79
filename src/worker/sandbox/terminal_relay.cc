#include "worker/sandbox/terminal_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace runink::sandbox {
namespace {

constexpr size_t kMostHeld = 65536;  // in either direction; then the one side waits for the other
constexpr size_t kAtOnce = 4096;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

std::optional<struct winsize> size_of_terminal() {
  for (const int descriptor : {0, 1, 2}) {
    struct winsize size = {};
    if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) return size;
  }
  return std::nullopt;
}

// The flag belongs to the open file, which the caller shares with its shell: so one of our own. Where there can be none
// (a socket, somebody else's terminal), what is moved is little enough not to block for long.
os::Fd open_again(int descriptor, int flags) {
  const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
  return os::Fd(::open(path.c_str(), flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), path);
}

}  // namespace

TerminalRelay::~TerminalRelay() { restore(); }

model::SliceTerminal TerminalRelay::size_of_caller() {
  const auto size = size_of_terminal();
  return size ? model::SliceTerminal{size->ws_row, size->ws_col} : model::SliceTerminal{};
}

Status TerminalRelay::prepare() {
  channel_ = RUNINK_TRY(make_terminal_channel());
  return {};
}

Status TerminalRelay::begin(int input, int output) {
  os::Fd master = RUNINK_TRY(receive_terminal(channel_.ours));
  channel_ = {};
  kept_ = os::Fd(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), master.path());
  if (!kept_.valid()) return from_errno(errno, "open the terminal of a slice");
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(master, true));
  struct termios settings = {};
  if (::tcgetattr(input, &settings) == 0) {
    before_ = settings;
    terminal_ = input;
    resume();
  }
  // A regular file always is ready, and a terminal that is read by two is read by either.
  own_input_ = open_again(input, O_RDONLY);
  own_output_ = ::isatty(output) == 1 ? open_again(output, O_WRONLY) : os::Fd();
  input_ = terminal_ >= 0 && own_input_.valid() ? own_input_.get() : input;
  output_ = own_output_.valid() ? own_output_.get() : output;
  master_ = std::move(master);
  resize();
  return {};
}

TerminalRelay::Waits TerminalRelay::wait_for() const {
  const auto entry = [](int descriptor, int events) {
    return pollfd{events != 0 ? descriptor : -1, static_cast<short>(events), 0};
  };
  if (!begun()) return {entry(-1, 0), entry(-1, 0), entry(-1, 0)};
  const int in = to_slice_.size() < kMostHeld ? POLLIN : 0;
  const int from_slice = (to_caller_.size() < kMostHeld ? POLLIN : 0) | (to_slice_.empty() ? 0 : POLLOUT);
  return {entry(input_, in), entry(master_.get(), from_slice), entry(output_, to_caller_.empty() ? 0 : POLLOUT)};
}

void TerminalRelay::move(const Waits& ready) {
  if (!begun()) return;
  if (ready[0].revents != 0) take_input();
  if ((ready[1].revents & POLLOUT) != 0) give_input();
  if ((ready[1].revents & ~POLLOUT) != 0) take_output();
  if (ready[2].revents != 0) give_output();
}

void TerminalRelay::take_input() {
  char bytes[kAtOnce];
  const ssize_t n = ::read(input_, bytes, sizeof bytes);
  if (n > 0) {
    to_slice_.append(bytes, static_cast<size_t>(n));
    last_ = bytes[n - 1];
  } else if (n == 0 || !would_block(errno)) {
    end_input();
  }
}

// The end of a file is typed: by the character that means it at the slice's terminal, as long as that reads lines.
// Twice in the middle of a line, where the first only hands over what there is of it.
void TerminalRelay::end_input() {
  input_ = -1;
  struct termios settings = {};
  if (::tcgetattr(master_.get(), &settings) != 0 || (settings.c_lflag & ICANON) == 0) return;
  to_slice_.append(last_ == '\n' ? 1 : 2, static_cast<char>(settings.c_cc[VEOF]));
}

void TerminalRelay::give_input() {
  const ssize_t n = ::write(master_.get(), to_slice_.data(), to_slice_.size());
  if (n > 0) to_slice_.erase(0, static_cast<size_t>(n));
}

void TerminalRelay::take_output() {
  char bytes[kAtOnce];
  const ssize_t n = ::read(master_.get(), bytes, sizeof bytes);
  if (n > 0 && output_ >= 0) to_caller_.append(bytes, static_cast<size_t>(n));
}

void TerminalRelay::give_output() {
  const ssize_t n = ::write(output_, to_caller_.data(), std::min(to_caller_.size(), kAtOnce));
  if (n > 0) {
    to_caller_.erase(0, static_cast<size_t>(n));
  } else if (n < 0 && !would_block(errno)) {
    output_ = -1;  // the reader has gone; the slice may go on
    to_caller_.clear();
  }
}

void TerminalRelay::resize() {
  const auto size = size_of_terminal();
  if (size && begun()) (void)::ioctl(master_.get(), TIOCSWINSZ, &*size);
}

void TerminalRelay::resume() {
  if (!before_) return;
  struct termios raw = *before_;
  ::cfmakeraw(&raw);
  (void)::tcsetattr(terminal_, TCSANOW, &raw);
}

void TerminalRelay::finish(int interrupt) {
  while (begun()) {
    const size_t held = to_caller_.size();
    if (held < kMostHeld) take_output();
    if (to_caller_.size() > held) continue;  // there may be more
    if (to_caller_.empty()) break;
    struct pollfd waiting[] = {{output_, POLLOUT, 0}, {interrupt, POLLIN, 0}};
    if (::poll(waiting, 2, interrupt < 0 ? 0 : -1) <= 0 && errno != EINTR) break;
    if (waiting[1].revents != 0) break;
    if (waiting[0].revents != 0) give_output();
  }
  master_.reset();
  kept_.reset();
  restore();
}

// Also where the caller is in the background by now: the signal that would stop it for that is held back.
void TerminalRelay::restore() {
  if (!before_) return;
  sigset_t stops, held;
  ::sigemptyset(&stops);
  ::sigaddset(&stops, SIGTTOU);
  ::pthread_sigmask(SIG_BLOCK, &stops, &held);
  while (::tcsetattr(terminal_, TCSADRAIN, &*before_) != 0 && errno == EINTR) {
  }
  ::pthread_sigmask(SIG_SETMASK, &held, nullptr);
  before_.reset();
}

}  // namespace runink::sandbox
