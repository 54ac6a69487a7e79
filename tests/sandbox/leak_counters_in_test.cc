#include "leak_counters_in_test.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "platform/os/file.h"
#include "worker/network/nft.h"
#include "worker/network/slot.h"
#include "worker/sandbox/slice_group.h"
#include "worker/sandbox/spawner.h"

namespace runink::sandbox {
namespace {

namespace fs = std::filesystem;
using Things = LeakCounters::Things;

constexpr const char* kRunFolder = "/run/runink";
constexpr const char* kLockFolders[] = {"ids", "networks", "gpus"};
constexpr const char* kKinds[] = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"};
constexpr const char* kLauncher = "runi-launcher";

std::string proc(pid_t pid, const std::string& what) { return "/proc/" + std::to_string(pid) + "/" + what; }

// What is read of a process that ends meanwhile is nothing.
std::string text_of(const std::string& path) {
  auto text = os::read_file(path);
  return text.ok() ? std::move(*text) : std::string();
}

std::string link_of(const std::string& path) {
  std::error_code failed;
  const fs::path target = fs::read_symlink(path, failed);
  return failed ? std::string() : target.string();
}

// Others make and remove what is listed meanwhile.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    names.push_back(at->path().filename());
  }
  return names;
}

// The folders and files below it, from there on.
std::vector<std::string> all_below(const std::string& folder) {
  std::vector<std::string> all;
  std::vector<std::string> folders = {""};
  for (size_t i = 0; i < folders.size(); ++i) {
    for (const std::string& name : names_in(folder + "/" + folders[i])) {
      all.push_back(folders[i].empty() ? name : folders[i] + "/" + name);
      std::error_code failed;
      if (fs::is_directory(fs::symlink_status(folder + "/" + all.back(), failed))) folders.push_back(all.back());
    }
  }
  return all;
}

bool is_folder(const std::string& path) {
  std::error_code failed;
  return fs::is_directory(path, failed);
}

struct Process {
  pid_t pid = 0;
  std::string name;
  char state = '?';
};

Process look_at(pid_t pid) {
  Process process;
  process.pid = pid;
  const std::string stat = text_of(proc(pid, "stat"));
  const size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) return process;
  process.name = stat.substr(open + 1, close - open - 1);
  process.state = stat[close + 2];
  return process;
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  for (const std::string& thread : names_in(proc(pid, "task"))) {
    std::ifstream list(proc(pid, "task/" + thread + "/children"));
    for (pid_t child; list >> child;) children.push_back(child);
  }
  return children;
}

// Below this one. Those whose parents have gone, and who have ended, are waited for.
std::vector<Process> processes_below(const LeaksOf& of) {
  std::vector<Process> found;
  const pid_t self = ::getpid();
  std::vector<pid_t> parents = {self};
  for (size_t i = 0; i < parents.size(); ++i) {
    for (const pid_t child : children_of(parents[i])) {
      const Process process = look_at(child);
      const bool spared = of.spared.contains(child);
      if (parents[i] == self && !spared && process.state == 'Z' && ::waitpid(child, nullptr, WNOHANG | __WALL) == child)
        continue;
      parents.push_back(child);
      if (!spared) found.push_back(process);
    }
  }
  return found;
}

bool is_launcher(const Process& process) { return process.name == kLauncher && process.state != 'Z'; }
bool is_spawner(const Process& process) { return process.name == kSpawnerName && process.state != 'Z'; }

// "net:[4026531840]"
bool is_namespace(const std::string& link) {
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&](const char* kind) { return link.starts_with(std::string(kind) + ":["); });
}

void add_namespaces(pid_t pid, std::set<std::string>* out) {
  for (const char* kind : kKinds) {
    const std::string link = link_of(proc(pid, std::string("ns/") + kind));
    if (!link.empty() && link != link_of(std::string("/proc/self/ns/") + kind)) out->insert(link);
  }
}

void add_kept_namespaces(pid_t pid, std::set<std::string>* out) {
  for (const std::string& fd : names_in(proc(pid, "fd"))) {
    const std::string link = link_of(proc(pid, "fd/" + fd));
    if (is_namespace(link)) out->insert(link);
  }
}

// ID PARENT DEVICE ROOT POINT …: the first three say nothing, and the root of a kept namespace is its name.
void add_mounts(pid_t pid, LeakCounters* out) {
  const std::string text = text_of(proc(pid, "mountinfo"));
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> words = split(line, ' ');
    if (words.size() < 5) continue;
    out->mounts.insert(fmt::format("{} at {}", words[3], words[4]));
    if (is_namespace(std::string(words[3]))) out->namespaces.insert(std::string(words[3]));
  }
}

void add_descriptors(const Process& of, Things* out) {
  for (const std::string& fd : names_in(proc(of.pid, "fd"))) {
    std::string link = link_of(proc(of.pid, "fd/" + fd));
    // "socket:[4711]": each has another number.
    if (const size_t at = link.find(":["); at != std::string::npos && link.find("anon_inode") == std::string::npos) {
      link.resize(at);
    }
    out->insert(of.name + ": " + link);
  }
}

void add_groups(const LeaksOf& of, Things* out) {
  const std::string text = text_of("/proc/self/mountinfo");
  for (const std::string_view line : split(text, '\n')) {
    if (line.find(" - cgroup") == std::string_view::npos) continue;
    const std::string base = std::string(split(line, ' ')[4]) + kGroupBase;
    for (const std::string& herd : names_in(base)) {
      if (!is_folder(base + "/" + herd)) continue;
      if (of.herds.contains(herd)) out->insert(base + "/" + herd);
      for (const std::string& name : names_in(base + "/" + herd)) {
        if (!is_folder(base + "/" + herd + "/" + name)) continue;
        const bool launchers = of.launchers.contains(std::atoi(name.c_str()));  // "PID.TICKS.…"
        if (launchers || of.herds.contains(herd)) out->insert(base + "/" + herd + "/" + name);
      }
    }
  }
}

void add_locks(Things* out) {
  for (const char* folder : kLockFolders) {
    const std::string path = std::string(kRunFolder) + "/" + folder;
    for (const std::string& name : names_in(path)) {
      const os::Fd file(::open((path + "/" + name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW), name);
      if (!file.valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) continue;
      out->insert(std::string(folder) + "/" + name);
    }
  }
}

void add_files(Things* out) {
  for (const std::string& name : all_below(kRunFolder)) {
    const bool lock = std::any_of(std::begin(kLockFolders), std::end(kLockFolders),
                                  [&](const char* folder) { return name.starts_with(std::string(folder) + "/"); });
    if (!lock && !is_folder(std::string(kRunFolder) + "/" + name)) out->insert(name);
  }
}

void add_network(LeakCounters* out) {
  if (struct if_nameindex* const all = ::if_nameindex(); all != nullptr) {
    for (auto* at = all; at->if_index != 0; ++at) {
      if (network::is_slice_interface(at->if_name)) out->links.insert(at->if_name);
    }
    ::if_freenameindex(all);
  }
  auto netfilter = network::NetlinkSocket::open(NETLINK_NETFILTER);
  if (!netfilter.ok()) return;
  // A kernel without nf_tables has no rules.
  if (const auto chains = network::nft::list_chains(&*netfilter); chains.ok()) {
    out->rules.insert(chains->begin(), chains->end());
  }
}

}  // namespace

// v2 counts them; on v1 they are what /proc/cgroups counts and no folder shows.
uint64_t dying_memory_groups() {
  uint64_t dying = 0;
  const std::string text = text_of("/proc/self/mountinfo");
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> words = split(line, ' ');
    if (words.size() < 5) continue;
    const std::string point(words[4]);
    if (line.find(" - cgroup2 ") != std::string_view::npos) {
      const std::string stat = text_of(point + "/cgroup.stat");
      const std::string key = "nr_dying_descendants ";
      if (const size_t at = stat.find(key); at != std::string::npos) dying += std::stoull(stat.substr(at + key.size()));
    } else if (line.find(" - cgroup ") != std::string_view::npos && os::exists(point + "/memory.limit_in_bytes")) {
      uint64_t folders = 1, counted = 0;
      for (const std::string& name : all_below(point)) folders += is_folder(point + "/" + name);
      std::ifstream controllers("/proc/cgroups");
      for (std::string name, hierarchy; controllers >> name >> hierarchy;) {
        uint64_t groups = 0;
        if (name != "memory" || !(controllers >> groups)) {
          std::getline(controllers, name);
          continue;
        }
        counted = groups;
        break;
      }
      dying += counted > folders ? counted - folders : 0;
    }
  }
  return dying;
}

namespace {

struct Kind {
  const char* name;
  Things LeakCounters::*things;
};
constexpr Kind kThings[] = {
    {"process", &LeakCounters::processes},
    {"mount", &LeakCounters::mounts},
    {"namespace", &LeakCounters::namespaces},
    {"network link", &LeakCounters::links},
    {"chain of nf_tables", &LeakCounters::rules},
    {"control group", &LeakCounters::groups},
    {"descriptor", &LeakCounters::descriptors},
    {"lock", &LeakCounters::locks},
    {"file", &LeakCounters::files},
};

}  // namespace

Status OwnHost::enter() {
  mounts_ = os::Fd(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "mounts");
  network_ = os::Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "network");
  RUNINK_RETURN_IF_ERROR(os::make_directories(kRunFolder, 0755));
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) return from_errno(errno, "make mounts and a network of its own");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return from_errno(errno, "part from mounts");
  if (::mount("none", kRunFolder, "tmpfs", 0, "mode=0755") != 0) return from_errno(errno, "mount a run folder");
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return from_errno(errno, "be the one that orphans come to");
  sigset_t children, before;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  if (::pthread_sigmask(SIG_BLOCK, &children, &before) != 0) return internal_error("block SIGCHLD");
  signals_ = before;
  return {};
}

void OwnHost::leave() {
  if (!network_.valid()) return;
  (void)::prctl(PR_SET_CHILD_SUBREAPER, 0);
  if (signals_) (void)::pthread_sigmask(SIG_SETMASK, &*signals_, nullptr);
  signals_.reset();
  (void)::setns(mounts_.get(), CLONE_NEWNS);
  (void)::setns(network_.get(), CLONE_NEWNET);
  mounts_.reset();
  network_.reset();
}

bool LeakCounters::operator==(const LeakCounters& other) const {
  return std::all_of(std::begin(kThings), std::end(kThings),
                     [&](const Kind& kind) { return this->*kind.things == other.*kind.things; });
}

LeakCounters count_leaks(const LeaksOf& of) {
  LeakCounters out;
  std::set<std::string> spaces;
  add_mounts(::getpid(), &out);
  add_kept_namespaces(::getpid(), &spaces);
  for (const Process& process : processes_below(of)) {
    add_namespaces(process.pid, &spaces);
    add_kept_namespaces(process.pid, &spaces);
    if (!is_launcher(process) && !is_spawner(process)) {
      out.processes.insert(fmt::format("{} {}{}", process.pid, process.name, process.state == 'Z' ? " (ended)" : ""));
      continue;
    }
    out.processes.insert(process.name);
    add_descriptors(process, &out.descriptors);
    if (link_of(proc(process.pid, "ns/mnt")) != link_of("/proc/self/ns/mnt")) add_mounts(process.pid, &out);
  }
  out.namespaces.insert(spaces.begin(), spaces.end());
  add_network(&out);
  add_groups(of, &out.groups);
  add_locks(&out.locks);
  add_files(&out.files);
  return out;
}

std::string difference(const LeakCounters& before, const LeakCounters& after) {
  std::string out;
  for (const Kind& kind : kThings) {
    const Things &was = before.*kind.things, &is = after.*kind.things;
    std::vector<std::string> more, less;
    std::set_difference(is.begin(), is.end(), was.begin(), was.end(), std::back_inserter(more));
    std::set_difference(was.begin(), was.end(), is.begin(), is.end(), std::back_inserter(less));
    for (const std::string& thing : more) out += fmt::format("+ {} {}\n", kind.name, thing);
    for (const std::string& thing : less) out += fmt::format("- {} {}\n", kind.name, thing);
  }
  return out;
}

std::string difference_in_the_end(const LeakCounters& before, const LeaksOf& of) {
  std::string left;
  useconds_t pause = 500;
  for (int64_t waited = 0; waited < 30'000'000; waited += pause) {
    left = difference(before, count_leaks(of));
    if (left.empty()) return left;
    (void)::usleep(pause);
    pause = std::min<useconds_t>(pause * 2, 50'000);
  }
  return left;
}

pid_t spawner_of(pid_t launcher) {
  for (const pid_t child : children_of(launcher)) {
    if (is_spawner(look_at(child))) return child;
  }
  return 0;
}

}  // namespace runink::sandbox
