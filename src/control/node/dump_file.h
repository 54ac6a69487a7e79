// A backup as a file: read for verifying and restoring, written whole or not at all.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "control/barn/dump.h"
#include "platform/os/fd.h"

namespace runink::node {

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

}  // namespace runink::node
