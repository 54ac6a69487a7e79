#include "platform/os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "platform/os/temp.h"

namespace runink::os {

namespace {

// read(2) and friends refuse more than this at once; also keeps a single call interruptible.
constexpr size_t kMostPerCall = size_t{1} << 30;

FileInfo from_stat(const struct stat& st) {
  FileInfo info;
  if (S_ISREG(st.st_mode)) info.type = FileType::kRegular;
  else if (S_ISDIR(st.st_mode)) info.type = FileType::kFolder;
  else if (S_ISLNK(st.st_mode)) info.type = FileType::kLink;
  else if (S_ISFIFO(st.st_mode)) info.type = FileType::kFifo;
  else if (S_ISSOCK(st.st_mode)) info.type = FileType::kSocket;
  else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) info.type = FileType::kDevice;
  info.size = static_cast<uint64_t>(st.st_size);
  info.modified_nanos = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
  info.inode = st.st_ino;
  info.device = st.st_dev;
  info.permissions = st.st_mode & 07777;
  return info;
}

}  // namespace

Result<Fd> open_file(const std::string& path, OpenMode mode, unsigned permissions) {
  if (path.find('\0') != std::string::npos) return invalid_argument("open a file: its path holds a NUL byte");
  int flags = O_CLOEXEC | O_NOCTTY;
  const char* verb = "open";
  switch (mode) {
    case OpenMode::kRead: flags |= O_RDONLY; break;
    case OpenMode::kTruncate: flags |= O_WRONLY | O_CREAT | O_TRUNC; verb = "open for writing"; break;
    case OpenMode::kCreateNew: flags |= O_WRONLY | O_CREAT | O_EXCL; verb = "create"; break;
    case OpenMode::kAppend: flags |= O_WRONLY | O_CREAT | O_APPEND; verb = "open for appending"; break;
    case OpenMode::kReadWrite: flags |= O_RDWR | O_CREAT; verb = "open for reading and writing"; break;
  }
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags, permissions);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return from_errno(errno, fmt::format("{} {}", verb, path));
  Fd fd(descriptor, path);
  if (mode == OpenMode::kRead) {
    struct stat st;
    if (fstat(descriptor, &st) == 0 && S_ISDIR(st.st_mode)) return from_errno(EISDIR, fmt::format("open {}", path));
  }
  return fd;
}

Result<size_t> read_some(const Fd& fd, void* buffer, size_t size) {
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer, std::min(size, kMostPerCall));
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return from_errno(errno, fmt::format("read {}", fd.path()));
  }
}

Result<size_t> read_full(const Fd& fd, void* buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    const size_t n = RUNINK_TRY(read_some(fd, static_cast<char*>(buffer) + done, size - done));
    if (n == 0) break;
    done += n;
  }
  return done;
}

Result<size_t> pread_full(const Fd& fd, void* buffer, size_t size, uint64_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd.get(), static_cast<char*>(buffer) + done, std::min(size - done, kMostPerCall),
                              static_cast<off_t>(offset + done));
    if (n < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, fmt::format("read {}", fd.path()));
    }
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

Status write_all(const Fd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), std::min(bytes.size(), kMostPerCall));
    if (n < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, fmt::format("write {}", fd.path()));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status pwrite_all(const Fd& fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n =
        ::pwrite(fd.get(), bytes.data(), std::min(bytes.size(), kMostPerCall), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, fmt::format("write {}", fd.path()));
    }
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Status writev_all(const Fd& fd, struct iovec* vectors, size_t count) {
  while (count > 0) {
    if (vectors->iov_len == 0) {
      ++vectors, --count;
      continue;
    }
    ssize_t n = ::writev(fd.get(), vectors, static_cast<int>(std::min<size_t>(count, IOV_MAX)));
    if (n < 0) {
      if (errno == EINTR) continue;
      return from_errno(errno, fmt::format("write {}", fd.path()));
    }
    while (count > 0 && n >= static_cast<ssize_t>(vectors->iov_len)) {
      n -= static_cast<ssize_t>(vectors->iov_len);
      ++vectors, --count;
    }
    if (n > 0) {
      vectors->iov_base = static_cast<char*>(vectors->iov_base) + n;
      vectors->iov_len -= static_cast<size_t>(n);
    }
  }
  return {};
}

Status sync_data(const Fd& fd) {
  while (::fdatasync(fd.get()) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL || errno == EROFS) return {};  // a pipe, a socket, a terminal
    return from_errno(errno, fmt::format("sync {}", fd.path()));
  }
  return {};
}

Status sync_folder(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return from_errno(errno, fmt::format("open folder {}", path));
  Fd fd(descriptor, path);
  while (::fsync(descriptor) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINVAL) return {};  // a file system that has no sync of folders
    return from_errno(errno, fmt::format("sync folder {}", path));
  }
  return {};
}

Status truncate_file(const Fd& fd, uint64_t size) {
  while (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return from_errno(errno, fmt::format("truncate {}", fd.path()));
  }
  return {};
}

Result<uint64_t> seek(const Fd& fd, uint64_t offset) {
  const off_t at = ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_SET);
  if (at < 0) return from_errno(errno, fmt::format("seek in {}", fd.path()));
  return static_cast<uint64_t>(at);
}

void advise_sequential(const Fd& fd) { (void)posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL); }
void advise_done_with(const Fd& fd, uint64_t offset, uint64_t length) {
  (void)posix_fadvise(fd.get(), static_cast<off_t>(offset), static_cast<off_t>(length), POSIX_FADV_DONTNEED);
}

Result<std::string> read_file(const std::string& path, uint64_t limit_bytes) {
  const Fd fd = RUNINK_TRY(open_file(path));
  std::string bytes;
  struct stat st;
  // Files of /proc say 0 and mean that they do not know; those of /proc/sys, moreover, give all in one read or nothing.
  const bool known = fstat(fd.get(), &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
  const auto too_large = [&] {
    return resource_exhausted("read {}: it is larger than the {} bytes allowed here", path, limit_bytes);
  };
  if (known && static_cast<uint64_t>(st.st_size) > limit_bytes) return too_large();
  // One byte more than expected, so that the end is seen without growing the buffer.
  size_t room = known ? static_cast<size_t>(st.st_size) + 1 : 65536;
  for (;;) {
    const size_t before = bytes.size();
    bytes.resize(before + room);
    const size_t n = RUNINK_TRY(read_full(fd, bytes.data() + before, room));
    bytes.resize(before + n);
    if (bytes.size() > limit_bytes) return too_large();
    if (n < room) return bytes;
    room = std::max<size_t>(bytes.size(), 65536);
  }
}

Status write_file_atomic(const std::string& path, std::string_view bytes, unsigned permissions) {
  AtomicFile file = RUNINK_TRY(AtomicFile::create(path, permissions));
  RUNINK_RETURN_IF_ERROR(file.write(bytes));
  RUNINK_RETURN_IF_ERROR(file.sync());
  return file.publish();
}

Result<FileInfo> file_info(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return from_errno(errno, fmt::format("look at {}", path));
  return from_stat(st);
}
Result<FileInfo> link_info(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return from_errno(errno, fmt::format("look at {}", path));
  return from_stat(st);
}
Result<FileInfo> file_info(const Fd& fd) {
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return from_errno(errno, fmt::format("look at {}", fd.path()));
  return from_stat(st);
}
bool exists(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0;
}
bool same_file(const FileInfo& a, const FileInfo& b) { return a.inode == b.inode && a.device == b.device; }
bool same_file(const std::string& a, const std::string& b) {
  const auto first = file_info(a), second = file_info(b);
  return first.ok() && second.ok() && same_file(*first, *second);
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (!folder) return from_errno(errno, fmt::format("list folder {}", path));
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const struct dirent* entry = ::readdir(folder.get());
    if (entry == nullptr) {
      if (errno != 0) return from_errno(errno, fmt::format("list folder {}", path));
      break;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status make_directories(const std::string& path, unsigned permissions) {
  if (path.empty()) return invalid_argument("make a folder: the path is empty");
  for (size_t end = 1; end <= path.size(); ++end) {
    if (end < path.size() && path[end] != '/') continue;
    const std::string part = path.substr(0, end);
    if (part.back() == '/') continue;
    if (::mkdir(part.c_str(), permissions) == 0) continue;
    const int error = errno;
    struct stat st;
    if (::stat(part.c_str(), &st) == 0) {
      if (S_ISDIR(st.st_mode)) continue;
      return from_errno(ENOTDIR, fmt::format("make folder {}", part));
    }
    return from_errno(error, fmt::format("make folder {}", part));
  }
  return {};
}

namespace {

// Works on descriptors, so a folder that is swapped for a link meanwhile is not followed.
Status remove_entry(int parent, const std::string& name, const std::string& shown, int depth) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return from_errno(errno, fmt::format("remove {}", shown));
  const int refused = errno;
  const int descriptor = ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return from_errno(errno == ENOTDIR ? refused : errno, fmt::format("remove {}", shown));
  if (depth > 512) {
    ::close(descriptor);
    return resource_exhausted("remove {}: more than 512 folders inside each other", shown);
  }
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(descriptor), ::closedir);
  if (!folder) {
    ::close(descriptor);
    return from_errno(errno, fmt::format("list folder {}", shown));
  }
  std::vector<std::string> names;
  while (const struct dirent* entry = ::readdir(folder.get())) {
    const std::string_view child = entry->d_name;
    if (child != "." && child != "..") names.emplace_back(child);
  }
  for (const std::string& child : names) {
    RUNINK_RETURN_IF_ERROR(remove_entry(descriptor, child, shown + "/" + child, depth + 1));
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return from_errno(errno, fmt::format("remove folder {}", shown));
  }
  return {};
}

}  // namespace

Status remove_tree(const std::string& path) {
  if (path.empty() || path == "/") return invalid_argument("remove a folder: refused for \"{}\"", path);
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  return remove_entry(AT_FDCWD, trimmed, trimmed, 0);
}

Status remove_file(const std::string& path, bool missing_ok) {
  if (::unlink(path.c_str()) == 0 || (missing_ok && errno == ENOENT)) return {};
  return from_errno(errno, fmt::format("remove {}", path));
}

Status rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return from_errno(errno, fmt::format("rename {} to {}", from, to));
}

namespace {

uint64_t bytes_below(const std::string& path, int depth) {
  const auto info = link_info(path);
  if (!info.ok()) return 0;
  if (info->regular()) return info->size;
  if (!info->folder() || depth > 512) return 0;
  const auto names = list_directory(path);
  if (!names.ok()) return 0;
  uint64_t sum = 0;
  for (const std::string& name : *names) sum += bytes_below(path + "/" + name, depth + 1);
  return sum;
}

}  // namespace

Result<uint64_t> tree_bytes(const std::string& path) { return bytes_below(path, 0); }

std::string join_path(std::string_view folder, std::string_view name) {
  if (is_absolute(name) || folder.empty()) return std::string(name);
  std::string joined(folder);
  if (joined.back() != '/') joined += '/';
  return joined.append(name);
}

std::string folder_of(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string file_name_of(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path == "/" ? path : path.substr(slash + 1));
}

bool is_absolute(std::string_view path) { return !path.empty() && path[0] == '/'; }

std::string normalize_path(std::string_view path) {
  const bool absolute = is_absolute(path);
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..") parts.pop_back();
    else if (part != ".." || !absolute) parts.push_back(part);
  }
  std::string out = absolute ? "/" : "";
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += '/';
    out += parts[i];
  }
  return out.empty() ? "." : out;
}

Result<std::string> canonical_path(const std::string& path) {
  std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), ::free);
  if (!real) return from_errno(errno, fmt::format("resolve {}", path));
  return std::string(real.get());
}

Result<std::string> working_directory() {
  std::unique_ptr<char, decltype(&::free)> path(::getcwd(nullptr, 0), ::free);
  if (!path) return from_errno(errno, "find the working directory");
  return std::string(path.get());
}

Result<std::string> absolute_path(const std::string& path) {
  std::string known = path;
  if (!is_absolute(known)) known = join_path(RUNINK_TRY(working_directory()), known);
  // Resolve the longest leading part that exists; what follows does not, so it can hold no links.
  std::string missing;
  for (;;) {
    const auto resolved = canonical_path(known);
    if (resolved.ok()) return normalize_path(join_path(*resolved, missing.empty() ? "." : missing));
    if (resolved.status().code() != Code::kNotFound || known == "/") return resolved.status();
    const std::string name = file_name_of(known);
    missing = missing.empty() ? name : name + "/" + missing;
    known = folder_of(known);
  }
}

Result<uint64_t> free_disk_bytes(const std::string& path) {
  struct statvfs st;
  if (::statvfs(path.c_str(), &st) != 0) return from_errno(errno, fmt::format("find the free space at {}", path));
  return uint64_t{st.f_bavail} * st.f_frsize;
}

}  // namespace runink::os
