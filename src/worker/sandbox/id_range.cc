#include "worker/sandbox/id_range.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "model/slice_spec.h"
#include "platform/os/file.h"

namespace runink::sandbox {
namespace {

constexpr uint32_t kFirstId = 0x7000'0000;
constexpr uint32_t kRanges = 4094;
constexpr const char* kFolder = "/run/runink/ids";

}  // namespace

Result<IdRange> IdRange::take() {
  RUNINK_RETURN_IF_ERROR(os::make_directories(kFolder, 0700).with_context("pick users for a slice"));
  // From the first on, so that there are only as many files as slices have run at once.
  for (uint32_t slot = 0; slot < kRanges; ++slot) {
    const std::string path = std::string(kFolder) + "/" + std::to_string(slot);
    os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), path);
    if (!file.valid()) return from_errno(errno, "pick users for a slice: open " + path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK || errno == EINTR) continue;
      return from_errno(errno, "pick users for a slice: lock " + path);
    }
    IdRange range;
    range.first_ = kFirstId + slot * model::kSliceIds;
    range.lock_ = std::move(file);
    return range;
  }
  return resource_exhausted("pick users for a slice: all {} ranges are taken", kRanges)
      .with_hint("that many slices run on this host already");
}

}  // namespace runink::sandbox
