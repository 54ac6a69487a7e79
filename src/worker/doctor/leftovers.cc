// What launchers left behind that were killed. The next launcher removes it: here it is only counted, and told from
// what is in use.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <set>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "worker/doctor/doctor.h"
#include "worker/network/netlink.h"
#include "worker/network/nft.h"
#include "worker/network/slot.h"
#include "worker/sandbox/cgroup_files.h"
#include "worker/sandbox/slice_group.h"

namespace runink::doctor {
namespace {

constexpr const char* kNextRemoves = "the next `runi exec` with a network removes them, as root";

struct Count {
  std::set<std::string> in_use, left;
};

Finding finding_of(const char* check, const Count& count, const char* what, const char* advice) {
  if (count.left.empty()) {
    return {check, Verdict::kGood, fmt::format("{} in use, none left behind", count.in_use.size()), ""};
  }
  std::vector<std::string> names(count.left.begin(), count.left.end());
  const size_t all = names.size();
  if (all > 3) names.resize(3);
  return {check, Verdict::kNote,
          fmt::format("{} in use; {} {} of launchers that were killed: {}{}", count.in_use.size(), all, what,
                      join(names, ", "), all > 3 ? ", …" : ""),
          advice};
}

// Groups are named "PID.TICKS.COUNT", after their launcher (worker/sandbox/slice_group.cc).
bool launcher_lives(const std::string& group) {
  const std::vector<std::string_view> parts = split(group, '.');
  os::ProcessIdentity launcher;
  if (parts.size() != 3) return true;  // not ours to judge
  const auto read = [](std::string_view text, auto* number) {
    return std::from_chars(text.data(), text.data() + text.size(), *number).ec == std::errc();
  };
  return !read(parts[0], &launcher.pid) || !read(parts[1], &launcher.start_ticks) || os::is_alive(launcher);
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

Finding control_groups() {
  Count count;
  const auto mountinfo = os::read_file("/proc/self/mountinfo");
  if (!mountinfo.ok()) return {"left: groups", Verdict::kNote, mountinfo.status().to_string(), ""};
  for (const sandbox::CgroupMount& mount : sandbox::parse_cgroup_mounts(*mountinfo)) {
    const std::string base = mount.mount_point + sandbox::kGroupBase;
    for (const std::string& herd : folders_in(base)) {
      for (const std::string& group : folders_in(base + "/" + herd)) {
        (launcher_lives(group) ? count.in_use : count.left).insert(herd + "/" + group);
      }
    }
  }
  return finding_of("left: groups", count, "control group(s)",
                    "the next `runi exec` with limits removes them, as root; what is still there then is empty: rmdir "
                    "/sys/fs/cgroup/*/runink/HERD/GROUP");
}

// Whether some process holds the slot's lock.
bool slot_in_use(uint32_t slot) {
  const std::string path = fmt::format("/run/runink/networks/{}", slot);
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), path);
  return file.valid() && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0;
}

void add_slot(const std::string& name, Count* count) {
  if (const auto slot = network::slot_of(name)) (slot_in_use(*slot) ? count->in_use : count->left).insert(name);
}

void networks(Findings* findings) {
  Count links;
  const auto interfaces = os::list_directory("/sys/class/net");
  if (interfaces.ok()) {
    for (const std::string& name : *interfaces) add_slot(name, &links);
  }
  findings->push_back(finding_of("left: links", links, "link(s)", kNextRemoves));
  if (::geteuid() != 0) return;  // rules are root's to see
  Count rules;
  auto netfilter = network::NetlinkSocket::open(NETLINK_NETFILTER);
  auto chains =
      netfilter.ok() ? network::nft::list_chains(&*netfilter) : Result<std::vector<std::string>>(netfilter.status());
  if (!chains.ok()) {
    findings->push_back({"left: rules", Verdict::kNote, chains.status().to_string(), ""});
    return;
  }
  for (const std::string& name : *chains) add_slot(name, &rules);
  findings->push_back(finding_of("left: rules", rules, "chain(s) of rules", kNextRemoves));
}

}  // namespace

void look_for_leftovers(Findings* findings) {
  findings->push_back(control_groups());
  networks(findings);
}

Findings probe_slices(const DoctorOptions& options) {
  Findings findings;
  probe_kernel(&findings);
  probe_isolation(&findings);
  probe_files(options, &findings);
  probe_limits(&findings);
  probe_network(&findings);
  look_for_leftovers(&findings);
  return findings;
}

}  // namespace runink::doctor
