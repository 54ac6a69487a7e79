#include <sys/mman.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/text.h"
#include "platform/os/fd.h"
#include "worker/doctor/doctor.h"
#include "worker/doctor/probe_child.h"

namespace runink::doctor {
namespace {

struct Version {
  int major = 0, minor = 0;
};

Version kernel_version(std::string_view release) {
  Version out;
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, out.major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.') {
    (void)std::from_chars(major.ptr + 1, end, out.minor);
  }
  return out;
}

Finding kernel() {
  utsname names = {};
  (void)::uname(&names);
  const Version version = kernel_version(names.release);
  // mount_setattr(2), without which nothing can be shown to a slice read-only or under other ids.
  const bool new_enough = version.major > 5 || (version.major == 5 && version.minor >= 12);
  return {"kernel", new_enough ? Verdict::kGood : Verdict::kBad,
          fmt::format("Linux {}, {}", names.release, names.machine),
          new_enough ? "" : "slices need Linux 5.12 or newer"};
}

// The launcher runs from memory that nobody can change any more.
Finding sealed_program() {
  constexpr const char* kCheck = "sealed program";
  constexpr unsigned kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const os::Fd memory(::memfd_create("runink-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd");
  if (!memory.valid()) return {kCheck, Verdict::kBad, from_errno(errno, "make a file in memory").to_string(), ""};
  if (::fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0 ||
      (::fcntl(memory.get(), F_GET_SEALS) & static_cast<int>(kSeals)) != static_cast<int>(kSeals)) {
    return {kCheck, Verdict::kBad, "a file in memory cannot be sealed", ""};
  }
  const char byte = 'x';
  if (::write(memory.get(), &byte, 1) >= 0)
    return {kCheck, Verdict::kBad, "a sealed file in memory was written to", ""};
  const std::string no_exec = kernel_setting("/proc/sys/vm/memfd_noexec").value_or("0");
  if (no_exec == "2") {
    return {kCheck, Verdict::kBad, "vm.memfd_noexec = 2: nothing may be executed from memory",
            "sysctl -w vm.memfd_noexec=0 (1 is enough for programs that say that they execute nothing)"};
  }
  return {kCheck, Verdict::kGood, "a program in memory can be sealed; writing to it is refused", ""};
}

// A dump that is piped to a program of the host is handled outside of the slice. The kernel leaves that out for a
// process whose limit is exactly 1.
Finding cores() {
  constexpr const char* kCheck = "core dumps";
  const std::string pattern = kernel_setting("/proc/sys/kernel/core_pattern").value_or("?");
  if (!pattern.starts_with('|')) {
    return {kCheck, Verdict::kGood, fmt::format("core_pattern \"{}\" leads to no program", escape_control(pattern)),
            ""};
  }
  const auto steps = in_child({}, [](Steps* out) {
    const rlimit limit = {1, 1};
    (*out)[0] = ::setrlimit(RLIMIT_CORE, &limit) == 0 ? 0 : errno;
  });
  const std::string handler = escape_control(pattern.substr(0, 60));
  if (steps.ok() && (*steps)[0] == 0) {
    return {kCheck, Verdict::kGood,
            fmt::format("core_pattern \"{}\" is a pipe; the limit that keeps slices from it can be set", handler), ""};
  }
  return {kCheck, Verdict::kBad, fmt::format("core_pattern \"{}\" is a pipe that slices would reach", handler),
          "raise the hard limit of core dumps to 1 (ulimit -Hc 1), or sysctl -w kernel.core_pattern=core"};
}

Finding clock() {
  constexpr const char* kCheck = "clock";
  timex state = {};
  const int result = ::adjtimex(&state);
  if (result < 0) return {kCheck, Verdict::kNote, from_errno(errno, "ask for the clock's state").to_string(), ""};
  if (result == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    return {kCheck, Verdict::kNote, "not synchronised",
            "log lines of several nodes cannot be ordered by their times: install chrony or systemd-timesyncd"};
  }
  return {kCheck, Verdict::kGood,
          fmt::format("synchronised, at most {} off", human_duration(static_cast<double>(state.maxerror) / 1e6)), ""};
}

}  // namespace

void probe_kernel(Findings* findings) {
  findings->push_back(kernel());
  findings->push_back(sealed_program());
  findings->push_back(cores());
  findings->push_back(clock());
}

}  // namespace runink::doctor
