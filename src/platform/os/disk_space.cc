#include "platform/os/disk_space.h"

#include <fcntl.h>

namespace runink::os {

void give_back_space(const Fd& fd, uint64_t begin, uint64_t end) {
  if (end <= begin) return;
  (void)::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                    static_cast<off_t>(end - begin));
}

}  // namespace runink::os
