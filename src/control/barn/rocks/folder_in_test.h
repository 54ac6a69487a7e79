// Test code: a folder for tests that write small files thousands of times. In memory where there is room, since none of
// them cuts the power; on ext4, replacing a file by another costs milliseconds.
#pragma once

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::barn {

inline os::TempFolder folder_in_memory() {
  const std::string memory = "/dev/shm";
  const Result<uint64_t> free = os::free_disk_bytes(memory);
  if (free.ok() && *free > (uint64_t{256} << 20)) {
    Result<os::TempFolder> folder = os::TempFolder::create(memory);
    if (folder.ok()) return std::move(*folder);
  }
  return *os::TempFolder::create("");
}

}  // namespace runink::barn
