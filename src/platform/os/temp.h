// Files that must not stay: outputs before they are published, spill files, temporary folders.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::os {

// An output that replaces its target in one step. It is written to a hidden file beside the target (so on the same
// file system) and appears under its own name only by publish(); destroyed before that, it leaves nothing behind.
//
// An existing target that is a symbolic link is followed: the file it points to is replaced, and the link stays.
// A target that is a folder or a device is refused. For publishing several at once see data/ledger/publish_record.h.
// One thread at a time.
class AtomicFile {
 public:
  // permissions: of the new file, before the umask. 0600 for anything that holds raw records.
  static Result<AtomicFile> create(const std::string& target, unsigned permissions = 0644);
  // With a name that the caller chose (and wrote down) for the temporary file; it must lie in the target's folder.
  static Result<AtomicFile> create_at(const std::string& temp_path, const std::string& target,
                                      unsigned permissions = 0644);
  // The name create() would take: "<folder>/.<file>.runink-<pid>-<random>".
  static Result<std::string> temp_path_for(const std::string& target);

  AtomicFile() = default;
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile() { discard(); }

  const Fd& fd() const { return fd_; }
  Status write(std::string_view bytes);
  uint64_t bytes_written() const { return bytes_written_; }
  // For writers that write to fd() themselves: only makes bytes_written() right.
  void count_written(uint64_t bytes) { bytes_written_ += bytes; }

  Status sync();     // data to disk
  Status publish();  // rename over the target and fsync the folder; sync() first if it must survive a power cut
  void discard();    // removes the temporary file; nothing after publish() or release()
  // Gives the temporary file up to the caller (who has recorded it): the destructor leaves it in place. Closes it.
  Status release();

  const std::string& temp_path() const { return temp_path_; }
  const std::string& target() const { return target_; }  // with links resolved

 private:
  Fd fd_;
  std::string temp_path_, target_;
  uint64_t bytes_written_ = 0;
};

// A folder of mode 0700 that is removed with all it holds by the destructor.
class TempFolder {
 public:
  // Below `parent`, which is made if need be; "" is $TMPDIR or /tmp.
  static Result<TempFolder> create(const std::string& parent, std::string_view prefix = "runink-");
  TempFolder() = default;
  TempFolder(TempFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempFolder& operator=(TempFolder&& other) noexcept;
  ~TempFolder() { remove(); }
  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  void remove();

 private:
  std::string path_;
};

// An anonymous file for data that does not fit in memory: it has no name (O_TMPFILE, or unlinked at once), so the
// kernel frees it however the process ends. Read back by pread_full on fd().
class SpillFile {
 public:
  static Result<SpillFile> create(const std::string& folder);
  SpillFile() = default;
  const Fd& fd() const { return fd_; }
  uint64_t size() const { return size_; }
  // Appends and returns the offset at which the bytes begin.
  Result<uint64_t> append(std::string_view bytes);
  Result<size_t> read_at(uint64_t offset, void* buffer, size_t size) const;  // may be called by several threads

 private:
  Fd fd_;
  uint64_t size_ = 0;
};

}  // namespace runink::os
