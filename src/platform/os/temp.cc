#include "platform/os/temp.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "platform/os/file.h"
#include "platform/os/spill_opener.h"

namespace runink::os {

namespace {

// os does not know crypto; a name only has to be new, and creation is exclusive anyway.
std::string random_name() {
  uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) bits = static_cast<uint64_t>(::clock());
  return fmt::format("{}-{:016x}", ::getpid(), bits);
}

// The file that is to be replaced: the end of a chain of links, which itself need not exist.
Result<std::string> resolve_target(const std::string& target) {
  std::string path = target;
  for (int links = 0; links < 40; ++links) {
    const auto info = link_info(path);
    if (!info.ok()) {
      if (info.status().code() == Code::kNotFound) return path;
      return info.status();
    }
    if (info->type != FileType::kLink) {
      if (info->folder()) return from_errno(EISDIR, fmt::format("write {}", target));
      if (!info->regular()) {
        return invalid_argument("write {}: it is not a regular file, so it cannot be replaced", target);
      }
      return path;
    }
    std::string buffer(4096, '\0');
    const ssize_t n = ::readlink(path.c_str(), buffer.data(), buffer.size());
    if (n < 0) return from_errno(errno, fmt::format("read link {}", path));
    buffer.resize(static_cast<size_t>(n));
    path = join_path(folder_of(path), buffer);
  }
  return from_errno(ELOOP, fmt::format("write {}", target));
}

}  // namespace

Result<std::string> AtomicFile::temp_path_for(const std::string& target) {
  if (target.empty()) return invalid_argument("write a file: its path is empty");
  const std::string path = RUNINK_TRY(resolve_target(target));
  std::string name = file_name_of(path);
  if (name.size() > 200) name.resize(200);  // NAME_MAX is 255
  return join_path(folder_of(path), fmt::format(".{}.runink-{}", name, random_name()));
}

Result<AtomicFile> AtomicFile::create(const std::string& target, unsigned permissions) {
  return create_at(RUNINK_TRY(temp_path_for(target)), target, permissions);
}

Result<AtomicFile> AtomicFile::create_at(const std::string& temp_path, const std::string& target,
                                         unsigned permissions) {
  AtomicFile file;
  file.target_ = RUNINK_TRY(resolve_target(target));
  Fd fd = RUNINK_TRY_CONTEXT(open_file(temp_path, OpenMode::kCreateNew, permissions), fmt::format("write {}", target));
  file.fd_ = Fd(fd.release(), target);  // errors of writing name what the user knows
  file.temp_path_ = temp_path;
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      temp_path_(std::exchange(other.temp_path_, {})),
      target_(std::exchange(other.target_, {})),
      bytes_written_(other.bytes_written_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this != &other) {
    discard();
    fd_ = std::move(other.fd_);
    temp_path_ = std::exchange(other.temp_path_, {});
    target_ = std::exchange(other.target_, {});
    bytes_written_ = other.bytes_written_;
  }
  return *this;
}

Status AtomicFile::write(std::string_view bytes) {
  RUNINK_RETURN_IF_ERROR(write_all(fd_, bytes));
  bytes_written_ += bytes.size();
  return {};
}

Status AtomicFile::sync() { return sync_data(fd_); }

Status AtomicFile::publish() {
  RUNINK_RETURN_IF_ERROR(fd_.close());
  RUNINK_RETURN_IF_ERROR(rename_file(temp_path_, target_));
  temp_path_.clear();
  return sync_folder(folder_of(target_));
}

void AtomicFile::discard() {
  fd_.reset();
  if (!temp_path_.empty()) ::unlink(temp_path_.c_str());
  temp_path_.clear();
}

Status AtomicFile::release() {
  temp_path_.clear();
  return fd_.close();
}

Result<TempFolder> TempFolder::create(const std::string& parent, std::string_view prefix) {
  std::string base = parent;
  if (base.empty()) {
    const char* from_environment = ::getenv("TMPDIR");
    base = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/tmp";
  }
  RUNINK_RETURN_IF_ERROR(make_directories(base, 0700));
  std::string path = fmt::format("{}/{}XXXXXX", base, prefix);
  if (::mkdtemp(path.data()) == nullptr) return from_errno(errno, fmt::format("make a temporary folder in {}", base));
  TempFolder folder;
  folder.path_ = std::move(path);
  return folder;
}

TempFolder& TempFolder::operator=(TempFolder&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
  }
  return *this;
}

void TempFolder::remove() {
  if (!path_.empty()) (void)remove_tree(path_);
  path_.clear();
}

namespace {
SpillOpener& spill_opener() {
  static SpillOpener opener;
  return opener;
}
}  // namespace

void set_spill_opener(SpillOpener opener) { spill_opener() = std::move(opener); }

Result<SpillFile> SpillFile::create(const std::string& folder) {
  SpillFile file;
  if (spill_opener()) {
    file.fd_ = RUNINK_TRY(spill_opener()());
    return file;
  }
  int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
    // A file system without O_TMPFILE (ENOENT and EISDIR are what kernels and FUSE say then, too).
    std::string path = fmt::format("{}/.spill-XXXXXX", folder);
    descriptor = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor >= 0) ::unlink(path.c_str());
  }
  if (descriptor < 0) return from_errno(errno, fmt::format("make a spill file in {}", folder));
  file.fd_ = Fd(descriptor, fmt::format("a spill file in {}", folder));
  return file;
}

Result<uint64_t> SpillFile::append(std::string_view bytes) {
  const uint64_t begin = size_;
  RUNINK_RETURN_IF_ERROR(pwrite_all(fd_, bytes, size_));
  size_ += bytes.size();
  return begin;
}

Result<size_t> SpillFile::read_at(uint64_t offset, void* buffer, size_t size) const {
  return pread_full(fd_, buffer, size, offset);
}

}  // namespace runink::os
