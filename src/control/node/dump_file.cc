#include "control/node/dump_file.h"

#include <unistd.h>

#include "platform/os/file.h"

namespace runink::node {

Result<std::unique_ptr<DumpFile>> DumpFile::open(const std::string& path) {
  os::Fd file = RUNINK_TRY(os::open_file(path));
  if (!RUNINK_TRY(os::file_info(file)).regular()) return invalid_argument("{} is not a file", path);
  return std::unique_ptr<DumpFile>(new DumpFile(path, std::move(file)));
}

Result<size_t> DumpFile::read(char* data, size_t size) { return os::read_some(file_, data, size); }

Status DumpFile::rewind() {
  return ::lseek(file_.get(), 0, SEEK_SET) == 0 ? Status() : from_errno(errno, "read " + path_ + " again");
}

}  // namespace runink::node
