#include "worker/sandbox/device_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"
#include "worker/sandbox/raw_calls.h"

namespace runink::sandbox {

DeviceEntry look_at_device(const std::string& path) {
  DeviceEntry entry{.path = path};
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0 || (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode))) return entry;
  entry.type = S_ISCHR(info.st_mode) ? 'c' : 'b';
  entry.major = ::major(info.st_rdev);
  entry.minor = ::minor(info.st_rdev);
  return entry;
}

Result<os::Fd> make_device_node(const DeviceEntry& device, bool writable, uint32_t group) {
  const std::string attempted = fmt::format("make a node of {} for the slice", escape_control(device.path));
  const os::Fd context(::fsopen("tmpfs", FSOPEN_CLOEXEC), "tmpfs");
  const auto set = [&](const char* name, const char* value) {
    return ::fsconfig(context.get(), FSCONFIG_SET_STRING, name, value, 0) == 0;
  };
  if (!context.valid() || !set("size", "4096") || !set("nr_inodes", "4") || !set("mode", "0755") ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return from_errno(errno, attempted);
  }
  os::Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), "tmpfs");
  if (!mount.valid()) return from_errno(errno, attempted);
  const mode_t type = device.type == 'b' ? S_IFBLK : S_IFCHR;
  // The mode is set afterwards: the umask takes from it here.
  if (::mknodat(mount.get(), kNodePart, type | 0400, ::makedev(device.major, device.minor)) != 0 ||
      ::fchownat(mount.get(), kNodePart, 0, group, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(mount.get(), kNodePart, writable ? 0660 : 0440, 0) != 0) {
    return from_errno(errno, attempted);
  }
  return mount;
}

}  // namespace runink::sandbox
