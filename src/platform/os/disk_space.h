// Disk space of files that are read once.
#pragma once

#include <cstdint>

#include "platform/os/fd.h"

namespace runink::os {

// Gives the space of bytes [begin, end) back, as far as they are whole blocks and where the file system can do it; else
// it is given back with the file. The bytes are not to be read again; the file keeps its size.
void give_back_space(const Fd& fd, uint64_t begin, uint64_t end);

}  // namespace runink::os
