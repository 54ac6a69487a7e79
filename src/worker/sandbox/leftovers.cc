#include "worker/sandbox/leftovers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "worker/network/netlink.h"
#include "worker/network/nft.h"
#include "worker/network/slot.h"
#include "worker/sandbox/cgroup_files.h"
#include "worker/sandbox/child.h"
#include "worker/sandbox/slice_group.h"
#include "worker/sandbox/spawner.h"

namespace runink::sandbox {
namespace {

template <typename Number>
bool read_number(std::string_view text, Number* number) {
  return std::from_chars(text.data(), text.data() + text.size(), *number).ec == std::errc();
}

// "PID (NAME) S PARENT …", where NAME may hold anything.
std::string parent_of(const std::string& pid) {
  const auto text = os::read_file("/proc/" + pid + "/stat");
  if (!text.ok()) return {};
  const size_t end = text->rfind(") ");
  if (end == std::string::npos) return {};
  const std::vector<std::string_view> fields = split(std::string_view(*text).substr(end + 2), ' ');
  return fields.size() > 1 ? std::string(fields[1]) : std::string();
}

std::string name_of(const std::string& pid) {
  const auto name = os::read_file("/proc/" + pid + "/comm");
  return name.ok() ? std::string(trim(*name)) : std::string();
}

// Process 1 of a namespace inside this one: "NSpid:\t123\t1".
bool is_process_one(const std::string& pid) {
  const auto text = os::read_file("/proc/" + pid + "/status");
  if (!text.ok()) return false;
  const size_t at = text->find("\nNSpid:");
  if (at == std::string::npos) return false;
  const std::string_view line = std::string_view(*text).substr(at + 1, text->find('\n', at + 1) - at - 1);
  const std::vector<std::string_view> ids = split(line, '\t');
  return ids.size() > 2 && ids.back() == "1";
}

// Process 1 of a slice is its launcher's child.
InUseAndLeft processes() {
  InUseAndLeft out;
  const auto names = os::list_directory("/proc");
  if (!names.ok()) return out;
  for (const std::string& pid : *names) {
    if (pid.empty() || pid[0] < '0' || pid[0] > '9' || name_of(pid) != kInitName) continue;
    const std::string parent = parent_of(pid), parents_name = parent.empty() ? "" : name_of(parent);
    if (parents_name.empty() || !is_process_one(pid)) continue;
    (parents_name == kLauncherName ? out.in_use : out.left).insert(pid);
  }
  return out;
}

std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> out;
  const auto names = os::list_directory(path);
  if (!names.ok()) return out;
  for (const std::string& name : *names) {
    const auto info = os::link_info(path + "/" + name);
    if (info.ok() && info->folder()) out.push_back(name);
  }
  return out;
}

// In any hierarchy.
InUseAndLeft control_groups() {
  InUseAndLeft out;
  const auto mountinfo = os::read_file("/proc/self/mountinfo");
  if (!mountinfo.ok()) return out;
  for (const CgroupMount& mount : parse_cgroup_mounts(*mountinfo)) {
    const std::string base = mount.mount_point + kGroupBase;
    for (const std::string& herd : folders_in(base)) {
      for (const std::string& group : folders_in(base + "/" + herd)) {
        (launcher_is_gone(group) ? out.left : out.in_use).insert(herd + "/" + group);
      }
    }
  }
  return out;
}

// Whether some process holds the slot's lock.
bool slot_in_use(uint32_t slot) {
  const std::string path = fmt::format("/run/runink/networks/{}", slot);
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), path);
  return file.valid() && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0;
}

void add_slot(const std::string& name, InUseAndLeft* to) {
  if (const auto slot = network::slot_of(name)) (slot_in_use(*slot) ? to->in_use : to->left).insert(name);
}

void add_networks(Leftovers* out) {
  const auto interfaces = os::list_directory("/sys/class/net");
  if (interfaces.ok()) {
    for (const std::string& name : *interfaces) add_slot(name, &out->links);
  }
  if (::geteuid() != 0) return;
  auto netfilter = network::NetlinkSocket::open(NETLINK_NETFILTER);
  auto chains =
      netfilter.ok() ? network::nft::list_chains(&*netfilter) : Result<std::vector<std::string>>(netfilter.status());
  if (!chains.ok()) {
    out->rules_unknown = std::move(chains).status();
    return;
  }
  for (const std::string& name : *chains) add_slot(name, &out->rules);
}

}  // namespace

// "PID.TICKS.NUMBER", the first two of the launcher: whose group it is can be told after the pid has been used again.
bool launcher_is_gone(const std::string& group) {
  const std::vector<std::string_view> parts = split(group, '.');
  os::ProcessIdentity launcher;
  return parts.size() == 3 && read_number(parts[0], &launcher.pid) && read_number(parts[1], &launcher.start_ticks) &&
         !os::is_alive(launcher);
}

Leftovers count_leftovers() {
  Leftovers out{.processes = processes(), .groups = control_groups()};
  add_networks(&out);
  return out;
}

}  // namespace runink::sandbox
