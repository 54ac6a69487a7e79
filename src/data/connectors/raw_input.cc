#include "data/connectors/raw_input.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "data/connectors/error_tail.h"
#include "platform/os/file.h"
#include "platform/os/shell_words.h"

namespace runink::connectors {

namespace {

// A writer that has been silent for so long pauses. Stop flags are looked at as often.
constexpr int kPauseMillis = 100;

// Waits until one of the descriptors can be read; with `until_pause`, no longer than a pause: false after it.
Result<bool> wait_readable(pollfd* descriptors, nfds_t count, const StopFlag* stop, bool until_pause) {
  while (true) {
    if (stop != nullptr && stop->requested()) return interrupted();
    const int ready = ::poll(descriptors, count, kPauseMillis);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return from_errno(errno, "wait for input");
    if (ready == 0 && until_pause) return false;
  }
}

class DescriptorInput : public RawInput {
 public:
  DescriptorInput(os::Fd fd, std::string name, const os::FileInfo& info, const StopFlag* stop)
      : fd_(std::move(fd)), opened_(info), stop_(stop) {
    name_ = std::move(name);
    if (!info.regular()) return;
    os::advise_sequential(fd_);
    // Standard input may stand in the middle of a file.
    const off_t at = ::lseek(fd_.get(), 0, SEEK_CUR);
    read_ = begin_ = at > 0 ? static_cast<uint64_t>(at) : 0;
  }

  uint64_t size() const override { return opened_.regular() && opened_.size > begin_ ? opened_.size - begin_ : 0; }

  Result<size_t> read(char* buffer, size_t size) override { return take(buffer, size, nullptr); }
  Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) override {
    *paused = false;
    return take(buffer, size, paused);
  }

 private:
  // With `paused`, until a pause; without, all of it.
  Result<size_t> take(char* buffer, size_t size, bool* paused) {
    size_t filled = 0;
    while (filled < size) {
      if (!opened_.regular()) {
        pollfd descriptor{fd_.get(), POLLIN, 0};
        const bool more =
            RUNINK_TRY_CONTEXT(wait_readable(&descriptor, 1, stop_, paused != nullptr && filled > 0), "read " + name_);
        if (!more) {
          *paused = true;
          break;
        }
      }
      const size_t got = RUNINK_TRY_CONTEXT(os::read_some(fd_, buffer + filled, size - filled), "read " + name_);
      filled += got;
      read_ += got;
      const bool more_than_there_was = opened_.regular() && opened_.size > 0 && read_ > opened_.size;
      if (got == 0 || more_than_there_was) {
        RUNINK_RETURN_IF_ERROR(check_unchanged());
        if (got == 0) break;
      }
    }
    return filled;
  }

  // The size when opened is what the run was promised; see source.h.
  Status check_unchanged() {
    if (!opened_.regular()) return Status();
    const os::FileInfo now = RUNINK_TRY(os::file_info(fd_));
    if (opened_.size == 0 && now.size == 0) return Status();  // such as files in /proc
    if (begin_ >= opened_.size && now.size == opened_.size) return Status();
    if (now.size == opened_.size && now.modified_nanos == opened_.modified_nanos && read_ == opened_.size)
      return Status();
    const char* how = now.size < opened_.size || read_ < opened_.size ? "shrank"
                      : now.size > opened_.size                       ? "grew"
                                                                      : "was changed";
    return data_loss("{} {} while it was read: {} bytes when opened, {} now, {} read", name_, how, opened_.size,
                     now.size, read_)
        .with_kind("source.changed")
        .with_hint("run again once its writer is done, or read a copy");
  }

  os::Fd fd_;
  os::FileInfo opened_;
  const StopFlag* stop_;
  uint64_t begin_ = 0, read_ = 0;  // offsets in the file
};

class ProgramInput : public RawInput {
 public:
  ProgramInput(os::Child child, os::Fd output, ErrorTail errors, std::string name, const StopFlag* stop)
      : child_(std::move(child)), output_(std::move(output)), errors_(std::move(errors)), stop_(stop) {
    name_ = std::move(name);
  }
  ~ProgramInput() override { (void)child_.kill_tree(); }

  Result<size_t> read(char* buffer, size_t size) override { return take(buffer, size, nullptr); }
  Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) override {
    *paused = false;
    return take(buffer, size, paused);
  }

 private:
  // With `paused`, until a pause; without, all of it.
  Result<size_t> take(char* buffer, size_t size, bool* paused) {
    size_t filled = 0;
    while (filled < size && !ended_) {
      pollfd descriptors[2] = {{output_.get(), POLLIN, 0}, {errors_.descriptor(), POLLIN, 0}};
      const bool more =
          RUNINK_TRY_CONTEXT(wait_readable(descriptors, 2, stop_, paused != nullptr && filled > 0), "read from " + name_);
      if (!more) {
        *paused = true;
        break;
      }
      if (descriptors[1].revents != 0) errors_.take();
      if (descriptors[0].revents == 0) continue;
      const size_t got =
          RUNINK_TRY_CONTEXT(os::read_some(output_, buffer + filled, size - filled), "read from " + name_);
      filled += got;
      if (got == 0) {
        // Its output has ended; the program may still run.
        RUNINK_RETURN_IF_ERROR(errors_.wait(child_, name_, "source.program", stop_));
        ended_ = true;
      }
    }
    return filled;
  }

  os::Child child_;
  os::Fd output_;
  ErrorTail errors_;
  const StopFlag* stop_;
  bool ended_ = false;
};

class MemoryInput : public RawInput {
 public:
  MemoryInput(std::string bytes, size_t piece) : bytes_(std::move(bytes)), piece_(std::max<size_t>(piece, 1)) {
    name_ = "memory";
  }
  uint64_t size() const override { return bytes_.size(); }
  Result<size_t> read(char* buffer, size_t size) override {
    size_t filled = 0;
    while (filled < size && at_ < bytes_.size()) {
      const size_t step = std::min({piece_, size - filled, bytes_.size() - at_});
      std::memcpy(buffer + filled, bytes_.data() + at_, step);
      filled += step;
      at_ += step;
    }
    return filled;
  }

 private:
  std::string bytes_;
  size_t piece_, at_ = 0;
};

}  // namespace

Result<std::unique_ptr<RawInput>> open_raw_descriptor(os::Fd fd, std::string name, const StopFlag* stop) {
  const os::FileInfo info = RUNINK_TRY_CONTEXT(os::file_info(fd), "open " + name);
  if (info.folder()) return invalid_argument("{} is a directory, not a file", name);
  return std::unique_ptr<RawInput>(new DescriptorInput(std::move(fd), std::move(name), info, stop));
}

namespace {
// At once, whether something writes it yet or not: reading waits for the writer, and can be stopped there.
Result<os::Fd> open_fifo(const std::string& path) {
  os::Fd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), path);
  if (!fd.valid()) return from_errno(errno, "open " + path);
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(fd, false));
  return fd;
}
}  // namespace

Result<os::Fd> open_input_file(const std::string& path) {
  const auto info = os::file_info(path);
  if (info.ok() && info.value().folder()) {
    return invalid_argument("{} is a directory, not a file", path)
        .with_hint(fmt::format("to read the files in it: {}/*", path));
  }
  if (info.ok() && info.value().type == os::FileType::kFifo) return open_fifo(path);
  return os::open_file(path);
}

Result<std::unique_ptr<RawInput>> open_raw_file(const std::string& path, const StopFlag* stop) {
  return open_raw_descriptor(RUNINK_TRY(open_input_file(path)), path, stop);
}

Result<std::unique_ptr<RawInput>> open_raw_program(const std::vector<std::string>& command,
                                                   const std::string& working_directory, const StopFlag* stop,
                                                   const ProgramWords& words) {
  if (command.empty()) return invalid_argument("the program source has no command");
  const std::string name = "program " + os::join_command(command);
  os::Pipe output = RUNINK_TRY(os::make_pipe("output of " + name, 1 << 20));
  os::Pipe errors = RUNINK_TRY(os::make_pipe("standard error of " + name));
  os::SpawnOptions options;
  options.argv = command;
  options.working_directory = working_directory;
  options.standard_output = output.write.get();
  options.standard_error = errors.write.get();
  os::Child child = RUNINK_TRY_CONTEXT(os::Child::spawn(options), "start " + name);
  output.write.reset();
  errors.write.reset();
  RUNINK_RETURN_IF_ERROR(os::set_nonblocking(errors.read, true));
  return std::unique_ptr<RawInput>(
      new ProgramInput(std::move(child), std::move(output.read), ErrorTail(std::move(errors.read), words), name, stop));
}

std::unique_ptr<RawInput> make_raw_memory(std::string bytes, size_t piece) {
  return std::make_unique<MemoryInput>(std::move(bytes), piece);
}

}  // namespace runink::connectors
