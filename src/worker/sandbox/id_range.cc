#include "worker/sandbox/id_range.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "model/slice_spec.h"
#include "platform/os/file.h"

namespace runink::sandbox {
namespace {

constexpr uint32_t kRanges = 4094;
constexpr const char* kFolder = "/run/runink/ids";

}  // namespace

IdRange::IdRange(IdRange&& other) noexcept { *this = std::move(other); }

IdRange& IdRange::operator=(IdRange&& other) noexcept {
  if (this == &other) return *this;
  if (from_ != nullptr) from_->taken_[slot_] = false;
  from_ = std::exchange(other.from_, nullptr);
  slot_ = other.slot_;
  first_ = std::exchange(other.first_, 0);
  lock_ = std::move(other.lock_);
  return *this;
}

IdRange::~IdRange() {
  if (from_ != nullptr) from_->taken_[slot_] = false;
}

Result<IdRange> IdRanges::take() {
  if (taken_.empty()) {
    RUNINK_RETURN_IF_ERROR(os::make_directories(kFolder, 0700).with_context("pick users for a slice"));
    taken_.resize(kRanges);
  }
  // From the first on, so that there are only as many files as slices have run at once.
  for (uint32_t slot = 0; slot < kRanges; ++slot) {
    if (taken_[slot]) continue;
    const std::string path = std::string(kFolder) + "/" + std::to_string(slot);
    os::Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), path);
    if (!file.valid()) return from_errno(errno, "pick users for a slice: open " + path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK || errno == EINTR) continue;
      return from_errno(errno, "pick users for a slice: lock " + path);
    }
    IdRange range;
    range.from_ = this;
    range.slot_ = slot;
    range.first_ = kFirstSliceId + slot * model::kSliceIds;
    range.lock_ = std::move(file);
    taken_[slot] = true;
    return range;
  }
  return resource_exhausted("pick users for a slice: all {} ranges are taken", kRanges)
      .with_hint("that many slices run on this host already");
}

}  // namespace runink::sandbox
