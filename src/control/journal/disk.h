// What the journal asks of a disk: few calls, so that a simulator can answer them with every fault a disk has.
// file_disk.h is the real one, testing/sim_disk.h the other.
//
// After a write, a sync, a rename, a removal or a sync_folder that failed, nobody knows what the disk holds, and asking
// again may hide it: a second fsync after a failed one returns success (Rebello and others, "Can applications recover
// from fsync failures?", USENIX ATC 2020). The journal therefore ends its use at the first of them. Only reserve() and
// create() may fail with kResourceExhausted and leave everything else as it was.
//
// One thread. Errors name the file and, where there is one, the offset.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::journal {

class File {
 public:
  virtual ~File() = default;
  virtual Result<std::string> read(uint64_t offset, size_t size) = 0;  // fewer bytes only at the end
  virtual Status write(uint64_t offset, std::string_view bytes) = 0;
  // Data, and what is needed to read it back; not the file's name.
  virtual Status sync() = 0;
  // The two at once: durable when it returns. May be faster where address, offset and size of the bytes are multiples
  // of 4,096.
  virtual Status write_durably(uint64_t offset, std::string_view bytes) {
    RUNINK_RETURN_IF_ERROR(write(offset, bytes));
    return sync();
  }
  // Space for so many bytes from the beginning on: they read as zero until they are written, and writing them does not
  // fail for want of space. Durable with the next sync. Never makes a file shorter.
  virtual Status reserve(uint64_t size) = 0;
  virtual Result<uint64_t> size() = 0;
};

// One folder. Names have no '/'.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& name) = 0;    // kNotFound
  virtual Result<std::unique_ptr<File>> create(const std::string& name) = 0;  // a new file, also where there is one
  virtual Status remove(const std::string& name) = 0;                         // one that is not there is fine
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces
  virtual Result<std::vector<std::string>> list() = 0;                        // sorted
  virtual Status sync_folder() = 0;                                           // makes the names durable
};

}  // namespace runink::journal
