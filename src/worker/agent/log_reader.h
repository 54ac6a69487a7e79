// Reads a slice's log (log_files.h) while it is being written: from its beginning or its last lines, and then what
// comes after. Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"
#include "worker/agent/log_record.h"

namespace runink::agent {

class LogReader {
 public:
  // `last_lines`: begin so many lines before the end; nullopt: at the beginning. kNotFound: there is no such log.
  static Result<LogReader> open(const std::string& folder, std::optional<uint64_t> last_lines = std::nullopt);

  // The next lines, `most` at most; none: nothing more is there now. Lines that were removed before they could be read
  // (the log went on too fast) are told by a line of the stream "runink".
  Result<std::vector<LogLine>> next(size_t most = 1000);

 private:
  enum class Found { kLines, kFileEnded };  // something was read; no whole line is left in the file

  Status skip_to_last(uint64_t lines);
  Result<Found> read_lines(size_t most, std::vector<LogLine>* lines);
  Result<bool> open_next(std::vector<LogLine>* lines);

  std::string folder_;
  os::Fd file_;
  uint64_t number_ = 0;  // of file_; 0: none yet
  uint64_t offset_ = 0;  // in it: where the first line begins that was not handed out
};

}  // namespace runink::agent
