#include "isolate/remote_openings.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "data/connectors/raw_input.h"
#include "platform/os/file.h"

namespace runink::isolate {

using slice::Ask;
using slice::StageAsk;

namespace {

constexpr int kWaitMillis = 100;  // how soon a request to stop is seen

// Bytes that the runner passes on. When they end, it says whether whoever made them ended well.
class RelayedInput final : public connectors::RawInput {
 public:
  RelayedInput(StageLink& link, StageAsk end, std::unique_ptr<connectors::RawInput> bytes)
      : link_(link), end_(std::move(end)), bytes_(std::move(bytes)) {
    name_ = bytes_->name();
  }
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t got = RUNINK_TRY(bytes_->read(buffer, size));
    if (got < size) RUNINK_RETURN_IF_ERROR(ended());
    return got;
  }
  Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) override {
    const size_t got = RUNINK_TRY(bytes_->read_until_pause(buffer, size, paused));
    if (got < size && !*paused) RUNINK_RETURN_IF_ERROR(ended());
    return got;
  }
  uint64_t size() const override { return bytes_->size(); }

 private:
  Status ended() {
    if (asked_) return {};
    asked_ = true;
    return status_of(link_.ask(end_));
  }
  StageLink& link_;
  StageAsk end_;
  std::unique_ptr<connectors::RawInput> bytes_;
  bool asked_ = false;
};

class RemoteInputs final : public connectors::HandedInputs {
 public:
  // `first`: the first of them, if it is open already.
  RemoteInputs(StageLink& link, plan::OperatorId op, std::vector<std::string> names, uint64_t size, os::Fd first)
      : link_(link), op_(op), names_(std::move(names)), size_(size), first_(std::move(first)) {}
  const std::vector<std::string>& names() const override { return names_; }
  uint64_t raw_size() const override { return size_; }
  Result<std::unique_ptr<connectors::RawInput>> open(const std::string& name, const StopFlag* stop) override {
    const uint64_t number = next_++;
    if (first_.valid()) return connectors::open_raw_descriptor(std::move(first_), name, stop);
    Answered handed = RUNINK_TRY(link_.ask({.what = Ask::kOpenInput, .op = op_, .number = number}, 1));
    const bool relayed = handed.answer.number != 0;
    std::string shown = handed.answer.names.empty() ? name : handed.answer.names[0];
    auto raw = RUNINK_TRY(connectors::open_raw_descriptor(std::move(handed.descriptors[0]), std::move(shown), stop));
    if (!relayed) return raw;
    StageAsk end = {.what = Ask::kEndInput, .op = op_, .number = number};
    return std::unique_ptr<connectors::RawInput>(std::make_unique<RelayedInput>(link_, std::move(end), std::move(raw)));
  }

 private:
  StageLink& link_;
  const plan::OperatorId op_;
  const std::vector<std::string> names_;
  const uint64_t size_;
  os::Fd first_;
  uint64_t next_ = 0;
};

// A file that the runner publishes, or a pipe whose other end it passes on.
class RemoteOutput final : public connectors::OutputFile {
 public:
  RemoteOutput(StageLink& link, plan::OperatorId op, os::Fd fd, bool atomic, const StopFlag& stop)
      : link_(link), op_(op), fd_(std::move(fd)), atomic_(atomic), stop_(stop) {
    name_ = fd_.path();
    if (!atomic_) (void)os::set_nonblocking(fd_, true);
  }
  Status write(std::string_view bytes) override {
    if (!failed_.ok()) return failed_;
    failed_ = atomic_ ? os::write_all(fd_, bytes) : pass_on(bytes);
    if (failed_.ok()) written_ += bytes.size();
    return failed_;
  }
  Status finish(bool) override {
    if (!failed_.ok() || finished_) return failed_;
    finished_ = true;
    fd_.reset();
    failed_ = end({});
    return failed_;
  }
  Status publish() override { return internal_error("{} is published by the runner", name_); }
  void discard() override { fd_.reset(); }
  uint64_t bytes_written() const override { return written_; }
  bool atomic() const override { return atomic_; }

 private:
  Status end(Status failure) {
    return status_of(link_.ask({.what = Ask::kEndSink, .op = op_, .number = written_, .failure = std::move(failure)}));
  }
  Status pass_on(std::string_view bytes) {
    while (!bytes.empty()) {
      if (stop_.requested()) return cancelled("the run was interrupted").with_kind("run.interrupted");
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n >= 0) {
        bytes.remove_prefix(static_cast<size_t>(n));
      } else if (errno == EAGAIN) {
        pollfd waiting = {fd_.get(), POLLOUT, 0};
        (void)::poll(&waiting, 1, kWaitMillis);
      } else if (errno != EINTR) {
        // The runner has stopped reading, and knows why.
        Status seen = from_errno(errno, "write to " + name_);
        fd_.reset();
        Status why = end(seen);
        return why.ok() ? seen : why;
      }
    }
    return {};
  }

  StageLink& link_;
  const plan::OperatorId op_;
  os::Fd fd_;
  const bool atomic_;
  const StopFlag& stop_;
  Status failed_;
  bool finished_ = false;
  uint64_t written_ = 0;
};

// A step that the runner has started in a slice of its own.
class RemoteKeeper final : public local::StepKeeper {
 public:
  RemoteKeeper(StageLink& link, plan::OperatorId op, uint64_t step, int end_descriptor)
      : link_(link), op_(op), step_(step), end_descriptor_(end_descriptor) {}
  ~RemoteKeeper() override { end(); }
  int end_descriptor() const override { return end_descriptor_; }
  Result<std::optional<os::ExitStatus>> wait(int millis) override {
    const auto end = link_.wait_for_step(step_, millis);
    if (!end) return std::optional<os::ExitStatus>();
    os::ExitStatus status;
    status.exited = end->exited;
    status.code = end->code;
    status.signal = end->signal;
    return std::optional<os::ExitStatus>(std::move(status));
  }
  void kill() override {
    if (!link_.step_end(step_)) (void)status_of(link_.ask(about(Ask::kKillStep)));
  }
  void end() override {
    if (ended_.exchange(true)) return;
    (void)status_of(link_.ask(about(Ask::kEndStep)));
  }
  // A slice ends with its program, and so does all that it left behind.
  size_t left_behind() override { return 0; }
  Status with_last_words(Status failure) override {
    StageAsk ask = about(Ask::kStepWords);
    ask.failure = failure;
    auto told = link_.ask(std::move(ask));
    return told.ok() ? std::move(failure) : std::move(told).status();
  }

 private:
  StageAsk about(Ask what) const { return {.what = what, .op = op_, .number = step_}; }
  StageLink& link_;
  const plan::OperatorId op_;
  const uint64_t step_;
  const int end_descriptor_;
  std::atomic<bool> ended_{false};
};

}  // namespace

Result<os::Fd> RemoteOpenings::open_rows(const plan::Operator& op) {
  return std::move(RUNINK_TRY(link_.ask({.what = Ask::kOpenRows, .op = op.id}, 1)).descriptors[0]);
}

Result<os::Fd> RemoteOpenings::open_output(const plan::Operator& op) {
  return std::move(RUNINK_TRY(link_.ask({.what = Ask::kOpenOutput, .op = op.id}, 1)).descriptors[0]);
}

Result<std::shared_ptr<connectors::HandedInputs>> RemoteOpenings::open_inputs(const plan::Operator& op) {
  Answered found = RUNINK_TRY(link_.ask({.what = Ask::kOpenInputs, .op = op.id}));
  os::Fd first = found.descriptors.empty() ? os::Fd() : std::move(found.descriptors[0]);
  return std::shared_ptr<connectors::HandedInputs>(
      std::make_shared<RemoteInputs>(link_, op.id, std::move(found.answer.names), found.answer.size, std::move(first)));
}

Status RemoteOpenings::source_failed(const plan::Operator& op, Status status) {
  auto told = link_.ask({.what = Ask::kSourceFailed, .op = op.id, .failure = status});
  return told.ok() ? std::move(status) : std::move(told).status();
}

Result<local::OpenedSink> RemoteOpenings::open_sink(const plan::Operator& op) {
  Answered opened = RUNINK_TRY(link_.ask({.what = Ask::kOpenSink, .op = op.id}, 1));
  auto& answer = opened.answer;
  local::OpenedSink out;
  if (answer.names.empty()) return data_loss("the runner's answer does not name the sink {}", op.name);
  os::Fd fd(opened.descriptors[0].release(), answer.names[0]);  // errors name what the user knows
  out.output = std::make_unique<RemoteOutput>(link_, op.id, std::move(fd), answer.atomic, stop_);
  out.present = {.has_records = answer.has_records, .before = std::move(answer.before), .crlf = answer.crlf};
  out.open_names.assign(answer.names.begin() + 1, answer.names.end());
  return out;
}

Result<local::StartedStep> RemoteOpenings::start_step(const plan::Operator& op) {
  Answered started = RUNINK_TRY(link_.ask({.what = Ask::kStartStep, .op = op.id}, 3));
  local::StartedStep out;
  const uint64_t step = started.answer.number;
  const int end = RUNINK_TRY(link_.step_end_descriptor(step));
  out.keeper = std::make_unique<RemoteKeeper>(link_, op.id, step, end);
  out.input = std::move(started.descriptors[0]);
  out.output = std::move(started.descriptors[1]);
  out.report = std::move(started.descriptors[2]);
  return out;
}

}  // namespace runink::isolate
