#include "data/connectors/file_sink.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/nearest.h"
#include "data/connectors/error_tail.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/shell_words.h"
#include "platform/os/terminal_text.h"

namespace runink::connectors {

Result<SinkMode> parse_sink_mode(std::string_view word) {
  if (word.empty() || word == "replace") return SinkMode::kReplace;
  if (word == "append") return SinkMode::kAppend;
  if (word == "fail") return SinkMode::kFail;
  const std::vector<std::string> near = nearest(word, {"replace", "append", "fail"});
  return invalid_argument("\"{}\" is no mode of a sink", word)
      .with_hint(near.empty() ? "modes are replace, append and fail" : fmt::format("did you mean \"{}\"?", near[0]));
}

namespace {

// After a failed write the output is broken for good.
class Output : public OutputFile {
 public:
  Status write(std::string_view bytes) final {
    if (!failed_.ok()) return failed_;
    if (finished_) return internal_error("{} was written to after it was finished", name_);
    failed_ = put(bytes).with_context("write to " + name_);
    if (failed_.ok()) written_ += bytes.size();
    return failed_;
  }
  Status finish(bool sync) final {
    if (!failed_.ok() || finished_) return failed_;
    failed_ = close(sync).with_context("finish " + name_);
    finished_ = true;
    return failed_;
  }
  Status publish() final {
    if (!failed_.ok()) return failed_;
    if (!finished_) return internal_error("{} was to be published unfinished", name_);
    return show().with_context("publish " + name_);
  }
  uint64_t bytes_written() const final { return written_; }

 protected:
  virtual Status put(std::string_view bytes) = 0;
  virtual Status close(bool sync) = 0;
  virtual Status show() = 0;

 private:
  Status failed_;
  bool finished_ = false;
  uint64_t written_ = 0;
};

Status closed_pipe(Status status) {
  if (status.ok() || status.code() != Code::kAborted) return status;
  return std::move(status).with_kind("sink.closed").with_hint("the reader of this output ended before its writer");
}

// How long a wait lasts before the stop flag is looked at again.
constexpr int kWaitMillis = 100;

// A description of its own of what `fd` writes to, which never blocks; not valid where there can be none. O_NONBLOCK on
// the inherited description would hold for every other process that has it, too.
os::Fd without_blocking(const os::Fd& fd, const os::FileInfo& info) {
  if (info.type != os::FileType::kFifo && ::isatty(fd.get()) == 0) return {};
  const std::string again = fmt::format("/proc/self/fd/{}", fd.get());
  return os::Fd(::open(again.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY), fd.path());
}

// Standard output, FIFOs, devices. A reader that stands still holds up the run, but not a request to stop it.
class StreamOutput : public Output {
 public:
  StreamOutput(os::Fd fd, const os::FileInfo& info, std::string name, const StopFlag* stop)
      : fd_(std::move(fd)), info_(info), stop_(stop) {
    name_ = std::move(name);
    os::Fd own = without_blocking(fd_, info_);
    never_blocks_ = own.valid();
    if (never_blocks_) fd_ = std::move(own);
    if (::isatty(fd_.get()) != 0) terminal_.emplace();
  }
  void discard() override { fd_.reset(); }
  bool atomic() const override { return false; }

 protected:
  Status put(std::string_view bytes) override { return terminal_ ? put_exactly(terminal_->next(bytes)) : put_exactly(bytes); }
  Status close(bool) override {
    if (terminal_) RUNINK_RETURN_IF_ERROR(put_exactly(terminal_->rest()));
    return fd_.close();
  }
  Status show() override { return Status(); }

 private:
  Status put_exactly(std::string_view bytes) {
    if (stop_ != nullptr && stop_->requested()) return interrupted();
    const bool waits = never_blocks_ || info_.type == os::FileType::kFifo || info_.type == os::FileType::kSocket;
    if (!waits) return closed_pipe(os::write_all(fd_, bytes));
    bool ready = never_blocks_ || info_.type == os::FileType::kSocket;
    while (!bytes.empty()) {
      if (!ready && !RUNINK_TRY(wait_for_reader())) continue;
      const ssize_t put = put_some(bytes);
      if (put >= 0) {
        bytes.remove_prefix(static_cast<size_t>(put));
      } else if (errno == EAGAIN) {
        ready = false;
        continue;
      } else if (errno != EINTR) {
        return closed_pipe(from_errno(errno, "write"));
      }
      ready = never_blocks_ || info_.type == os::FileType::kSocket;
    }
    return Status();
  }
  Result<bool> wait_for_reader() {
    if (stop_ != nullptr && stop_->requested()) return interrupted();
    pollfd descriptor{fd_.get(), POLLOUT, 0};
    const int ready = ::poll(&descriptor, 1, kWaitMillis);
    if (ready < 0 && errno != EINTR) return from_errno(errno, "wait for the reader");
    return ready > 0;
  }
  ssize_t put_some(std::string_view bytes) {
    if (info_.type == os::FileType::kSocket) return ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    // As much as a pipe takes without blocking once it can take anything.
    const size_t most = never_blocks_ ? bytes.size() : std::min<size_t>(bytes.size(), PIPE_BUF);
    return ::write(fd_.get(), bytes.data(), most);
  }

  os::Fd fd_;
  os::FileInfo info_;
  const StopFlag* stop_;
  bool never_blocks_ = false;
  std::optional<os::TerminalText> terminal_;  // where it writes to one: control bytes of data are not for it
};

// Waits until something reads the FIFO.
Result<os::Fd> open_fifo(const std::string& path, const StopFlag* stop) {
  for (;;) {
    if (stop != nullptr && stop->requested()) return interrupted();
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor >= 0) return os::Fd(descriptor, path);
    if (errno != ENXIO && errno != EINTR) return from_errno(errno, "open for writing " + path);
    (void)::poll(nullptr, 0, kWaitMillis / 2);
  }
}

class ProgramOutput : public Output {
 public:
  ProgramOutput(os::Child child, os::Fd input, ErrorTail errors, std::string name, const StopFlag* stop)
      : child_(std::move(child)), input_(std::move(input)), errors_(std::move(errors)), stop_(stop) {
    name_ = std::move(name);
  }
  ~ProgramOutput() override { discard(); }
  void discard() override {
    input_.reset();
    (void)child_.kill_tree();
  }
  bool atomic() const override { return false; }

 protected:
  Status put(std::string_view bytes) override {
    while (!bytes.empty()) {
      if (stop_ != nullptr && stop_->requested()) return interrupted();
      pollfd descriptors[2] = {{input_.get(), POLLOUT, 0}, {errors_.descriptor(), POLLIN, 0}};
      const int ready = ::poll(descriptors, 2, 100);
      if (ready < 0 && errno != EINTR) return from_errno(errno, "wait for the program to read");
      if (ready <= 0) continue;
      if (descriptors[1].revents != 0) errors_.take();
      if (descriptors[0].revents == 0) continue;
      const ssize_t put = ::write(input_.get(), bytes.data(), bytes.size());
      if (put >= 0) {
        bytes.remove_prefix(static_cast<size_t>(put));
      } else if (errno == EPIPE) {
        return stopped_reading();
      } else if (errno != EINTR && errno != EAGAIN) {
        return from_errno(errno, "write to the program");
      }
    }
    return Status();
  }
  Status close(bool) override {
    input_.reset();
    return errors_.wait(child_, name_, "sink.program", stop_);
  }
  Status show() override { return Status(); }

 private:
  // If it failed, that says more than the closed pipe.
  Status stopped_reading() {
    input_.reset();
    Status status = errors_.wait(child_, name_, "sink.program", stop_);
    if (!status.ok()) return status;
    return aborted("{} ended before it had read everything", name_).with_kind("sink.closed");
  }

  os::Child child_;
  os::Fd input_;
  ErrorTail errors_;
  const StopFlag* stop_;
};

class ReplacingOutput : public Output {
 public:
  ReplacingOutput(os::AtomicFile file, std::string name, bool must_be_new)
      : file_(std::move(file)), must_be_new_(must_be_new) {
    name_ = std::move(name);
  }
  void discard() override { file_.discard(); }
  bool atomic() const override { return true; }
  os::AtomicFile* atomic_file() override { return &file_; }

 protected:
  Status put(std::string_view bytes) override { return file_.write(bytes); }
  Status close(bool sync) override { return sync ? file_.sync() : Status(); }
  Status show() override {
    if (must_be_new_ && os::exists(file_.target())) {
      return already_exists("{} came to be while the run was under way", name_)
          .with_hint("mode=\"replace\" would replace it");
    }
    return file_.publish();
  }

 private:
  os::AtomicFile file_;
  bool must_be_new_;
};

// Its bytes wait in a nameless file of the same folder.
class AppendingOutput : public Output {
 public:
  AppendingOutput(os::SpillFile spool, std::string target, unsigned permissions, bool starts_empty)
      : spool_(std::move(spool)), target_(std::move(target)), permissions_(permissions), starts_empty_(starts_empty) {
    name_ = target_;
  }
  void discard() override { spool_ = os::SpillFile(); }
  bool atomic() const override { return true; }
  bool starts_empty() const override { return starts_empty_; }

 protected:
  Status put(std::string_view bytes) override { return status_of(spool_.append(bytes)); }
  Status close(bool sync) override {
    sync_ = sync;
    return Status();
  }
  Status show() override {
    const os::Fd target = RUNINK_TRY(os::open_file(target_, os::OpenMode::kAppend, permissions_));
    const uint64_t before = RUNINK_TRY(os::file_info(target)).size;
    Status status = copy_to(target);
    if (status.ok() && sync_) status = os::sync_data(target);
    // A part of the records is worse than none.
    if (!status.ok()) (void)os::truncate_file(target, before);
    return status;
  }

 private:
  Status copy_to(const os::Fd& target) {
    std::string piece(size_t{1} << 20, '\0');
    for (uint64_t at = 0; at < spool_.size();) {
      const size_t got = RUNINK_TRY(spool_.read_at(at, piece.data(), piece.size()));
      if (got == 0) return data_loss("the bytes kept aside for {} are gone", target_);
      RUNINK_RETURN_IF_ERROR(os::write_all(target, std::string_view(piece).substr(0, got)));
      at += got;
    }
    return Status();
  }

  os::SpillFile spool_;
  std::string target_;
  unsigned permissions_;
  bool starts_empty_, sync_ = true;
};

Result<std::unique_ptr<OutputFile>> open_program_output(const Locator& locator, const OutputOptions& options) {
  const std::string name = "program " + os::join_command(locator.command);
  os::Pipe input = RUNINK_TRY(os::make_pipe("input of " + name, 1 << 20));
  os::Pipe errors = RUNINK_TRY(os::make_pipe("standard error of " + name));
  os::SpawnOptions spawn;
  spawn.argv = locator.command;
  spawn.working_directory = locator.working_directory;
  spawn.standard_input = input.read.get();
  spawn.standard_output = STDERR_FILENO;  // standard output holds only what a "-" sink writes
  spawn.standard_error = errors.write.get();
  os::Child child = RUNINK_TRY_CONTEXT(os::Child::spawn(spawn), "start " + name);
  input.read.reset();
  errors.write.reset();
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(errors.read, true));
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(input.write, true));
  return std::unique_ptr<OutputFile>(
      new ProgramOutput(std::move(child), std::move(input.write), ErrorTail(std::move(errors.read), locator.words), name,
                        options.stop));
}

Result<std::unique_ptr<OutputFile>> open_path_output(const Locator& locator, const OutputOptions& options) {
  const std::string& path = locator.path;
  const auto info = os::file_info(path);
  if (info.ok() && info.value().folder())
    return invalid_argument("{} is a directory, so it cannot be written to", path);
  if (info.ok() && !info.value().regular()) {
    const bool fifo = info.value().type == os::FileType::kFifo;
    os::Fd fd = RUNINK_TRY(fifo ? open_fifo(path, options.stop) : os::open_file(path, os::OpenMode::kAppend));
    return std::unique_ptr<OutputFile>(new StreamOutput(std::move(fd), info.value(), path, options.stop));
  }
  if (info.ok() && options.mode == SinkMode::kFail) {
    return already_exists("{} is there already", path)
        .with_hint("remove it, or use mode=\"replace\" or mode=\"append\"");
  }
  if (options.make_folders) {
    RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(path)).with_context("make the folder of " + path));
  }
  if (options.mode == SinkMode::kAppend) {
    // Said now rather than after the run.
    if (info.ok() && ::access(path.c_str(), W_OK) != 0) return from_errno(errno, "append to " + path);
    auto spool = RUNINK_TRY_CONTEXT(os::SpillFile::create(os::folder_of(path)), "append to " + path);
    const bool starts_empty = !info.ok() || info.value().size == 0;
    return std::unique_ptr<OutputFile>(new AppendingOutput(std::move(spool), path, options.permissions, starts_empty));
  }
  os::AtomicFile file =
      RUNINK_TRY(options.temp_path.empty() ? os::AtomicFile::create(path, options.permissions)
                                           : os::AtomicFile::create_at(options.temp_path, path, options.permissions));
  return std::unique_ptr<OutputFile>(new ReplacingOutput(std::move(file), path, options.mode == SinkMode::kFail));
}

}  // namespace

Result<std::unique_ptr<OutputFile>> open_output(const Locator& locator, const OutputOptions& options) {
  switch (locator.kind) {
    case LocatorKind::kPath:
      return open_path_output(locator, options);
    case LocatorKind::kProgram:
      return open_program_output(locator, options);
    case LocatorKind::kStandard:
      break;
  }
  const int copy = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return from_errno(errno, "write to standard output");
  os::Fd fd(copy, "standard output");
  const os::FileInfo info = RUNINK_TRY(os::file_info(fd));
  return std::unique_ptr<OutputFile>(new StreamOutput(std::move(fd), info, "standard output", options.stop));
}

}  // namespace runink::connectors
