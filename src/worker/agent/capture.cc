#include "worker/agent/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "platform/os/file.h"
#include "platform/os/machine.h"

namespace runink::agent {
namespace {

constexpr size_t kMostLook = 64 << 10;               // of one stream at once
constexpr int64_t kLookAgainNanos = 50'000'000;      // at a line without its end
constexpr int64_t kUnfinishedNanos = 1'000'000'000;  // such a line may wait in its pipe for so long
constexpr int64_t kFlushNanos = 100'000'000;

// Nobody can write any more; what was written may still be there.
bool has_hung_up(int descriptor) {
  struct pollfd look = {descriptor, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) != 0;
}

}  // namespace

struct Capture::Stream {
  std::string slice;
  LogStream name = LogStream::kOutput;
  os::Fd pipe;
  uint64_t number = 0;
  bool finishing = false;   // under mutex_; the rest is the thread's own
  bool armed = true;        // epoll tells when there is something
  int64_t due_nanos = 0;    // else: when to look again
  size_t handed_in = 0;     // bytes that are in the log, and still in the pipe
  int64_t pause_nanos = 0;  // that the log asked for
  size_t unfinished = 0;    // bytes of a line without its end, as they were last seen
  int64_t unfinished_since = 0;
  bool ended = false;
};

Capture::Capture(LogStore& store, OnEnd on_end) : store_(store), on_end_(std::move(on_end)) {}

Result<std::unique_ptr<Capture>> Capture::start(LogStore& store, OnEnd on_end) {
  std::unique_ptr<Capture> capture(new Capture(store, std::move(on_end)));
  RUNINK_RETURN_IF_ERROR(capture->prepare());
  capture->thread_ = std::thread([raw = capture.get()] { raw->run(); });
  return capture;
}

Status Capture::prepare() {
  epoll_ = os::Fd(::epoll_create1(EPOLL_CLOEXEC), "epoll");
  wake_ = os::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  if (!epoll_.valid() || !wake_.valid()) return from_errno(errno, "prepare to read what slices write");
  nowhere_ = os::Fd(::open("/dev/null", O_WRONLY | O_CLOEXEC), "/dev/null");
  if (!nowhere_.valid()) return from_errno(errno, "open /dev/null");
  scratch_ = RUNINK_TRY(os::make_pipe("what slices write", kMostLook));
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(scratch_.read, true));
  buffer_.resize(kMostLook);
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) return from_errno(errno, "watch an eventfd");
  return {};
}

Capture::~Capture() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
}

void Capture::wake() const {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

Status Capture::add(const std::string& slice, os::Fd output, os::Fd error) {
  std::vector<std::unique_ptr<Stream>> made;
  for (auto& [pipe, name] : {std::pair<os::Fd&, LogStream>(output, LogStream::kOutput),
                             std::pair<os::Fd&, LogStream>(error, LogStream::kError)}) {
    if (!pipe.valid()) continue;
    RUNINK_RETURN_IF_ERROR(os::set_nonblocking(pipe, true));
    auto stream = std::make_unique<Stream>();
    stream->slice = slice;
    stream->name = name;
    stream->pipe = std::move(pipe);
    made.push_back(std::move(stream));
  }
  const std::lock_guard lock(mutex_);
  for (auto& stream : made) {
    stream->number = next_number_++;
    epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = stream->number}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stream->pipe.get(), &event) != 0) {
      return from_errno(errno, "watch what a slice writes");
    }
    streams_.emplace(stream->number, std::move(stream));
  }
  open_streams_[slice] += static_cast<int>(made.size());
  return {};
}

void Capture::finish(const std::string& slice) {
  bool had_none = false;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [number, stream] : streams_) {
      if (stream->slice == slice) stream->finishing = true;
    }
    const auto at = open_streams_.find(slice);
    had_none = at != open_streams_.end() && at->second == 0;
    if (had_none) open_streams_.erase(at);
  }
  if (had_none) on_end_(slice);
  wake();
}

void Capture::run() {
  for (;;) {
    const std::vector<Stream*> ready = ready_streams();
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
    }
    bool wrote = false;
    for (Stream* stream : ready) {
      look(*stream);
      wrote |= stream->handed_in > 0;
    }
    while (wrote && !store_.flush(kFlushNanos)) {
      const std::lock_guard lock(mutex_);
      if (stop_) return;  // what is not taken is written again by the next agent
    }
    for (Stream* stream : ready) take(*stream);
  }
}

int Capture::wait_millis() const {
  int64_t next = INT64_MAX;
  for (const auto& [number, stream] : streams_) {
    if (stream->finishing) return 0;
    if (!stream->armed) next = std::min(next, stream->due_nanos);
  }
  if (next == INT64_MAX) return -1;
  return static_cast<int>(std::clamp<int64_t>((next - os::monotonic_nanos() + 999'999) / 1'000'000, 0, 60'000));
}

// Waits for them. Only this thread takes streams away, so that they stay where they are until then.
std::vector<Capture::Stream*> Capture::ready_streams() {
  int millis;
  {
    const std::lock_guard lock(mutex_);
    millis = wait_millis();
  }
  epoll_event events[64];
  const int count = ::epoll_wait(epoll_.get(), events, static_cast<int>(std::size(events)), millis);
  const int64_t now = os::monotonic_nanos();
  std::vector<Stream*> ready;
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == 0) {
      uint64_t times;
      (void)!::read(wake_.get(), &times, sizeof times);
      continue;
    }
    const auto at = streams_.find(events[i].data.u64);
    if (at == streams_.end()) continue;
    at->second->armed = false;
    at->second->due_nanos = 0;
  }
  for (auto& [number, stream] : streams_) {
    if (stream->finishing || (!stream->armed && stream->due_nanos <= now)) ready.push_back(stream.get());
  }
  return ready;
}

void Capture::look(Stream& stream) {
  ssize_t copied;
  while ((copied = ::tee(stream.pipe.get(), scratch_.write.get(), kMostLook, SPLICE_F_NONBLOCK)) < 0 &&
         errno == EINTR) {
  }
  const bool empty = copied < 0 && errno == EAGAIN;
  bool finishing;
  {
    const std::lock_guard lock(mutex_);
    finishing = stream.finishing;
  }
  if (copied <= 0) {
    if ((empty && !finishing) || (copied == 0 && !finishing && !has_hung_up(stream.pipe.get()))) {
      rest(stream, 0);
    } else {
      stream.ended = true;
    }
    return;
  }
  const auto got = os::read_full(scratch_.read, buffer_.data(), static_cast<size_t>(copied));
  if (!got.ok() || *got != static_cast<size_t>(copied)) {
    stream.ended = true;
    return;
  }
  const std::string_view bytes(buffer_.data(), *got);
  const int64_t now = os::monotonic_nanos();
  const size_t line_end = bytes.rfind('\n');
  if (line_end != std::string_view::npos) return hand_in(stream, bytes.substr(0, line_end + 1), now);
  if (stream.unfinished == 0) stream.unfinished_since = now;
  stream.unfinished = bytes.size();
  // A writer may fill its pipe without ever ending a line, and with few bytes, each in a page of its own.
  const bool waited = now - stream.unfinished_since >= kUnfinishedNanos;
  if (finishing || waited || bytes.size() >= kMostLineBytes) return hand_in(stream, bytes, now);
  if (has_hung_up(stream.pipe.get())) return hand_in(stream, bytes, now);
  rest(stream, kLookAgainNanos);
}

void Capture::hand_in(Stream& stream, std::string_view bytes, int64_t now) {
  stream.pause_nanos = store_.write(stream.slice, stream.name, bytes);
  stream.handed_in = bytes.size();
  stream.unfinished = 0;
  stream.unfinished_since = now;
}

void Capture::take(Stream& stream) {
  if (stream.ended) {
    const std::string slice = stream.slice;
    // The launcher has this end of the pipe, too: closing it here would not take it out.
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stream.pipe.get(), nullptr);
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      streams_.erase(stream.number);
      const auto at = open_streams_.find(slice);
      if (at != open_streams_.end() && --at->second == 0) {
        open_streams_.erase(at);
        last = true;
      }
    }
    if (last) on_end_(slice);
    return;
  }
  if (stream.handed_in == 0) return;
  while (stream.handed_in > 0) {
    const ssize_t taken =
        ::splice(stream.pipe.get(), nullptr, nowhere_.get(), nullptr, stream.handed_in, SPLICE_F_NONBLOCK);
    if (taken < 0 && errno == EINTR) continue;
    if (taken <= 0) break;  // somebody else reads this pipe; nothing is lost by it here
    stream.handed_in -= static_cast<size_t>(taken);
  }
  stream.handed_in = 0;
  bool finishing;
  {
    const std::lock_guard lock(mutex_);
    finishing = stream.finishing;
  }
  rest(stream, finishing ? 0 : std::exchange(stream.pause_nanos, 0));
}

// 0: until there is something to read.
void Capture::rest(Stream& stream, int64_t nanos) {
  if (nanos > 0) {
    stream.armed = false;
    stream.due_nanos = os::monotonic_nanos() + nanos;
    return;
  }
  stream.armed = true;
  epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = stream.number}};
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, stream.pipe.get(), &event);
}

}  // namespace runink::agent
