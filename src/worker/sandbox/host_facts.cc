#include "worker/sandbox/host_facts.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/os/fd.h"
#include "platform/os/file.h"
#include "worker/sandbox/landlock.h"

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

bool is_host_root() {
  if (::geteuid() != 0) return false;
  // "inside outside count": all ids, as themselves. Where there is no such file there are no user namespaces.
  const auto map = os::read_file("/proc/self/uid_map");
  if (!map.ok()) return true;
  std::vector<std::string_view> words = split(trim(*map), ' ');
  std::erase_if(words, [](std::string_view word) { return word.empty(); });
  return words.size() == 3 && words[0] == "0" && words[1] == "0" && words[2] == "4294967295";
}

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

void look_at_mounts(const std::vector<model::SliceMount>& mounts, HostFacts* facts) {
  facts->mounts.clear();
  for (const model::SliceMount& mount : mounts) facts->mounts.push_back(look_at(mount.source));
}

std::string root_parts_stamp() {
  std::string stamp;
  for (const std::string& path : default_root_parts()) {
    struct stat info = {};
    if (::lstat(path.c_str(), &info) != 0) info = {};
    const uint64_t parts[] = {info.st_dev, info.st_ino};
    stamp.append(reinterpret_cast<const char*>(parts), sizeof parts);
  }
  return stamp;
}

HostFacts gather_host_facts() {
  HostFacts facts;
  facts.uid = ::geteuid();
  facts.gid = ::getegid();
  facts.root = is_host_root();
  facts.cores_reach_handler = cores_reach_handler();
  facts.landlock_abi = landlock_abi();
  facts.node = read_node_size();
  for (const std::string& path : default_root_parts()) {
    HostEntry entry = look_at(path);
    if (entry.kind != HostEntry::Kind::kMissing) facts.root_parts.push_back(std::move(entry));
  }
  return facts;
}

void add_facts_of(const model::SliceSpec& spec, HostFacts* facts) {
  look_at_mounts(spec.mounts, facts);
  facts->devices.clear();
  for (const model::SliceDevice& device : spec.devices) facts->devices.push_back(look_at_device(device.path));
  if (spec.gpus.any()) facts->gpus = look_for_gpus();
  if (spec.network.any()) facts->network = network::look_at_host(spec.network);
}

HostFacts gather_host_facts(const model::SliceSpec& spec) {
  HostFacts facts = gather_host_facts();
  add_facts_of(spec, &facts);
  return facts;
}

}  // namespace runink::sandbox
