#include "control/journal/file_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "control/journal/format.h"
#include "platform/os/file.h"

namespace runink::journal {
namespace {

constexpr uint64_t kZerosAtOnce = 1 << 20;

class DiskFile final : public File {
 public:
  DiskFile(os::Fd fd, bool read_only) : fd_(std::move(fd)), read_only_(read_only) {}

  Result<std::string> read(uint64_t offset, size_t size) override {
    std::string bytes(std::min<uint64_t>(size, RUNINK_TRY(left_from(offset))), '\0');
    bytes.resize(RUNINK_TRY_CONTEXT(os::pread_full(fd_, bytes.data(), bytes.size(), offset), at(offset)));
    return bytes;
  }

  Status write(uint64_t offset, std::string_view bytes) override {
    RUNINK_RETURN_IF_ERROR(check_writable());
    return told(os::pwrite_all(fd_, bytes, offset), offset);
  }

  // Without the kernel's cache and with one system call, where the file system can: a failed write is then told at
  // once, and no cached page pretends to be on the disk.
  Status write_durably(uint64_t offset, std::string_view bytes) override {
    RUNINK_RETURN_IF_ERROR(check_writable());
    const bool aligned = (reinterpret_cast<uintptr_t>(bytes.data()) | offset | bytes.size()) % kBlock == 0;
    if (!aligned || !open_direct()) return File::write_durably(offset, bytes);
    Status status = told(os::pwrite_all(direct_, bytes, offset), offset);
    if (status.code() != Code::kInvalidArgument) return status;
    // EINVAL: this device wants more than 4,096 for alignment, which it says at the write only. Nothing was written.
    direct_.reset();
    return File::write_durably(offset, bytes);
  }

  // Not os::sync_data, for which a descriptor that cannot be synced is fine.
  Status sync() override {
    RUNINK_RETURN_IF_ERROR(check_writable());
    while (::fdatasync(fd_.get()) != 0) {
      if (errno != EINTR) return from_errno(errno, fmt::format("sync {}", name()));
    }
    return {};
  }

  Status reserve(uint64_t size) override {
    RUNINK_RETURN_IF_ERROR(check_writable());
    const uint64_t before = RUNINK_TRY(this->size());
    if (size <= before) return {};
    int error = 0;
    do error = ::posix_fallocate(fd_.get(), static_cast<off_t>(before), static_cast<off_t>(size - before));
    while (error == EINTR);
    if (error != 0) return from_errno(error, fmt::format("reserve {} bytes for {}", size, fd_.path()));
    const std::string zeros(std::min(kZerosAtOnce, size - before), '\0');
    for (uint64_t done = before; done < size;) {
      const uint64_t piece = std::min<uint64_t>(zeros.size(), size - done);
      RUNINK_RETURN_IF_ERROR(told(os::pwrite_all(fd_, std::string_view(zeros).substr(0, piece), done), done));
      done += piece;
    }
    return {};
  }

  Result<uint64_t> size() override { return RUNINK_TRY(os::file_info(fd_)).size; }

 private:
  Status told(Status status, uint64_t offset) const {
    return status.ok() ? std::move(status) : std::move(status).with_context(at(offset));
  }
  std::string at(uint64_t offset) const { return fmt::format("at byte {} of {}", offset, name()); }
  // As it is called now: a segment was written under another name before it got its own.
  std::string name() const {
    const int error = errno;
    std::array<char, 4096> path;
    const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", fd_.get()).c_str(), path.data(), path.size());
    errno = error;
    return size > 0 ? std::string(path.data(), static_cast<size_t>(size)) : fd_.path();
  }
  Status check_writable() const {
    return read_only_ ? failed_precondition("{} was opened for reading only", fd_.path()) : Status();
  }
  // So that a size that was read from somewhere makes no buffer larger than the file.
  Result<uint64_t> left_from(uint64_t offset) {
    const uint64_t end = RUNINK_TRY(size());
    return end > offset ? end - offset : 0;
  }

  // The same file once more, whatever its name is by now. Tried once.
  bool open_direct() {
    if (!direct_tried_) {
      direct_tried_ = true;
      const int fd =
          ::open(fmt::format("/proc/self/fd/{}", fd_.get()).c_str(), O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
      if (fd >= 0) direct_ = os::Fd(fd, fd_.path());
    }
    return direct_.valid();
  }

  os::Fd fd_, direct_;
  bool read_only_, direct_tried_ = false;
};

}  // namespace

Result<std::unique_ptr<FileDisk>> FileDisk::open_folder(const std::string& folder, const std::string& purpose) {
  const bool made = !os::exists(folder);
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700).with_context("open the journal's folder"));
  if (made) RUNINK_RETURN_IF_ERROR(os::sync_folder(os::folder_of(folder)));
  os::FileLock lock = RUNINK_TRY_CONTEXT(os::FileLock::try_acquire(os::join_path(folder, kLockFile), purpose),
                                         "open the journal's folder");
  return std::unique_ptr<FileDisk>(new FileDisk(folder, std::move(lock), false));
}

Result<std::unique_ptr<FileDisk>> FileDisk::open_read_only(const std::string& folder) {
  if (!RUNINK_TRY_CONTEXT(os::file_info(folder), "open the journal's folder").folder()) {
    return invalid_argument("open the journal's folder: {} is not a folder", folder);
  }
  return std::unique_ptr<FileDisk>(new FileDisk(folder, os::FileLock(), true));
}

Result<std::string> FileDisk::path_of(const std::string& name) const {
  if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos)
    return invalid_argument("\"{}\" is no name of a file", name);
  return os::join_path(folder_, name);
}

Status FileDisk::check_writable(const char* what) const {
  return read_only_ ? failed_precondition("{} in {}: it was opened for reading only", what, folder_) : Status();
}

Result<std::unique_ptr<File>> FileDisk::open(const std::string& name) {
  const std::string path = RUNINK_TRY(path_of(name));
  const int fd = ::open(path.c_str(), (read_only_ ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return from_errno(errno, fmt::format("open {}", path));
  auto file = std::make_unique<DiskFile>(os::Fd(fd, path), read_only_);
  struct stat info;
  if (::fstat(fd, &info) != 0) return from_errno(errno, fmt::format("look at {}", path));
  if (!S_ISREG(info.st_mode)) return invalid_argument("open {}: it is not a regular file", path);
  return std::unique_ptr<File>(std::move(file));
}

Result<std::unique_ptr<File>> FileDisk::create(const std::string& name) {
  RUNINK_RETURN_IF_ERROR(check_writable("create a file"));
  RUNINK_RETURN_IF_ERROR(remove(name));  // truncating would keep the old file's blocks, and whoever has it open
  const std::string path = RUNINK_TRY(path_of(name));
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return from_errno(errno, fmt::format("create {}", path));
  return std::unique_ptr<File>(std::make_unique<DiskFile>(os::Fd(fd, path), false));
}

Status FileDisk::remove(const std::string& name) {
  RUNINK_RETURN_IF_ERROR(check_writable("remove a file"));
  return os::remove_file(RUNINK_TRY(path_of(name)));
}

Status FileDisk::rename(const std::string& from, const std::string& to) {
  RUNINK_RETURN_IF_ERROR(check_writable("rename a file"));
  return os::rename_file(RUNINK_TRY(path_of(from)), RUNINK_TRY(path_of(to)));
}

Result<std::vector<std::string>> FileDisk::list() { return os::list_directory(folder_); }

Status FileDisk::sync_folder() {
  RUNINK_RETURN_IF_ERROR(check_writable("sync the folder"));
  return os::sync_folder(folder_);
}

}  // namespace runink::journal
