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
// The descriptor of the above. A FIFO is opened at once, whether something writes it yet or not.
Result<os::Fd> open_input_file(const std::string& path);
Result<std::unique_ptr<RawInput>> open_raw_descriptor(os::Fd fd, std::string name, const StopFlag* stop);
Result<std::unique_ptr<RawInput>> open_raw_program(const std::vector<std::string>& command,
                                                   const std::string& working_directory, const StopFlag* stop,
                                                   const ProgramWords& words = {});
std::unique_ptr<RawInput> make_raw_memory(std::string bytes, size_t piece);

// Inputs that somebody else has opened: a slice is handed descriptors and opens no path. See Locator::inputs.
class HandedInputs {
 public:
  virtual ~HandedInputs() = default;
  virtual const std::vector<std::string>& names() const = 0;  // what errors and dead letters call them, in order
  virtual uint64_t raw_size() const = 0;                      // of all of them; 0 where it cannot be known
  // In order, each once; one at a time.
  virtual Result<std::unique_ptr<RawInput>> open(const std::string& name, const StopFlag* stop) = 0;
};

// The ByteSource over it. Truncated or damaged data is kDataLoss, data of another kind kInvalidArgument.
std::unique_ptr<ByteSource> make_byte_source(std::unique_ptr<RawInput> raw, Compression compression);

}  // namespace runink::connectors
