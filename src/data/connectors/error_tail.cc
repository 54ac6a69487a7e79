#include "data/connectors/error_tail.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/text.h"
#include "platform/os/file.h"

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
  return with_last_words(std::move(failed), tail_, "", words_);
}

namespace {
// Added to the file; the detail says where.
std::string keep_words(std::string_view said, const std::string& file) {
  if (file.empty()) return "not shown, since it may hold personal data";
  Status kept = os::make_directories(os::folder_of(file), 0700);
  if (kept.ok()) {
    const auto fd = os::open_file(file, os::OpenMode::kAppend, 0600);
    kept = fd.ok() ? os::write_all(*fd, std::string(said) + "\n") : fd.status();
  }
  return kept.ok() ? "it may hold personal data, and is in " + escape_control(file)
                   : "it may hold personal data, and could not be kept: " + kept.to_string();
}
}  // namespace

Status with_last_words(Status failure, std::string_view said, const std::string& prefix, const ProgramWords& words) {
  said = trim(said);
  if (said.empty()) return failure;
  if (words.are_private) {
    return std::move(failure).with_detail((prefix.empty() ? "standard error: " : prefix) + keep_words(said, words.file));
  }
  std::vector<std::string_view> lines = split(said, '\n');
  if (lines.size() > kTailLines) lines.erase(lines.begin(), lines.end() - kTailLines);
  for (const std::string_view line : lines) {
    if (!trim(line).empty()) failure = std::move(failure).with_detail(prefix + escape_control(line, true));
  }
  return failure;
}

}  // namespace runink::connectors
