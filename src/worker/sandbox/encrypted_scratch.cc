#include "worker/sandbox/encrypted_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fscrypt.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "worker/sandbox/acting_as.h"
#include "worker/sandbox/raw_calls.h"

namespace runink::sandbox {
namespace {

constexpr int64_t kFormatLimitMicros = 60'000'000;
constexpr int kTriesForDevice = 64;  // others take free loop devices, too
constexpr const char* kFormatPrograms[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"};

// A file without a name, of its full size on the disk.
Result<os::Fd> make_image(const std::string& folder, uint64_t bytes,
                          const std::optional<model::SliceIdentity>& act_as) {
  const std::string shown = escape_control(folder);
  ActingAs other;
  if (act_as) RUNINK_RETURN_IF_ERROR(other.begin(act_as->user, act_as->group));
  const os::Fd place(raw::openat2(AT_FDCWD, folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC,
                                  RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS),
                     folder);
  if (!place.valid()) {
    Status status = from_errno(errno, "open the folder " + shown);
    return errno == ELOOP ? std::move(status).with_hint("it is, or passes through, a symbolic link: realpath " + shown)
                          : std::move(status);
  }
  struct statfs about = {};
  if (::fstatfs(place.get(), &about) != 0) return from_errno(errno, "look at " + shown);
  if (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC) {
    return failed_precondition("{} lies in memory, and not on a disk", shown)
        .with_hint("name a folder on a disk, or no folder, which is memory that the slice's own limit counts");
  }
  // Never to have a name.
  os::Fd image(::openat(place.get(), ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600), folder);
  const int error = errno;
  other.end();
  if (!image.valid()) {
    Status status = from_errno(error, "make a file in " + shown);
    const bool unable = error == EOPNOTSUPP || error == EISDIR || error == ENOENT;
    return unable ? std::move(status).with_hint("the file system there cannot hold files without a name (O_TMPFILE)")
                  : std::move(status);
  }
  const std::string attempted = fmt::format("set {} aside in {}", human_bytes(bytes), shown);
  // The kernel sets aside what there is before it says that it is not enough: nobody else could write meanwhile.
  const auto free = os::free_disk_bytes(folder);
  if (free.ok() && *free < bytes) {
    return from_errno(ENOSPC, attempted).with_hint(fmt::format("{} are free there", human_bytes(*free)));
  }
  if (::fallocate(image.get(), 0, 0, static_cast<off_t>(bytes)) == 0) return image;
  if (errno == EOPNOTSUPP) {
    return failed_precondition("the file system of {} cannot set space aside (fallocate)", shown);
  }
  return from_errno(errno, attempted);
}

Status format(const os::Fd& image) {
  const char* program = nullptr;
  for (const char* path : kFormatPrograms) {
    if (program == nullptr && ::access(path, X_OK) == 0) program = path;
  }
  if (program == nullptr) {
    return failed_precondition("this host has no mkfs.ext4").with_hint("install e2fsprogs");
  }
  constexpr int kImage = 3;
  os::SpawnOptions options;
  // Without a journal: after a crash it is gone. The file is new, so there is nothing to discard, and all of it is
  // zero.
  options.argv = {program,
                  "-q",
                  "-F",
                  "-O",
                  "encrypt,^has_journal",
                  "-m",
                  "0",
                  "-E",
                  "nodiscard,lazy_itable_init=1",
                  fmt::format("/proc/self/fd/{}", kImage)};
  options.environment = std::vector<std::string>{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"};
  options.descriptors = {{image.get(), kImage}};
  os::Child child = RUNINK_TRY(os::Child::spawn(options));
  const auto ended = RUNINK_TRY(child.wait(kFormatLimitMicros));
  if (ended && ended->success()) return {};
  return internal_error("{}: {}", program, ended ? ended->to_string() : "it took more than a minute");
}

// A loop device of the image, that goes when nobody has it open any more.
Result<os::Fd> attach_device(const os::Fd& image) {
  const os::Fd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC), "/dev/loop-control");
  if (!control.valid()) {
    return from_errno(errno, "open /dev/loop-control").with_hint("this host has no loop devices: modprobe loop");
  }
  for (int i = 0; i < kTriesForDevice; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return from_errno(errno, "find a free loop device");
    const std::string path = fmt::format("/dev/loop{}", number);
    os::Fd device(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
    if (!device.valid()) return from_errno(errno, "open " + path);
    loop_config config = {};
    config.fd = static_cast<uint32_t>(image.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno == EINVAL) {  // not every file system can be written to around the page cache
      config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
      if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return device;
    }
    if (errno != EBUSY) return from_errno(errno, "make the file a loop device, " + path);
  }
  return unavailable("find a free loop device: others were faster, {} times", kTriesForDevice);
}

Result<os::Fd> mount_device(const os::Fd& device) {
  const os::Fd context(::fsopen("ext4", FSOPEN_CLOEXEC), "ext4");
  if (!context.valid()) return from_errno(errno, "open the file system ext4");
  const auto set = [&](const char* name, const char* value) {
    return ::fsconfig(context.get(), value != nullptr ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, name, value, 0) == 0;
  };
  if (!set("source", device.path().c_str()) || !set("noinit_itable", nullptr) ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return from_errno(errno, fmt::format("mount the ext4 on {}", device.path()))
        .with_hint("does this kernel have ext4 with encryption (CONFIG_FS_ENCRYPTION)?");
  }
  os::Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), "scratch");
  if (!mount.valid()) return from_errno(errno, "mount the ext4");
  return mount;
}

// Gives the file system a key that nobody else has seen. Its identifier is not secret.
Result<fscrypt_key_specifier> add_key(const os::Fd& root) {
  constexpr size_t kKeyBytes = 64;
  alignas(fscrypt_add_key_arg) uint8_t buffer[sizeof(fscrypt_add_key_arg) + kKeyBytes] = {};
  auto* argument = reinterpret_cast<fscrypt_add_key_arg*>(buffer);
  argument->key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER;
  argument->raw_size = kKeyBytes;
  if (::getrandom(argument->raw, kKeyBytes, 0) != static_cast<ssize_t>(kKeyBytes)) {
    return from_errno(errno, "make a key");
  }
  const int failed = ::ioctl(root.get(), FS_IOC_ADD_ENCRYPTION_KEY, argument);
  const int error = errno;
  const fscrypt_key_specifier specifier = argument->key_spec;
  ::explicit_bzero(buffer, sizeof buffer);
  if (failed == 0) return specifier;
  if (error == ENOTTY || error == EOPNOTSUPP) {
    return failed_precondition("this kernel cannot encrypt files of ext4")
        .with_hint("it takes a kernel built with CONFIG_FS_ENCRYPTION; scratch on disk is never kept unencrypted");
  }
  return from_errno(error, "give the file system its key");
}

Status make_part(const os::Fd& root, const fscrypt_key_specifier& key, uint32_t owner) {
  if (::mkdirat(root.get(), kScratchPart, 0700) != 0) return from_errno(errno, "make the encrypted folder");
  const os::Fd part(::openat(root.get(), kScratchPart, O_RDONLY | O_DIRECTORY | O_CLOEXEC), kScratchPart);
  if (!part.valid()) return from_errno(errno, "open the encrypted folder");
  fscrypt_policy_v2 policy = {};
  policy.version = FSCRYPT_POLICY_V2;
  policy.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS;
  policy.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS;
  policy.flags = FSCRYPT_POLICY_FLAGS_PAD_32;
  static_assert(sizeof policy.master_key_identifier == sizeof key.u.identifier);
  ::memcpy(policy.master_key_identifier, key.u.identifier, sizeof policy.master_key_identifier);
  if (::ioctl(part.get(), FS_IOC_SET_ENCRYPTION_POLICY, &policy) != 0) {
    return from_errno(errno, "encrypt the folder")
        .with_hint("does this kernel have AES in XTS and CTS mode (CONFIG_CRYPTO_XTS, CONFIG_CRYPTO_CTS)?");
  }
  if (::fchown(part.get(), owner, owner) != 0 || ::fchmod(part.get(), 01777) != 0) {
    return from_errno(errno, "give the encrypted folder to the slice");
  }
  return {};
}

Result<os::Fd> make(const std::string& folder, uint64_t bytes, const std::optional<model::SliceIdentity>& act_as,
                    uint32_t owner) {
  const os::Fd image = RUNINK_TRY(make_image(folder, bytes, act_as));
  RUNINK_RETURN_IF_ERROR(format(image));
  const os::Fd device = RUNINK_TRY(attach_device(image));
  os::Fd mount = RUNINK_TRY(mount_device(device));
  const os::Fd root(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "scratch");
  if (!root.valid()) return from_errno(errno, "open the file system");
  const fscrypt_key_specifier key = RUNINK_TRY(add_key(root));
  RUNINK_RETURN_IF_ERROR(make_part(root, key, owner));
  return mount;
}

}  // namespace

Result<os::Fd> make_encrypted_scratch(const std::string& folder, uint64_t bytes,
                                      const std::optional<model::SliceIdentity>& act_as, uint32_t owner) {
  Result<os::Fd> made = make(folder, bytes, act_as, owner);
  if (made.ok()) return made;
  return std::move(made).status().with_context(
      fmt::format("make encrypted scratch of {} in {}", human_bytes(bytes), escape_control(folder)));
}

}  // namespace runink::sandbox
