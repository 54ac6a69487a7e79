#include "control/server/disk_reserve.h"

#include <fcntl.h>

#include <cerrno>

#include "platform/os/file.h"

namespace runink::server {

DiskReserve::DiskReserve(std::string folder, uint64_t bytes, uint64_t low_bytes)
    : folder_(std::move(folder)), path_(os::join_path(folder_, "ballast")), bytes_(bytes), low_bytes_(low_bytes) {
  // Of another size: a crash while it was made, or another configuration.
  const auto there = os::file_info(path_);
  held_ = there.ok() && there->regular() && there->size == bytes_;
  if (there.ok() && !held_) (void)os::remove_file(path_);
  look();
}

void DiskReserve::look() {
  const auto free = os::free_disk_bytes(folder_);
  if (!free.ok()) return;  // the journal and the state store will say what is wrong
  if (held_ && *free < low_bytes_) {
    held_ = false;
    (void)os::remove_file(path_);
  } else if (!held_ && *free >= bytes_ + low_bytes_ + low_bytes_ / 4) {
    held_ = make();
  }
}

bool DiskReserve::make() const {
  const auto file = os::open_file(path_, os::OpenMode::kCreateNew, 0600);
  if (!file.ok()) return false;
  int error = 0;
  do error = ::posix_fallocate(file->get(), 0, static_cast<off_t>(bytes_));
  while (error == EINTR);
  if (error != 0) (void)os::remove_file(path_);
  return error == 0;
}

}  // namespace runink::server
