#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "base/text.h"
#include "platform/os/fd.h"
#include "platform/os/file.h"
#include "worker/doctor/doctor.h"
#include "worker/doctor/probe_child.h"
#include "worker/sandbox/encrypted_scratch.h"
#include "worker/sandbox/user_namespace.h"

namespace runink::doctor {
namespace {

// As sandbox::clone_source does it: a detached copy of the mount there, read-only, under other ids.
Status try_mapped_mount(const std::string& folder, const os::Fd& ids) {
  constexpr unsigned kEmptyPath = 0x1000;
  const os::Fd tree(
      static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)),
      folder);
  if (!tree.valid()) return from_errno(errno, "clone the mount of " + folder);
  struct mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const auto set = [&] {
    return ::syscall(SYS_mount_setattr, tree.get(), "", kEmptyPath, &attributes, sizeof attributes) == 0;
  };
  if (!set()) return from_errno(errno, "make a mount of " + folder + " read-only");
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(ids.get());
  if (!set()) return from_errno(errno, "map users on the file system of " + folder);
  return {};
}

void mapped_mounts(const std::vector<std::string>& folders, Findings* findings) {
  if (::geteuid() != 0) {
    findings->push_back({"users of its own", Verdict::kBad, "on this host, slices of an ordinary user act as that user",
                         "start slices as root: each then has users that nobody else has"});
    return;
  }
  const std::vector<sandbox::IdMap> map = {{1000, 0x6FFF'0000, 1}};
  const auto ids = sandbox::make_user_namespace(map, map);
  if (!ids.ok()) {
    findings->push_back({"users of its own", Verdict::kBad, ids.status().to_string(), ids.status().hint()});
    return;
  }
  // One line for each file system, of the folders that lie on it.
  std::map<dev_t, std::vector<std::string>> file_systems;
  for (const std::string& folder : folders) {
    struct stat info = {};
    if (::stat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) file_systems[info.st_dev].push_back(folder);
  }
  for (const auto& [device, names] : file_systems) {
    const std::string check = "mounts of " + escape_control(join(names, ", "));
    const Status status = try_mapped_mount(names.front(), *ids);
    if (status.ok()) {
      findings->push_back({check, Verdict::kGood, "read-only, and under the ids of the slice", ""});
    } else {
      findings->push_back({check, Verdict::kBad, status.to_string(),
                           "what lies there cannot be shown to slices that root starts: use another file system"});
    }
  }
}

// A small one, gone at once.
void encrypted_scratch(Findings* findings) {
  constexpr const char* kCheck = "encrypted scratch";
  constexpr uint64_t kBytes = 32u << 20;
  if (::geteuid() != 0) {
    findings->push_back({kCheck, Verdict::kBad, "scratch of an ordinary user's slices is in memory only",
                         "start slices as root for --scratch SIZE:FOLDER"});
    return;
  }
  const auto scratch = sandbox::make_encrypted_scratch("/var/tmp", kBytes, std::nullopt, 0);
  if (scratch.ok()) {
    findings->push_back({kCheck, Verdict::kGood, "made in /var/tmp, with a key that only the kernel had", ""});
  } else {
    findings->push_back({kCheck, Verdict::kBad, scratch.status().to_string(), scratch.status().hint()});
  }
}

void room(const char* folder, uint64_t least, const char* why, Findings* findings) {
  struct statvfs space = {};
  const std::string check = fmt::format("room in {}", folder);
  if (::statvfs(folder, &space) != 0) {
    findings->push_back({check, Verdict::kBad, from_errno(errno, fmt::format("look at {}", folder)).to_string(), ""});
    return;
  }
  const uint64_t free = uint64_t{space.f_bavail} * space.f_frsize;
  const bool little = free < least;
  findings->push_back({check, little ? Verdict::kNote : Verdict::kGood, human_bytes(free) + " free",
                       little ? std::string("make room: ") + why : ""});
}

// Where launchers and agents keep their locks and sockets. Only what was made here is taken away again.
void run_folder(Findings* findings) {
  constexpr const char* kCheck = "run folder";
  std::string parent = "/run";
  if (::geteuid() != 0) {
    const char* own = std::getenv("XDG_RUNTIME_DIR");
    if (own == nullptr || *own == '\0') {
      findings->push_back(
          {kCheck, Verdict::kNote, "XDG_RUNTIME_DIR is not set",
           "`runi agent` needs one: log in by systemd, or set it to a folder of your own with mode 0700"});
      return;
    }
    parent = own;
  }
  const std::string folder = parent + "/runink";
  const bool made = ::mkdir(folder.c_str(), 0700) == 0;
  const std::string file = fmt::format("{}/doctor-{}", folder, ::getpid());
  Status status;
  {
    const os::Fd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), file);
    if (!lock.valid()) {
      status = from_errno(errno, "make a file in " + folder);
    } else if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      status = from_errno(errno, "lock a file in " + folder);
    }
  }
  (void)::unlink(file.c_str());
  if (made) (void)::rmdir(folder.c_str());
  if (status.ok()) {
    findings->push_back({kCheck, Verdict::kGood, escape_control(folder) + " can be written, and files locked", ""});
  } else {
    findings->push_back({kCheck, Verdict::kBad, status.to_string(), "make it writable for this user"});
  }
}

}  // namespace

void probe_files(const DoctorOptions& options, Findings* findings) {
  mapped_mounts(options.folders, findings);
  encrypted_scratch(findings);
  room("/tmp", uint64_t{256} << 20, "programs outside of slices put their files there", findings);
  room("/run", uint64_t{16} << 20, "sockets, locks and secrets of slices are there", findings);
  run_folder(findings);
}

}  // namespace runink::doctor
