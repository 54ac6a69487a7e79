// A backup as a file: read for verifying and restoring, written whole or not at all.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "control/barn/dump.h"
#include "platform/os/fd.h"
#include "platform/os/temp.h"

namespace runink::node {

// One that is there, for reading.
class DumpFile final : public barn::ByteSource {
 public:
  static Result<std::unique_ptr<DumpFile>> open(const std::string& path);
  Result<size_t> read(char* data, size_t size) override;
  Status rewind() override;

 private:
  DumpFile(std::string path, os::Fd file) : path_(std::move(path)), file_(std::move(file)) {}
  const std::string path_;
  os::Fd file_;
};

// One that is being written. It has no name before publish() (O_TMPFILE), so nothing of it stays however the process
// ends: it holds secrets, and may be large. One thread at a time.
class DumpOutput {
 public:
  // Where the file system knows no files without a name, as create_hidden().
  static Result<DumpOutput> create(const std::string& path);
  // Under a hidden name beside `path`, and locked. Removes such files of processes that ended without removing them.
  static Result<DumpOutput> create_hidden(const std::string& path);

  Status write(std::string_view bytes);
  Status sync();
  Result<std::unique_ptr<DumpFile>> read_back() const;  // from its beginning
  Status publish();                                     // kAlreadyExists; durable if it was synced before

 private:
  DumpOutput() = default;
  const os::Fd& file() const { return nameless_ ? nameless_ : hidden_.fd(); }
  std::string path_;
  os::Fd nameless_;
  os::AtomicFile hidden_;
};

}  // namespace runink::node
