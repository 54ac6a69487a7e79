// The journal's disk: one folder of a file system. Reserved space is written with zeros once, so that a later sync has
// data to write and nothing else: a first write to space that is only allocated changes the file system's own records,
// and costs a second flush. Durable writes of whole blocks go by O_DIRECT | O_DSYNC where the file system has it,
// others are followed by fdatasync; docs/internals/journal.md has the measurements.
#pragma once

#include <memory>
#include <string>

#include "control/journal/disk.h"
#include "platform/os/lock.h"

namespace runink::journal {

class FileDisk final : public Disk {
 public:
  // Makes the folder (mode 0700) if it is not there, and locks it: kAborted, kind "lock.held", if another process has
  // it.
  static Result<std::unique_ptr<FileDisk>> open_folder(const std::string& folder,
                                                       const std::string& purpose = "runink journal");
  // For inspecting: no lock, and everything that would change the folder is kFailedPrecondition.
  static Result<std::unique_ptr<FileDisk>> open_read_only(const std::string& folder);

  Result<std::unique_ptr<File>> open(const std::string& name) override;
  Result<std::unique_ptr<File>> create(const std::string& name) override;
  Status remove(const std::string& name) override;
  Status rename(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> list() override;
  Status sync_folder() override;

  const std::string& folder() const { return folder_; }

 private:
  FileDisk(std::string folder, os::FileLock lock, bool read_only)
      : folder_(std::move(folder)), lock_(std::move(lock)), read_only_(read_only) {}
  Result<std::string> path_of(const std::string& name) const;
  Status check_writable(const char* what) const;

  std::string folder_;
  os::FileLock lock_;
  bool read_only_;
};

}  // namespace runink::journal
