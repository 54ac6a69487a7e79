#include "data/connectors/error_tail.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/text.h"

namespace runink::connectors {

namespace {
constexpr size_t kTailBytes = 4096;
constexpr size_t kTailLines = 10;
}  // namespace

Status interrupted() { return cancelled("the run was interrupted").with_kind("run.interrupted"); }

void ErrorTail::take() {
  if (!fd_.valid()) return;
  char piece[kTailBytes];
  const ssize_t got = ::read(fd_.get(), piece, sizeof piece);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    fd_.reset();
    return;
  }
  tail_.append(piece, static_cast<size_t>(got));
  if (tail_.size() > 2 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

void ErrorTail::drain() {
  // Bounded: a child of the program that keeps writing must not hold the run.
  for (int rounds = 0; fd_.valid() && rounds < 64; ++rounds) {
    pollfd descriptor{fd_.get(), POLLIN, 0};
    if (::poll(&descriptor, 1, 0) <= 0) return;
    take();
  }
}

Status ErrorTail::wait(os::Child& child, std::string_view name, const char* kind, const StopFlag* stop) {
  std::optional<os::ExitStatus> status;
  while (!status) {
    if (stop != nullptr && stop->requested()) return interrupted();
    // A program that still writes errors is not to be held up by a full pipe.
    status = RUNINK_TRY(child.wait(10'000));
    drain();
  }
  if (status->success()) return Status();
  Status failed = aborted("{} failed: {}", name, status->to_string()).with_kind(kind);
  std::vector<std::string_view> lines = split(trim(tail_), '\n');
  if (lines.size() > kTailLines) lines.erase(lines.begin(), lines.end() - kTailLines);
  for (const std::string_view line : lines) {
    if (!trim(line).empty()) failed = std::move(failed).with_detail(escape_control(line, true));
  }
  return failed;
}

}  // namespace runink::connectors
