#include "isolate/relay.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "data/connectors/error_tail.h"

namespace runink::isolate {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr int kWaitMillis = 100;  // how soon a request to stop is seen

}  // namespace

InputRelay::InputRelay(std::unique_ptr<connectors::RawInput> input, os::Pipe pipe, const StopFlag& stop)
    : stop_(&stop), input_(std::move(input)), out_(std::move(pipe.write)), stage_end_(std::move(pipe.read)) {
  thread_ = std::thread([this] {
    status_ = pass_on();
    out_.reset();  // the stage sees the end, and asks whether it is one
    done_ = true;
  });
}

Result<std::unique_ptr<InputRelay>> InputRelay::start(std::unique_ptr<connectors::RawInput> input,
                                                      const StopFlag& stop) {
  os::Pipe pipe = RUNINK_TRY(os::make_pipe(input->name(), kPiece));
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(pipe.write, true));
  return std::unique_ptr<InputRelay>(new InputRelay(std::move(input), std::move(pipe), stop));
}

// A stage that has not read to the end leaves a thread that waits for it, or for the input.
InputRelay::~InputRelay() {
  stop_.request();
  (void)finish();
}

Status InputRelay::finish() {
  stage_end_.reset();
  if (thread_.joinable()) thread_.join();
  return status_;
}

Status InputRelay::pass_on() {
  std::string piece(kPiece, '\0');
  for (bool more = true; more;) {
    bool paused = false;
    const size_t got = RUNINK_TRY(input_->read_until_pause(piece.data(), piece.size(), &paused));
    more = paused || got == piece.size();
    for (size_t at = 0; at < got;) {
      if (stop_.requested()) return connectors::interrupted();
      const ssize_t n = ::write(out_.get(), piece.data() + at, got - at);
      if (n >= 0) {
        at += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        pollfd waiting = {out_.get(), POLLOUT, 0};
        (void)::poll(&waiting, 1, kWaitMillis);
      } else if (errno == EPIPE) {
        return {};  // it wants no more
      } else if (errno != EINTR) {
        return from_errno(errno, "pass " + input_->name() + " on to a slice");
      }
    }
  }
  return {};
}

OutputRelay::OutputRelay(std::unique_ptr<connectors::OutputFile> output, os::Pipe pipe, const StopFlag& stop)
    : stop_(&stop), output_(std::move(output)), in_(std::move(pipe.read)), stage_end_(std::move(pipe.write)) {
  thread_ = std::thread([this] {
    status_ = pass_on();
    in_.reset();  // the stage sees that nothing more is taken, and asks why
    done_ = true;
  });
}

Result<std::unique_ptr<OutputRelay>> OutputRelay::start(std::unique_ptr<connectors::OutputFile> output,
                                                        const StopFlag& stop) {
  os::Pipe pipe = RUNINK_TRY(os::make_pipe(output->name(), kPiece));
  return std::unique_ptr<OutputRelay>(new OutputRelay(std::move(output), std::move(pipe), stop));
}

OutputRelay::~OutputRelay() {
  stop_.request();
  (void)finish();
}

Status OutputRelay::finish() {
  stage_end_.reset();
  if (thread_.joinable()) thread_.join();
  return status_;
}

Status OutputRelay::pass_on() {
  std::string piece(kPiece, '\0');
  for (;;) {
    if (stop_.requested()) return connectors::interrupted();
    pollfd waiting = {in_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, kWaitMillis) <= 0) continue;
    const ssize_t n = ::read(in_.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return from_errno(errno, "pass rows of a slice on to " + output_->name());
    if (n == 0) return output_->finish();
    Status status = output_->write({piece.data(), static_cast<size_t>(n)});
    written_ = output_->bytes_written();
    RUNINK_RETURN_IF_ERROR(std::move(status));
  }
}

}  // namespace runink::isolate
