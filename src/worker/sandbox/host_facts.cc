#include "worker/sandbox/host_facts.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/os/fd.h"

namespace runink::sandbox {
namespace {

HostEntry look_at(const std::string& path) {
  HostEntry entry{.path = path};
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) return entry;
  entry.owner = info.st_uid;
  entry.group = info.st_gid;
  entry.kind = HostEntry::Kind::kFile;
  if (S_ISDIR(info.st_mode)) entry.kind = HostEntry::Kind::kFolder;
  if (S_ISLNK(info.st_mode)) {
    entry.kind = HostEntry::Kind::kLink;
    char target[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    if (length > 0) entry.link_target.assign(target, static_cast<size_t>(length));
  }
  return entry;
}

bool cores_reach_handler() {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) return false;
  const os::Fd pattern(::open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC), "core_pattern");
  char first = '|';  // where it cannot be read, it may be one
  return !pattern.valid() || ::read(pattern.get(), &first, 1) != 1 || first == '|';
}

}  // namespace

const std::vector<std::string>& default_root_parts() {
  static const std::vector<std::string> parts = {"/usr",
                                                 "/bin",
                                                 "/sbin",
                                                 "/lib",
                                                 "/lib32",
                                                 "/lib64",
                                                 "/libx32",
                                                 "/etc/ssl/certs",
                                                 "/etc/alternatives",
                                                 "/etc/ld.so.cache",
                                                 "/etc/localtime"};
  return parts;
}

HostFacts gather_host_facts(const model::SliceSpec& spec) {
  HostFacts facts;
  facts.uid = ::geteuid();
  facts.gid = ::getegid();
  facts.root = facts.uid == 0;
  facts.cores_reach_handler = cores_reach_handler();
  for (const std::string& path : default_root_parts()) {
    HostEntry entry = look_at(path);
    if (entry.kind != HostEntry::Kind::kMissing) facts.root_parts.push_back(std::move(entry));
  }
  for (const model::SliceMount& mount : spec.mounts) facts.mounts.push_back(look_at(mount.source));
  return facts;
}

}  // namespace runink::sandbox
