#include "control/node/dump_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "platform/crypto/random.h"
#include "platform/os/file.h"

namespace runink::node {

namespace {

constexpr std::string_view kHiddenMark = ".runink-backup-";
constexpr size_t kMostOfName = 150;  // NAME_MAX is 255

std::string path_of_descriptor(const os::Fd& file) { return fmt::format("/proc/self/fd/{}", file.get()); }

bool lock_at_once(const os::Fd& file) { return ::flock(file.get(), LOCK_EX | LOCK_NB) == 0; }

void remove_abandoned(const std::string& folder) {
  const auto names = os::list_directory(folder);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (!name.starts_with('.') || name.find(kHiddenMark) == std::string::npos) continue;
    const std::string path = os::join_path(folder, name);
    const auto info = os::link_info(path);
    if (!info.ok() || !info->regular()) continue;
    const auto file = os::open_file(path);
    if (file.ok() && lock_at_once(*file)) (void)os::remove_file(path);
  }
}

}  // namespace

Result<std::unique_ptr<DumpFile>> DumpFile::open(const std::string& path) {
  os::Fd file = RUNINK_TRY(os::open_file(path));
  if (!RUNINK_TRY(os::file_info(file)).regular()) return invalid_argument("{} is not a file", path);
  return std::unique_ptr<DumpFile>(new DumpFile(path, std::move(file)));
}

Result<size_t> DumpFile::read(char* data, size_t size) { return os::read_some(file_, data, size); }

Status DumpFile::rewind() {
  return ::lseek(file_.get(), 0, SEEK_SET) == 0 ? Status() : from_errno(errno, "read " + path_ + " again");
}

Result<DumpOutput> DumpOutput::create(const std::string& path) {
  const std::string folder = os::folder_of(path);
  os::Fd file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), path);
  // What kernels and FUSE say of a file system without them; the name is given by way of /proc.
  const bool none = !file && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT);
  if (none || (file && !os::exists(path_of_descriptor(file)))) return create_hidden(path);
  if (!file) return from_errno(errno, "write " + path);
  DumpOutput out;
  out.path_ = path;
  out.nameless_ = std::move(file);
  return out;
}

Result<DumpOutput> DumpOutput::create_hidden(const std::string& path) {
  const std::string folder = os::folder_of(path);
  remove_abandoned(folder);
  const std::string name =
      fmt::format(".{}{}{}", os::file_name_of(path).substr(0, kMostOfName), kHiddenMark, crypto::random_hex(16));
  DumpOutput out;
  out.path_ = path;
  out.hidden_ = RUNINK_TRY(os::AtomicFile::create_at(os::join_path(folder, name), path, 0600));
  // Where there are no locks, nobody removes what may be in use.
  (void)lock_at_once(out.hidden_.fd());
  return out;
}

Status DumpOutput::write(std::string_view bytes) { return os::write_all(file(), bytes); }

Status DumpOutput::sync() { return os::sync_data(file()); }

Result<std::unique_ptr<DumpFile>> DumpOutput::read_back() const {
  return DumpFile::open(nameless_ ? path_of_descriptor(nameless_) : hidden_.temp_path());
}

Status DumpOutput::publish() {
  if (os::exists(path_)) return already_exists("{} is there already", path_);
  if (!nameless_) return hidden_.publish();
  if (::linkat(AT_FDCWD, path_of_descriptor(nameless_).c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0)
    return from_errno(errno, "give a backup the name " + path_);
  return os::sync_folder(os::folder_of(path_));
}

}  // namespace runink::node
