// A slice's log on disk: a folder with numbered files of JSON lines (log_record.h), "1.jsonl" the oldest ever. When a
// file is full the next one is begun, and the oldest removed, so that a log never takes more than
// file_bytes * files. Files are never renamed: who reads one reads on in the next number.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::agent {

// The numbers of the files in a log's folder, ascending; empty where there is no such folder.
Result<std::vector<uint64_t>> log_file_numbers(const std::string& folder);
std::string log_file_path(const std::string& folder, uint64_t number);

class LogFiles {
 public:
  struct Limits {
    uint64_t file_bytes = 8 << 20;
    uint32_t files = 4;  // at least 2
  };

  // Makes the folder (0700) or goes on in its last file; where a crash cut a line there, in the next one.
  static Result<LogFiles> open(const std::string& folder, const Limits& limits);

  // Whole lines. An error (kResourceExhausted: the disk is full) leaves none of them behind, as far as the disk lets
  // that be repaired, and the next call tries again.
  Status append(std::string_view lines);
  uint64_t bytes() const;  // of all files
  size_t file_count() const { return older_.size() + 1; }
  bool drop_oldest();  // removes the oldest file; false: there is only the one that is being written
  const std::string& folder() const { return folder_; }

 private:
  Status begin_file(uint64_t number);
  void remove_oldest();

  std::string folder_;
  Limits limits_;
  os::Fd file_;
  uint64_t number_ = 0, size_ = 0;
  bool cut_ = false;                                 // the file ends within a line: nothing is appended to it
  std::deque<std::pair<uint64_t, uint64_t>> older_;  // number and bytes, ascending
};

}  // namespace runink::agent
