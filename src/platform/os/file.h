// Files and folders. Every path may be relative to the working directory; every descriptor is close-on-exec; reads and
// writes go on after EINTR and short counts; every error names the path and what was attempted.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::os {

enum class OpenMode {
  kRead,
  kTruncate,   // create, or make empty; write only
  kCreateNew,  // fails with kAlreadyExists where there is one; write only
  kAppend,     // create if absent; every write goes to the end
  kReadWrite,  // create if absent, keep content
};

// `permissions` apply where a file is created (and the umask takes from them). Opening a folder for reading is refused
// with kInvalidArgument ("is a directory"); a FIFO is opened, and waits for its other end as usual.
Result<Fd> open_file(const std::string& path, OpenMode mode = OpenMode::kRead, unsigned permissions = 0644);

Result<size_t> read_some(const Fd& fd, void* buffer, size_t size);  // at least 1 unless at the end: 0
Result<size_t> read_full(const Fd& fd, void* buffer, size_t size);  // fewer than size only at the end
Result<size_t> pread_full(const Fd& fd, void* buffer, size_t size, uint64_t offset);
Status write_all(const Fd& fd, std::string_view bytes);
Status pwrite_all(const Fd& fd, std::string_view bytes, uint64_t offset);
// One gathered write (and as many more as short counts need). The vectors are changed.
Status writev_all(const Fd& fd, struct iovec* vectors, size_t count);
Status sync_data(const Fd& fd);               // fdatasync; a descriptor that cannot be synced (pipe) is fine
Status sync_folder(const std::string& path);  // makes renames and new names in it durable
Status truncate_file(const Fd& fd, uint64_t size);
Result<uint64_t> seek(const Fd& fd, uint64_t offset);

// A hint, never an error: the kernel should read ahead / may forget the pages of this range.
void advise_sequential(const Fd& fd);
void advise_done_with(const Fd& fd, uint64_t offset, uint64_t length);

// Whole files. A larger file than limit_bytes is kResourceExhausted, and nothing is kept of it.
inline constexpr uint64_t kDefaultReadLimit = 64u << 20;
Result<std::string> read_file(const std::string& path, uint64_t limit_bytes = kDefaultReadLimit);
// Temporary file in the same folder, fsync, rename, fsync of the folder: the file is either the old or the new whole.
Status write_file_atomic(const std::string& path, std::string_view bytes, unsigned permissions = 0644);

enum class FileType { kRegular, kFolder, kLink, kFifo, kSocket, kDevice, kOther };
struct FileInfo {
  FileType type = FileType::kOther;
  uint64_t size = 0;             // bytes
  int64_t modified_nanos = 0;    // since the epoch
  uint64_t inode = 0, device = 0;
  unsigned permissions = 0;      // the 12 low bits of the mode
  bool regular() const { return type == FileType::kRegular; }
  bool folder() const { return type == FileType::kFolder; }
};
Result<FileInfo> file_info(const std::string& path);       // follows symbolic links
Result<FileInfo> link_info(const std::string& path);       // does not
Result<FileInfo> file_info(const Fd& fd);
bool exists(const std::string& path);                      // follows links; false also where it cannot be seen
bool same_file(const FileInfo& a, const FileInfo& b);      // same inode on the same device
bool same_file(const std::string& a, const std::string& b);  // false unless both exist

// Names without `.` and `..`, sorted by bytes.
Result<std::vector<std::string>> list_directory(const std::string& path);
// Makes the folder and its missing parents. `permissions` for each one made; one that is there is left as it is.
Status make_directories(const std::string& path, unsigned permissions = 0777);
// Removes a file or a whole folder without following links; a path that does not exist is OK.
Status remove_tree(const std::string& path);
Status remove_file(const std::string& path, bool missing_ok = true);
Status rename_file(const std::string& from, const std::string& to);
Result<uint64_t> tree_bytes(const std::string& path);      // sizes of the regular files below; 0 for a missing path

// Paths that match, sorted by bytes. `*` and `?` do not match `/` nor a leading dot, `[a-z]` and `[!a-z]` as in a shell,
// `**` as a whole component matches any number of folders (links to folders are not followed under it). Without any of
// these characters the path itself, if it exists. No match is an empty list; a folder that cannot be read is an error;
// more than `limit` matches are kResourceExhausted.
Result<std::vector<std::string>> glob(const std::string& pattern, size_t limit = 1'000'000);
bool has_glob_characters(std::string_view path);
bool glob_match(std::string_view pattern, std::string_view path);  // the same rules, on text alone

// Text of paths, no file touched.
std::string join_path(std::string_view folder, std::string_view name);  // an absolute `name` is returned as it is
std::string folder_of(std::string_view path);                           // "." where there is none
std::string file_name_of(std::string_view path);
std::string normalize_path(std::string_view path);                      // `a//./b/../c` → `a/c`
bool is_absolute(std::string_view path);

Result<std::string> canonical_path(const std::string& path);  // realpath; the file must exist
// Absolute path where the file need not exist: its folder is resolved as far as there is one.
Result<std::string> absolute_path(const std::string& path);
Result<std::string> working_directory();
Result<uint64_t> free_disk_bytes(const std::string& path);    // for an unprivileged writer, where path lies

}  // namespace runink::os
