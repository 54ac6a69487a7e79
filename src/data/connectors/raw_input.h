// RawInput: the undecoded bytes of a file, standard input or a program; and the decompressors over it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/source.h"
#include "platform/os/fd.h"
#include "platform/os/process.h"

namespace runink::connectors {

class RawInput {
 public:
  virtual ~RawInput() = default;
  // Fills the buffer unless the end comes first.
  virtual Result<size_t> read(char* buffer, size_t size) = 0;
  // As ByteSource::read_until_pause.
  virtual Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) {
    *paused = false;
    return read(buffer, size);
  }
  virtual uint64_t size() const { return 0; }
  const std::string& name() const { return name_; }

 protected:
  std::string name_;
};

Result<std::unique_ptr<RawInput>> open_raw_file(const std::string& path, const StopFlag* stop);
Result<std::unique_ptr<RawInput>> open_raw_descriptor(os::Fd fd, std::string name, const StopFlag* stop);
Result<std::unique_ptr<RawInput>> open_raw_program(const std::vector<std::string>& command,
                                                   const std::string& working_directory, const StopFlag* stop,
                                                   const ProgramWords& words = {});
std::unique_ptr<RawInput> make_raw_memory(std::string bytes, size_t piece);

// The ByteSource over it. Truncated or damaged data is kDataLoss, data of another kind kInvalidArgument.
std::unique_ptr<ByteSource> make_byte_source(std::unique_ptr<RawInput> raw, Compression compression);

}  // namespace runink::connectors
