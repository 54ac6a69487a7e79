#include "client/local/step_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "client/local/compile_steps.h"
#include "client/local/step_report.h"
#include "data/connectors/arrow_source.h"
#include "data/connectors/error_tail.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/record_writer.h"
#include "data/connectors/source.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/process.h"

namespace runink::local {

namespace {

constexpr int kPollMillis = 50;          // how soon a stop request or a time-out is seen
constexpr size_t kStderrKept = 8 << 10;  // bytes of the last words
constexpr int kEndMillis = 200;          // how long a step that closed a pipe has to end by itself, so that its exit says why

Result<connectors::DataFormat> step_format(const std::string& format) {
  if (format.empty() || format == "ndjson") return connectors::DataFormat::kNdjson;
  if (format == "arrow") return connectors::DataFormat::kArrow;
  return invalid_argument("a step speaks ndjson or arrow, not \"{}\"", format);
}

void set_nonblocking(const os::Fd& fd) { fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

// Shared by the threads around one process.
struct StepState {
  std::string name;
  int64_t timeout_nanos = 0;
  const StopFlag* stop = nullptr;
  std::atomic<int64_t> last_progress{0};
  std::atomic<bool> input_closed{false}, killed{false};
  std::atomic<bool> answers_wanted{false};  // somebody waits for its answers; else it may be stuck writing them

  void progressed() { last_progress = os::monotonic_nanos(); }
  // Why a wait must end now; OK to go on.
  Status check(bool waiting_for_step) const {
    if (stop != nullptr && stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
    if (killed) return cancelled("the step was ended").with_kind("run.stopped");
    if (waiting_for_step && answers_wanted && os::monotonic_nanos() - last_progress > timeout_nanos) {
      return deadline_exceeded("step \"{}\" made no progress for {}", name, human_duration(static_cast<double>(timeout_nanos) * 1e-9))
          .with_kind("step.timeout")
          .with_hint("raise it with @timeout(\"…\") if the step needs longer");
    }
    return {};
  }
};

// The step's standard output as bytes.
class StepOutput final : public connectors::ByteSource {
 public:
  // pid_fd: readable once the process itself has ended; -1 where the kernel has none.
  StepOutput(os::Fd fd, int pid_fd, StepState& state) : fd_(std::move(fd)), pid_fd_(pid_fd), state_(state) { set_nonblocking(fd_); }
  Result<size_t> read(char* buffer, size_t size) override { return take(buffer, size, nullptr); }
  Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) override {
    *paused = false;
    return take(buffer, size, paused);
  }
  uint64_t raw_bytes() const override { return bytes_; }

 private:
  // With `paused`, until the step is silent for a moment; without, all of it.
  Result<size_t> take(char* buffer, size_t size, bool* paused) {
    size_t done = 0;
    while (done < size) {
      const ssize_t n = ::read(fd_.get(), buffer + done, size - done);
      if (n > 0) {
        state_.progressed();
        done += static_cast<size_t>(n);
        bytes_ += static_cast<uint64_t>(n);
        continue;
      }
      if (n == 0) break;
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return from_errno(errno, "read the step's standard output");
      // The process has ended and what it wrote has been read: whoever still holds the pipe is a child it left behind.
      if (ended_) break;
      pollfd p[2] = {{fd_.get(), POLLIN, 0}, {pid_fd_, POLLIN, 0}};
      const bool silent = ::poll(p, 2, kPollMillis) == 0;
      ended_ = p[1].revents != 0;
      if (silent && paused != nullptr && done > 0) {
        *paused = true;
        break;
      }
      // While it may still be waiting for input, silence is no fault.
      RUNINK_RETURN_IF_ERROR(state_.check(state_.input_closed));
    }
    return done;
  }

  os::Fd fd_;
  int pid_fd_;
  bool ended_ = false;
  StepState& state_;
  uint64_t bytes_ = 0;
};

class ProcessStep final : public engine::StepProcess {
 public:
  ProcessStep(const plan::Operator& op, columnar::SchemaPtr input, StepOptions options, StartedStep started)
      : op_(op),
        p_(std::get<plan::Program>(op.parameters)),
        input_(std::move(input)),
        options_(std::move(options)),
        keeper_(std::move(started.keeper)),
        stdin_(std::move(started.input)),
        stdout_(std::move(started.output)),
        report_(std::move(started.report)) {
    state_.name = op.name;
    state_.stop = options_.stop;
    const int64_t micros = p_.timeout_micros > 0 ? p_.timeout_micros : op.timeout_micros > 0 ? op.timeout_micros : options_.default_timeout_micros;
    state_.timeout_nanos = micros * 1000;
  }
  ~ProcessStep() override {
    kill();
    keeper_->end();
    if (report_thread_.joinable()) report_thread_.join();
  }

  Status start() {
    format_ = p_.cpp_step.empty() ? RUNINK_TRY(step_format(p_.format)) : connectors::DataFormat::kArrow;
    set_nonblocking(stdin_);
    state_.progressed();
    connectors::WriterOptions writer;
    writer.format = format_;
    writer.schema = input_;
    writer_ = RUNINK_TRY(connectors::make_record_writer(writer));
    return open_answers(std::make_unique<StepOutput>(std::move(stdout_), keeper_->end_descriptor(), state_));
  }

  void listen(engine::StepReports& reports) override {
    reports_ = &reports;
    report_thread_ = std::thread([this] { read_report(); });
  }
  Status send(const columnar::Batch& batch) override {
    buffer_.resize(0);
    if (Status status = encode(&batch); !status.ok()) return sending_failed(std::move(status));
    sent_ += static_cast<uint64_t>(batch.rows);
    return write(buffer_.view());
  }
  Status close_input() override {
    buffer_.resize(0);
    if (Status status = encode(nullptr); !status.ok()) return sending_failed(std::move(status));
    Status status = buffer_.size() > 0 ? write(buffer_.view()) : Status();
    state_.progressed();
    state_.input_closed = true;  // first: the step may end at once
    stdin_.reset();
    return status;
  }

  Result<std::optional<columnar::Batch>> receive() override {
    struct Waiting {
      StepState& state;
      explicit Waiting(StepState& s) : state(s) {
        state.progressed();
        state.answers_wanted = true;
      }
      ~Waiting() { state.answers_wanted = false; }
    } waiting(state_);
    auto batch = next_batch();
    if (!batch.ok()) return failed(std::move(batch).status());
    if (batch->has_value()) return batch;
    RUNINK_RETURN_IF_ERROR(end());
    return batch;
  }
  Status blame(Status status) override { return failed(std::move(status)); }
  void kill() override {
    state_.killed = true;
    keeper_->kill();
  }

 private:
  // null: the end of the stream.
  Status encode(const columnar::Batch* batch) {
    if (!begun_) RUNINK_RETURN_IF_ERROR(writer_->begin(buffer_));
    begun_ = true;
    return batch != nullptr ? writer_->append(*batch, buffer_) : writer_->end(buffer_);
  }
  Status write(std::string_view bytes) {
    // Blocked for so long only while the step neither reads nor writes: state_.check() looks at both.
    state_.progressed();
    while (!bytes.empty()) {
      const ssize_t n = ::write(stdin_.get(), bytes.data(), bytes.size());
      if (n > 0) {
        state_.progressed();
        bytes.remove_prefix(static_cast<size_t>(n));
        continue;
      }
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EPIPE) {
        // A pipe also breaks because the process is about to end; then how it ended says more.
        pollfd p{keeper_->end_descriptor(), POLLIN, 0};
        (void)::poll(&p, 1, kEndMillis);
        return sending_failed(
            aborted("step \"{}\" ended or closed its input before it had read all of it", op_.name).with_kind("step.stopped_reading"));
      }
      if (n < 0 && errno != EAGAIN) return sending_failed(from_errno(errno, "write to step \"" + op_.name + "\""));
      pollfd p{stdin_.get(), POLLOUT, 0};
      (void)::poll(&p, 1, kPollMillis);
      if (Status status = state_.check(true); !status.ok()) return sending_failed(std::move(status));
    }
    return {};
  }
  // Remembered for the thread that reads the answers: whoever sends will now kill the step, and what that thread then sees
  // is only a consequence.
  Status sending_failed(Status status) {
    std::lock_guard lock(mutex_);
    if (send_status_.ok() && status.kind() != "run.stopped") send_status_ = status;
    return status;
  }

  Status open_answers(std::unique_ptr<StepOutput> output) {
    auto files = std::make_shared<connectors::SourceFiles>();
    connectors::ReaderOptions reader;
    reader.format = format_;
    reader.schema = op_.schema;
    reader.origin = false;
    reader.files = files;
    const std::string name = "standard output of step \"" + op_.name + "\"";
    if (format_ == connectors::DataFormat::kArrow) {
      // A C++ step's columns are known, so one that is missing is a mistake and not a null.
      if (!p_.cpp_step.empty()) reader.fields.resize(op_.schema->size(), {.required = true});
      arrow_ = connectors::make_memory_arrow_source(name, std::move(output), reader, files);
      return {};
    }
    connectors::ChunkOptions chunks;
    chunks.format = format_;
    chunks.chunk_bytes = 64 << 10;
    chunks.stop = options_.stop;
    chunks_ = connectors::make_memory_chunk_source(name, std::move(output), chunks, files);
    reader_ = RUNINK_TRY(connectors::make_record_reader(reader));
    return {};
  }

  Status no_record(const connectors::UndecodableRecord& bad, const char* unit, uint64_t number, std::string_view bytes) {
    return invalid_argument("step \"{}\" wrote what is not a record of its output: {} {}: {}", op_.name, unit, number,
                            connectors::describe(bad, *op_.schema, bytes.substr(bad.offset, bad.length), true))
        .with_kind("step.output");
  }

  // Fills ready_, or leaves it empty at the end.
  Status read_text() {
    while (ready_.empty()) {
      auto chunk = RUNINK_TRY(chunks_->next());
      if (!chunk) return {};
      auto report = RUNINK_TRY(reader_->parse(chunk, [&](columnar::Batch&& batch) {
        ready_.push_back(std::move(batch));
        return Status();
      }));
      if (!report.undecodable.empty()) {
        return no_record(report.undecodable[0], "line", lines_ + report.undecodable[0].line + 1, chunk->bytes);
      }
      lines_ += chunk->line_count;
      std::reverse(ready_.begin(), ready_.end());
    }
    return {};
  }
  Status read_arrow() {
    while (ready_.empty()) {
      auto read = arrow_->next();
      if (!read.ok()) {
        Status status = std::move(read).status();
        if (p_.cpp_step.empty() || !status.hint().empty() || status.code() != Code::kInvalidArgument) return status;
        return std::move(status).with_hint(answer_hint());
      }
      auto& piece = *read;
      if (!piece) return {};
      if (!piece->report.undecodable.empty()) {
        const auto& bad = piece->report.undecodable[0];
        return no_record(bad, "record", lines_ + bad.line, piece->chunk->bytes);
      }
      if (!p_.cpp_step.empty() && !piece->report.drift.empty()) {
        return invalid_argument("step \"{}\" answers {}, which is no column of its output", op_.name, piece->report.drift[0].first)
            .with_kind("step.output")
            .with_hint(answer_hint());
      }
      if (piece->batch) {
        lines_ += static_cast<uint64_t>(piece->batch->rows);
        ready_.push_back(std::move(*piece->batch));
      }
    }
    return {};
  }
  std::string answer_hint() const {
    return fmt::format("the feature says what a step answers: @step(\"{}\", contract=\"contracts/….contract\"); without contract, the columns it is sent",
                       p_.cpp_step);
  }

  Result<std::optional<columnar::Batch>> next_batch() {
    RUNINK_RETURN_IF_ERROR(arrow_ ? read_arrow() : read_text());
    if (ready_.empty()) return std::optional<columnar::Batch>();
    columnar::Batch batch = std::move(ready_.back());
    ready_.pop_back();
    batch.schema = op_.schema;
    for (size_t c = 0; c < batch.columns.size(); ++c) {
      if (!op_.schema->field(c).nullable && batch.columns[c].null_count() > 0) {
        return invalid_argument("step \"{}\" answered a record without the required field \"{}\"", op_.name, op_.schema->field(c).name)
            .with_kind("step.output");
      }
    }
    answered_ += static_cast<uint64_t>(batch.rows);
    if (answered_ > sent_) {  // said at once: such a step might never end
      return failed_precondition("step \"{}\" answered more records than it was sent", op_.name).with_kind("step.unbalanced");
    }
    return std::optional<columnar::Batch>(std::move(batch));
  }

  // Standard output has ended: the process must, and well.
  Status end() {
    for (;;) {
      auto status = keeper_->wait(kPollMillis);
      if (!status.ok()) return failed(std::move(status).status());
      if (status->has_value()) {
        if (!(*status)->success()) return failed(exit_failure(**status));
        if (const size_t left = keeper_->left_behind(); left > 0) {
          return failed(failed_precondition("step \"{}\" left {} process{} behind", op_.name, left, left == 1 ? "" : "es")
                            .with_kind("step.left_children"));
        }
        if (!state_.input_closed) {
          return failed(aborted("step \"{}\" ended before it had read all of its input", op_.name).with_kind("step.stopped_reading"));
        }
        break;
      }
      // It closed its output while it may still be reading; that is fine as long as it ends once the input has.
      if (Status s = state_.check(state_.input_closed); !s.ok()) return failed(std::move(s));
    }
    if (report_thread_.joinable()) report_thread_.join();
    if (Status status = check_accounts(); !status.ok()) return failed(std::move(status));
    return {};
  }

  // Every record sent was answered, rejected or dropped, once. The engine's balance says so too, but knows neither the
  // step's name nor its last words.
  Status check_accounts() {
    {
      std::lock_guard lock(mutex_);
      if (!report_status_.ok()) return report_status_;
    }
    RUNINK_RETURN_IF_ERROR(reports_->ended());
    const uint64_t sent = sent_;
    if (answered_ + rejected_ + dropped_ != sent) {
      return unbalanced(fmt::format("was sent {} records, and answered {}, rejected {} and dropped {}", sent, answered_,
                                    rejected_.load(), dropped_.load()))
          .with_hint("each record is answered once, or refused on descriptor 3: {\"record\": N, \"action\": \"reject\", \"reason\": \"…\"}");
    }
    return {};
  }
  Status unbalanced(const std::string& what) const {
    return failed_precondition("step \"{}\" {}", op_.name, what).with_kind("step.unbalanced");
  }
  Status exit_failure(const os::ExitStatus& status) const {
    return aborted("step \"{}\" failed: {}", op_.name, status.to_string()).with_kind("step.failed");
  }

  // Of all that went wrong, the thing that explains the rest.
  Status cause(Status seen) {
    const auto waited_in_vain = [](const Status& s) { return s.kind() == "run.interrupted" || s.kind() == "step.timeout"; };
    if (waited_in_vain(seen)) return seen;
    std::optional<os::ExitStatus> ended;
    if (auto status = keeper_->wait(kEndMillis); status.ok()) ended = *status;
    // Unless it was killed from here.
    const bool by_itself = ended && !(state_.killed && !ended->exited && ended->signal == SIGKILL);
    std::lock_guard lock(mutex_);
    if (!report_status_.ok()) return report_status_;
    if (waited_in_vain(send_status_)) return send_status_;
    if (by_itself && !ended->success() && seen.kind() != "step.failed") {
      const bool told_more = seen.kind() == "step.output" || seen.kind() == "step.unbalanced";
      std::string also = seen.to_string();
      return told_more ? exit_failure(*ended).with_detail(std::move(also)) : exit_failure(*ended);
    }
    const bool tells_nothing = seen.kind() == "run.stopped";  // it was killed because of what sending found
    return send_status_.ok() || (by_itself && !tells_nothing) ? seen : send_status_;
  }

  // Ends everything and adds the last words.
  Status failed(Status seen) {
    Status status = cause(std::move(seen));
    kill();
    keeper_->end();
    return keeper_->with_last_words(std::move(status));
  }

  void read_report() {
    StepReportReader reader(op_.name, *reports_, options_.words.are_private);
    std::vector<char> buffer(64 << 10);
    for (;;) {
      pollfd p{report_.get(), POLLIN, 0};
      const int ready = ::poll(&p, 1, kPollMillis);
      if (ready == 0 && state_.killed) return;
      if (ready <= 0) continue;
      const ssize_t n = ::read(report_.get(), buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      state_.progressed();
      Status status = reader.add({buffer.data(), static_cast<size_t>(n)});
      rejected_ = reader.rejected();
      dropped_ = reader.dropped();
      if (status.ok() && rejected_ + dropped_ > sent_) status = unbalanced("refused more records than it was sent");
      if (!status.ok()) return report_failed(std::move(status));
    }
    Status status = reader.finish();
    rejected_ = reader.rejected();
    dropped_ = reader.dropped();
    if (!status.ok()) report_failed(std::move(status));
  }
  // Such a step might never end.
  void report_failed(Status status) {
    {
      std::lock_guard lock(mutex_);
      report_status_ = std::move(status);
    }
    kill();
  }

  const plan::Operator& op_;
  const plan::Program& p_;
  columnar::SchemaPtr input_;
  StepOptions options_;
  StepState state_;
  connectors::DataFormat format_ = connectors::DataFormat::kNdjson;
  std::unique_ptr<StepKeeper> keeper_;
  os::Fd stdin_, stdout_;
  std::unique_ptr<connectors::RecordWriter> writer_;
  columnar::Buffer buffer_;
  bool begun_ = false;
  std::unique_ptr<connectors::ChunkSource> chunks_;  // NDJSON
  std::unique_ptr<connectors::RecordReader> reader_;
  std::unique_ptr<connectors::ArrowSource> arrow_;   // Arrow
  std::vector<columnar::Batch> ready_;
  uint64_t lines_ = 0;  // or records, of Arrow
  std::atomic<uint64_t> sent_{0};
  uint64_t answered_ = 0;
  std::mutex mutex_;  // send_status_, report_status_
  Status send_status_;
  std::thread report_thread_;
  Status report_status_;
  os::Fd report_;
  engine::StepReports* reports_ = nullptr;
  std::atomic<uint64_t> rejected_{0}, dropped_{0};
};

}  // namespace

LastWords::LastWords(os::Fd read_end) : fd_(std::move(read_end)), thread_([this] { read(); }) {}

LastWords::~LastWords() {
  give_up();
  if (thread_.joinable()) thread_.join();
}

void LastWords::give_up() { given_up_ = true; }

std::string LastWords::take() {
  if (thread_.joinable()) thread_.join();
  std::lock_guard lock(mutex_);
  return words_;
}

void LastWords::read() {
  char buffer[4096];
  for (;;) {
    pollfd p{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&p, 1, kPollMillis);
    if (ready == 0 && given_up_) return;  // a descendant may hold the other end
    if (ready <= 0) continue;
    const ssize_t n = ::read(fd_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    std::lock_guard lock(mutex_);
    words_.append(buffer, static_cast<size_t>(n));
    if (words_.size() > 2 * kStderrKept) words_.erase(0, words_.size() - kStderrKept);
  }
}

namespace {

// A child of this process.
class ChildKeeper final : public StepKeeper {
 public:
  ChildKeeper(std::string step, os::Child child, os::Fd errors, connectors::ProgramWords words)
      : step_(std::move(step)), words_(std::move(words)), child_(std::move(child)), said_(std::move(errors)) {}
  int end_descriptor() const override { return child_.pid_descriptor(); }
  Result<std::optional<os::ExitStatus>> wait(int millis) override {
    std::lock_guard lock(mutex_);
    return child_.wait(int64_t{millis} * 1000);
  }
  void kill() override {
    said_.give_up();
    std::lock_guard lock(mutex_);
    (void)child_.kill_group(SIGKILL);
  }
  void end() override {
    std::lock_guard lock(mutex_);
    (void)status_of(child_.kill_tree());
  }
  size_t left_behind() override { return child_.descendants().size(); }
  Status with_last_words(Status failure) override {
    return connectors::with_last_words(std::move(failure), said_.take(), fmt::format("stderr of \"{}\": ", step_), words_);
  }

 private:
  const std::string step_;
  const connectors::ProgramWords words_;
  std::mutex mutex_;  // sending, receiving and reporting threads may end the child
  os::Child child_;
  LastWords said_;
};

}  // namespace

Result<StepCommand> step_command(const plan::Operator& op, const StepOptions& options) {
  const auto& p = std::get<plan::Program>(op.parameters);
  if (p.cpp_step.empty()) return StepCommand{p.argv, ""};
  const std::string library = options.project_root + "/" + p.library;
  if (!os::file_info(library).ok()) {
    return not_found("step \"{}\" is not built: {} is not there", p.cpp_step, p.library)
        .with_hint("build the project's C++ steps with: runi compile");
  }
  RUNINK_RETURN_IF_ERROR(check_step_is_current(options.project_root, p.cpp_step));
  const std::string slice = options.runi_slice.empty() ? RUNINK_TRY(find_runi_slice()) : options.runi_slice;
  return StepCommand{{slice, "step", "--library", library, "--name", p.cpp_step}, library};
}

Result<StartedStep> start_local_step(const plan::Operator& op, const StepOptions& options) {
  const auto& p = std::get<plan::Program>(op.parameters);
  os::SpawnOptions spawn;
  spawn.argv = RUNINK_TRY(step_command(op, options)).argv;
  if (!p.environment.empty()) {
    std::vector<std::string> all;
    for (char** e = environ; *e != nullptr; ++e) all.emplace_back(*e);
    for (const auto& [name, value] : p.environment) all.push_back(name + "=" + value);
    spawn.environment = std::move(all);
  }
  spawn.working_directory = options.project_root;
  os::Pipe in = RUNINK_TRY(os::make_pipe("standard input of step " + op.name, 1 << 20));
  os::Pipe out = RUNINK_TRY(os::make_pipe("standard output of step " + op.name, 1 << 20));
  os::Pipe err = RUNINK_TRY(os::make_pipe("standard error of step " + op.name, 0));
  os::Pipe side = RUNINK_TRY(os::make_pipe("report of step " + op.name, 0));
  spawn.standard_input = in.read.get();
  spawn.standard_output = out.write.get();
  spawn.standard_error = err.write.get();
  spawn.descriptors = {{side.write.get(), 3}};
  (void)os::become_subreaper();
  os::Child child = RUNINK_TRY_CONTEXT(os::Child::spawn(spawn), fmt::format("start step \"{}\"", op.name));
  err.write.reset();
  return StartedStep{std::make_unique<ChildKeeper>(op.name, std::move(child), std::move(err.read), options.words),
                     std::move(in.write), std::move(out.read), std::move(side.read)};
}

Result<std::unique_ptr<engine::StepProcess>> drive_step(const plan::Operator& op, const columnar::SchemaPtr& input,
                                                        const StepOptions& options, StartedStep started) {
  auto step = std::make_unique<ProcessStep>(op, input, options, std::move(started));
  RUNINK_RETURN_IF_ERROR(step->start());
  return std::unique_ptr<engine::StepProcess>(std::move(step));
}

Result<std::unique_ptr<engine::StepProcess>> start_step_process(const plan::Operator& op, const columnar::SchemaPtr& input,
                                                                const StepOptions& options) {
  return drive_step(op, input, options, RUNINK_TRY(start_local_step(op, options)));
}

}  // namespace runink::local
