#include "client/local/step_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "client/local/step_report.h"
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

  void progressed() { last_progress = os::monotonic_nanos(); }
  // Why a wait must end now; OK to go on.
  Status check(bool waiting_for_step) const {
    if (stop != nullptr && stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
    if (killed) return cancelled("the step was ended").with_kind("run.stopped");
    if (waiting_for_step && os::monotonic_nanos() - last_progress > timeout_nanos) {
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
  StepOutput(os::Fd fd, StepState& state) : fd_(std::move(fd)), state_(state) { set_nonblocking(fd_); }
  Result<size_t> read(char* buffer, size_t size) override {
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
      pollfd p{fd_.get(), POLLIN, 0};
      (void)::poll(&p, 1, kPollMillis);
      // While it may still be waiting for input, silence is no fault.
      RUNINK_RETURN_IF_ERROR(state_.check(state_.input_closed));
    }
    return done;
  }
  uint64_t raw_bytes() const override { return bytes_; }

 private:
  os::Fd fd_;
  StepState& state_;
  uint64_t bytes_ = 0;
};

class ProcessStep final : public engine::StepProcess {
 public:
  ProcessStep(const plan::Operator& op, columnar::SchemaPtr input, StepOptions options)
      : op_(op), p_(std::get<plan::Program>(op.parameters)), input_(std::move(input)), options_(std::move(options)) {
    state_.name = op.name;
    state_.stop = options_.stop;
    const int64_t micros = p_.timeout_micros > 0 ? p_.timeout_micros : op.timeout_micros > 0 ? op.timeout_micros : options_.default_timeout_micros;
    state_.timeout_nanos = micros * 1000;
  }
  ~ProcessStep() override {
    kill();
    (void)status_of(child_.kill_tree());
    if (errors_thread_.joinable()) errors_thread_.join();
    if (report_thread_.joinable()) report_thread_.join();
  }

  Status start() {
    const bool cpp = !p_.cpp_step.empty();
    format_ = cpp ? connectors::DataFormat::kArrow : RUNINK_TRY(step_format(p_.format));
    os::SpawnOptions spawn;
    if (cpp) {
      const std::string library = options_.project_root + "/" + p_.library;
      if (!os::file_info(library).ok()) {
        return not_found("step \"{}\" is not built: {} is not there", p_.cpp_step, p_.library)
            .with_hint("build the project's C++ steps with: runi compile");
      }
      spawn.argv = {RUNINK_TRY(slice_program()), "step", "--library", library, "--name", p_.cpp_step};
    } else {
      spawn.argv = p_.argv;
    }
    if (!p_.environment.empty()) {
      std::vector<std::string> all;
      for (char** e = environ; *e != nullptr; ++e) all.emplace_back(*e);
      for (const auto& [name, value] : p_.environment) all.push_back(name + "=" + value);
      spawn.environment = std::move(all);
    }
    spawn.working_directory = options_.project_root;
    os::Pipe in = RUNINK_TRY(os::make_pipe("standard input of step " + op_.name, 1 << 20));
    os::Pipe out = RUNINK_TRY(os::make_pipe("standard output of step " + op_.name, 1 << 20));
    os::Pipe err = RUNINK_TRY(os::make_pipe("standard error of step " + op_.name, 0));
    os::Pipe side = RUNINK_TRY(os::make_pipe("report of step " + op_.name, 0));
    spawn.standard_input = in.read.get();
    spawn.standard_output = out.write.get();
    spawn.standard_error = err.write.get();
    spawn.descriptors = {{side.write.get(), 3}};
    (void)os::become_subreaper();
    child_ = RUNINK_TRY_CONTEXT(os::Child::spawn(spawn), fmt::format("start step \"{}\"", op_.name));
    stdin_ = std::move(in.write);
    set_nonblocking(stdin_);
    state_.progressed();

    errors_thread_ = std::thread([this, fd = std::move(err.read)]() mutable { keep_last_words(fd); });
    report_thread_ = std::thread([this, fd = std::move(side.read)]() mutable { read_report(fd); });

    connectors::WriterOptions writer;
    writer.format = format_;
    writer.schema = input_;
    writer_ = RUNINK_TRY(connectors::make_record_writer(writer));
    auto files = std::make_shared<connectors::SourceFiles>();
    connectors::ChunkOptions chunks;
    chunks.format = format_;
    chunks.chunk_bytes = 64 << 10;
    chunks.stop = options_.stop;
    chunks_ = connectors::make_memory_chunk_source("standard output of step \"" + op_.name + "\"",
                                                   std::make_unique<StepOutput>(std::move(out.read), state_), chunks, files);
    connectors::ReaderOptions reader;
    reader.format = format_;
    reader.schema = op_.schema;
    reader.origin = false;
    reader.files = files;
    reader_options_ = reader;
    return {};
  }

  Status send(const columnar::Batch& batch) override {
    buffer_.resize(0);
    if (!begun_) RUNINK_RETURN_IF_ERROR(writer_->begin(buffer_));
    begun_ = true;
    RUNINK_RETURN_IF_ERROR(writer_->append(batch, buffer_));
    return write(buffer_.view());
  }
  Status close_input() override {
    buffer_.resize(0);
    if (!begun_) RUNINK_RETURN_IF_ERROR(writer_->begin(buffer_));
    begun_ = true;
    RUNINK_RETURN_IF_ERROR(writer_->end(buffer_));
    Status status = buffer_.size() > 0 ? write(buffer_.view()) : Status();
    stdin_.reset();
    state_.progressed();
    state_.input_closed = true;
    return status;
  }

  Result<std::optional<columnar::Batch>> receive() override {
    auto batch = next_batch();
    if (!batch.ok()) return failed(std::move(batch).status());
    if (batch->has_value()) return batch;
    RUNINK_RETURN_IF_ERROR(end());
    return batch;
  }
  const std::vector<Refusal>& refusals() const override { return refusals_; }
  void kill() override {
    state_.killed = true;
    (void)child_.kill_group(SIGKILL);
  }

 private:
  Result<std::string> slice_program() const {
    if (!options_.runi_slice.empty()) return options_.runi_slice;
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    const std::filesystem::path candidates[] = {self / "runi-slice", self / "../libexec/runink/runi-slice",
                                                self / "../runi-slice/runi-slice"};
    for (const auto& c : candidates) {
      if (std::filesystem::exists(c, error)) return c.lexically_normal().string();
    }
    return not_found("the program runi-slice, which runs C++ steps, is not beside {}", self.string())
        .with_hint("install Runink whole (cmake --install), or set --runi-slice");
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
        return aborted("step \"{}\" stopped reading its input", op_.name).with_kind("step.stopped_reading");
      }
      if (n < 0 && errno != EAGAIN) return from_errno(errno, "write to step \"" + op_.name + "\"");
      pollfd p{stdin_.get(), POLLOUT, 0};
      (void)::poll(&p, 1, kPollMillis);
      RUNINK_RETURN_IF_ERROR(state_.check(true));
    }
    return {};
  }

  Result<std::optional<columnar::Batch>> next_batch() {
    while (ready_.empty()) {
      auto chunk = RUNINK_TRY(chunks_->next());
      if (!chunk) return std::optional<columnar::Batch>();
      if (!reader_) reader_ = RUNINK_TRY(connectors::make_record_reader(reader_options_));
      auto report = RUNINK_TRY(reader_->parse(chunk, [&](columnar::Batch&& batch) {
        ready_.push_back(std::move(batch));
        return Status();
      }));
      if (!report.undecodable.empty()) {
        const auto& bad = report.undecodable[0];
        return invalid_argument("step \"{}\" wrote what is not a record of its output: line {}: {}", op_.name, lines_ + bad.line + 1,
                                connectors::describe(bad, *op_.schema, chunk->bytes.substr(bad.offset, bad.length), true))
            .with_kind("step.output");
      }
      lines_ += chunk->line_count;
      std::reverse(ready_.begin(), ready_.end());
    }
    columnar::Batch batch = std::move(ready_.back());
    ready_.pop_back();
    batch.schema = op_.schema;
    for (size_t c = 0; c < batch.columns.size(); ++c) {
      if (!op_.schema->field(c).nullable && batch.columns[c].null_count() > 0) {
        return invalid_argument("step \"{}\" answered a record without the required field \"{}\"", op_.name, op_.schema->field(c).name)
            .with_kind("step.output");
      }
    }
    return std::optional<columnar::Batch>(std::move(batch));
  }

  // Standard output has ended: the process must, and well.
  Status end() {
    for (;;) {
      auto status = child_.wait(kPollMillis * 1000);
      if (!status.ok()) return failed(std::move(status).status());
      if (status->has_value()) {
        const auto left = child_.descendants();
        if (!left.empty()) {
          return failed(failed_precondition("step \"{}\" left {} process{} behind", op_.name, left.size(), left.size() == 1 ? "" : "es")
                            .with_kind("step.left_children"));
        }
        if (!(*status)->success()) {
          return failed(aborted("step \"{}\" failed: {}", op_.name, (*status)->to_string()).with_kind("step.failed"));
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
    if (!report_status_.ok()) return failed(std::move(report_status_));
    return {};
  }

  // Ends everything and adds the last words.
  Status failed(Status status) {
    // How it ended says more than that a pipe broke.
    if (status.kind() != "run.interrupted" && status.kind() != "step.timeout") {
      if (auto ended = child_.wait(200'000); ended.ok() && ended->has_value() && !(*ended)->success() && status.kind() != "step.failed") {
        status = std::move(status).with_detail(fmt::format("the step ended with {}", (*ended)->to_string()));
      }
    }
    kill();
    (void)status_of(child_.kill_tree());
    if (errors_thread_.joinable()) errors_thread_.join();
    std::lock_guard lock(mutex_);
    std::string_view words = last_words_;
    while (!words.empty() && words.back() == '\n') words.remove_suffix(1);
    if (words.empty()) return status;
    auto lines = split(words, '\n');
    const size_t first = lines.size() > 10 ? lines.size() - 10 : 0;
    for (size_t i = first; i < lines.size(); ++i) {
      status = std::move(status).with_detail(fmt::format("stderr of \"{}\": {}", op_.name, escape_control(lines[i])));
    }
    return status;
  }

  void keep_last_words(os::Fd& fd) {
    char buffer[4096];
    for (;;) {
      pollfd p{fd.get(), POLLIN, 0};
      const int ready = ::poll(&p, 1, kPollMillis);
      if (ready == 0 && state_.killed) return;  // a descendant may hold the other end
      if (ready <= 0) continue;
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      std::lock_guard lock(mutex_);
      last_words_.append(buffer, static_cast<size_t>(n));
      if (last_words_.size() > 2 * kStderrKept) last_words_.erase(0, last_words_.size() - kStderrKept);
    }
  }
  void read_report(os::Fd& fd) {
    StepReportReader reader(op_.name);
    char buffer[4096];
    for (;;) {
      pollfd p{fd.get(), POLLIN, 0};
      const int ready = ::poll(&p, 1, kPollMillis);
      if (ready == 0 && state_.killed) return;
      if (ready <= 0) continue;
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      state_.progressed();
      if (report_status_.ok()) report_status_ = reader.add({buffer, static_cast<size_t>(n)}, &refusals_);
    }
    if (report_status_.ok()) report_status_ = reader.finish(&refusals_);
  }

  const plan::Operator& op_;
  const plan::Program& p_;
  columnar::SchemaPtr input_;
  StepOptions options_;
  StepState state_;
  connectors::DataFormat format_ = connectors::DataFormat::kNdjson;
  os::Child child_;
  os::Fd stdin_;
  std::unique_ptr<connectors::RecordWriter> writer_;
  columnar::Buffer buffer_;
  bool begun_ = false;
  std::unique_ptr<connectors::ChunkSource> chunks_;
  connectors::ReaderOptions reader_options_;
  std::unique_ptr<connectors::RecordReader> reader_;
  std::vector<columnar::Batch> ready_;
  uint64_t lines_ = 0;
  std::mutex mutex_;
  std::string last_words_;
  std::thread errors_thread_, report_thread_;
  Status report_status_;
  std::vector<Refusal> refusals_;
};

// Answers from a file.
class RecordedStep final : public engine::StepProcess {
 public:
  RecordedStep(std::unique_ptr<connectors::ChunkSource> chunks, std::unique_ptr<connectors::RecordReader> reader, std::string path)
      : chunks_(std::move(chunks)), reader_(std::move(reader)), path_(std::move(path)) {}
  // What is sent beyond the recorded answers counts as dropped, so that the step balances.
  Status send(const columnar::Batch& batch) override {
    sent_ += static_cast<uint64_t>(batch.rows);
    return {};
  }
  Status close_input() override {
    kill();
    return {};
  }
  Result<std::optional<columnar::Batch>> receive() override {
    closed_.wait(false);  // how many answers are missing is known only once all has been sent
    while (ready_.empty()) {
      auto chunk = RUNINK_TRY(chunks_->next());
      if (!chunk) {
        if (answered_ > sent_) {
          return failed_precondition("{} holds {} answers for {} records", path_, answered_, sent_.load());
        }
        for (uint64_t r = answered_; r < sent_; ++r) refusals_.push_back({r, true, "not in the recorded output"});
        return std::optional<columnar::Batch>();
      }
      auto report = RUNINK_TRY(reader_->parse(chunk, [&](columnar::Batch&& b) {
        ready_.insert(ready_.begin(), std::move(b));
        return Status();
      }));
      if (!report.undecodable.empty()) return invalid_argument("{} holds a line that is no record of the step's output", path_);
    }
    auto batch = std::move(ready_.back());
    ready_.pop_back();
    answered_ += static_cast<uint64_t>(batch.rows);
    return std::optional<columnar::Batch>(std::move(batch));
  }
  const std::vector<Refusal>& refusals() const override { return refusals_; }
  void kill() override {
    closed_ = true;
    closed_.notify_all();
  }

 private:
  std::unique_ptr<connectors::ChunkSource> chunks_;
  std::unique_ptr<connectors::RecordReader> reader_;
  std::string path_;
  std::atomic<uint64_t> sent_{0};
  std::atomic<bool> closed_{false};
  uint64_t answered_ = 0;
  std::vector<columnar::Batch> ready_;
  std::vector<Refusal> refusals_;
};

}  // namespace

Result<std::unique_ptr<engine::StepProcess>> start_step_process(const plan::Operator& op, const columnar::SchemaPtr& input,
                                                                const StepOptions& options) {
  auto step = std::make_unique<ProcessStep>(op, input, options);
  RUNINK_RETURN_IF_ERROR(step->start());
  return std::unique_ptr<engine::StepProcess>(std::move(step));
}

Result<std::unique_ptr<engine::StepProcess>> replay_step(const plan::Operator& op, const std::string& path) {
  auto files = std::make_shared<connectors::SourceFiles>();
  connectors::LocatorOptions lo;
  lo.format = "ndjson";
  auto locator = RUNINK_TRY(connectors::parse_source_locator("file://" + path, lo));
  auto chunks = RUNINK_TRY(connectors::open_chunk_source(locator, {}, files));
  connectors::ReaderOptions reader;
  reader.schema = op.schema;
  reader.origin = false;
  reader.files = files;
  auto records = RUNINK_TRY(connectors::make_record_reader(reader));
  return std::unique_ptr<engine::StepProcess>(std::make_unique<RecordedStep>(std::move(chunks), std::move(records), path));
}

}  // namespace runink::local
