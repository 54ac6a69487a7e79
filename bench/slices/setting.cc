#include "setting.h"

#include <errno.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/text.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/operations.h"

namespace runink::bench {
namespace {

namespace fs = std::filesystem;

// Folders that Debian has and hardly anybody uses; the payload hides what is in it, here and in slices only.
constexpr const char* kPlaces[] = {"/usr/local/games", "/usr/games", "/usr/local/sbin"};

bool installed(const std::string& program) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"}) {
    if (::access((folder + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Result<std::string> show_payload(const std::string& folder) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return from_errno(errno, "make a mount namespace for the bench").with_hint("run it as root");
  }
  for (const char* place : kPlaces) {
    if (::mount(folder.c_str(), place, nullptr, MS_BIND, nullptr) == 0) return place + std::string("/payload");
  }
  return from_errno(errno, "show the payload below /usr");
}

}  // namespace

Result<Setting> Setting::make(const Options& options) {
  Setting setting;
  setting.options_ = options;
  setting.root_ = ::geteuid() == 0;
  if (!setting.root_) return permission_denied("the bench of slices needs root: it compares slices with limits");
  setting.folder_ = RUNINK_TRY(os::TempFolder::create(""));
  ::chmod(setting.folder_.path().c_str(), 0755);
  const std::string shown = setting.folder_.file("payload");
  std::error_code failed;
  fs::create_directory(shown, failed);
  if (!failed) fs::copy_file(options.payload, shown + "/payload", failed);
  if (failed) return internal_error("copy {} into {}: {}", options.payload, shown, failed.message());
  setting.payload_ = RUNINK_TRY(show_payload(shown));
  struct utsname system = {};
  ::uname(&system);
  setting.kernel_ = system.release;
  const auto backend = sandbox::open_cgroups("/runink");
  if (backend.ok()) setting.cgroups_ = (*backend)->version() == sandbox::CgroupVersion::kV1 ? "v1" : "v2";
  if (!options.json) {
    fmt::print("kernel {}, control groups {}, {} processors; medians in microseconds\n", setting.kernel_,
               setting.cgroups_.empty() ? "none" : setting.cgroups_, ::sysconf(_SC_NPROCESSORS_ONLN));
  }
  return setting;
}

model::SliceSpec Setting::spec(const std::string& herd, bool limited, bool mounted) const {
  model::SliceSpec spec;
  if (mounted) spec.mounts = {{folder_.file("payload"), "/data"}};
  spec.herd = herd;
  spec.argv = {payload_};
  model::add_default_environment(&spec);
  if (limited) {
    spec.resources.cpus = 1;
    spec.resources.memory_bytes = 256u << 20;
    spec.resources.processes = 64;
  }
  return spec;
}

sandbox::peers::PeerCommand Setting::exec() const { return {{options_.runi, "exec", "--quiet", "--", payload_}, {}}; }

Result<sandbox::peers::PeerCommand> Setting::bubblewrap() const {
  if (!installed("bwrap")) return not_found("there is no program bwrap (packaging/apt-packages.txt)");
  const model::SliceSpec wanted = spec("bench");
  const auto operations = RUNINK_TRY(sandbox::plan_operations(wanted, sandbox::gather_host_facts(wanted)));
  const std::string folder = folder_.file("bubblewrap");
  fs::create_directory(folder);
  return sandbox::peers::bubblewrap_command(wanted, operations, folder);
}

Result<std::string> Setting::bundle() const {
  if (!installed("runc")) return not_found("there is no program runc (packaging/apt-packages.txt)");
  const model::SliceSpec wanted = spec("bench");
  const auto operations = RUNINK_TRY(sandbox::plan_operations(wanted, sandbox::gather_host_facts(wanted)));
  const std::string folder = folder_.file("bundle");
  fs::create_directory(folder);
  const sandbox::peers::BundleOptions options = {sandbox::peers::ids_of_this_process(),
                                                 fmt::format("/runink-bench-{}", ::getpid())};
  RUNINK_RETURN_IF_ERROR(sandbox::peers::write_bundle(wanted, operations, options, folder));
  return folder;
}

void Setting::print(const Row& row) const {
  if (options_.json) {
    std::string line = fmt::format(R"({{"bench":"{}")", row.bench);
    if (!row.peer.empty()) line += fmt::format(R"(,"peer":"{}","ratio":{:.3f})", row.peer, row.ratio);
    if (row.peer.empty()) line += fmt::format(R"(,"value":{:.3f},"unit":"{}")", row.value, row.unit);
    if (row.goal > 0) line += fmt::format(R"(,"goal":{:.3f})", row.goal);
    for (const auto& [name, word] : row.words) line += fmt::format(R"(,"{}":"{}")", name, word);
    for (const auto& [name, number] : row.numbers) line += fmt::format(R"(,"{}":{:.3f})", name, number);
    fmt::print("{},\"kernel\":\"{}\",\"cgroups\":\"{}\"}}\n", line, kernel_, cgroups_);
  } else {
    std::string line = fmt::format("{:22}", row.bench);
    line += row.peer.empty() ? fmt::format(" {:10.1f} {}", row.value, row.unit)
                             : fmt::format(" {:7.2f} x {}", row.ratio, row.peer);
    if (row.goal > 0) line += fmt::format(" (goal {:.2f})", row.goal);
    for (const auto& [name, word] : row.words) line += fmt::format("  {}", word);
    for (const auto& [name, number] : row.numbers)
      line += fmt::format("  {} {:.{}f}", name, number, number < 10 ? 2 : 0);
    fmt::print("{}\n", line);
  }
  std::fflush(stdout);
}

}  // namespace runink::bench
