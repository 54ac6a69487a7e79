#include "worker/sandbox/landlock.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace runink::sandbox {
namespace {

// The kernel's interface as of ABI 6, which is newer than the headers this is built with.
constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3,
                   kRemoveFolder = 1 << 4, kRemoveFile = 1 << 5, kMakeFolder = 1 << 7, kMakeFile = 1 << 8,
                   kMakeSocket = 1 << 9, kMakeFifo = 1 << 10, kMakeLink = 1 << 12, kRefer = 1 << 13,
                   kTruncate = 1 << 14, kIoctlDevice = 1 << 15;
constexpr uint64_t kTcpBind = 1 << 0, kTcpConnect = 1 << 1;
constexpr uint64_t kScopeAbstractSockets = 1 << 0, kScopeSignals = 1 << 1;
constexpr int kRulePath = 1, kRulePort = 2, kAskVersion = 1;
constexpr int kNewestAbi = 6;

struct RulesetAttributes {
  uint64_t files, network, scoped;
};
struct [[gnu::packed]] PathRule {
  uint64_t access;
  int32_t path;
};
struct PortRule {
  uint64_t access, port;
};

uint64_t bits_known(int abi) {
  uint64_t bits = (1 << 13) - 1;  // ABI 1: from executing to making symbolic links
  if (abi >= 2) bits |= kRefer;
  if (abi >= 3) bits |= kTruncate;
  if (abi >= 5) bits |= kIoctlDevice;
  return bits;
}

int add_rule(int ruleset, int kind, const void* rule) {
  return ::syscall(SYS_landlock_add_rule, ruleset, kind, rule, 0) == 0 ? 0 : errno;
}

}  // namespace

int landlock_abi() noexcept {
  long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskVersion);
  return abi < 0 ? 0 : abi > kNewestAbi ? kNewestAbi : static_cast<int>(abi);
}

std::string describe_landlock(int abi) {
  if (abi == 0) return "not in this kernel, or not switched on (lsm=landlock,... on its command line)";
  std::string held = "files", missing;
  auto add = [&](int since, const char* what) {
    (abi >= since ? held : missing) += std::string(abi < since && missing.empty() ? "" : ", ") + what;
  };
  add(3, "truncation");
  add(4, "TCP ports");
  add(5, "ioctl of devices");
  add(6, "abstract sockets and signals");
  return missing.empty() ? fmt::format("ABI {}: {}", abi, held)
                         : fmt::format("ABI {}: {}; not {}, which take a newer kernel", abi, held, missing);
}

uint64_t access_bits(const PathGrant& grant, bool folder, int abi) noexcept {
  uint64_t bits = 0;
  if (grant.read) bits |= kReadFile | kReadFolder;
  if (grant.execute) bits |= kExecute;
  if (grant.write) {
    bits |= kWriteFile | kTruncate | kRemoveFolder | kRemoveFile | kMakeFolder | kMakeFile | kMakeSocket | kMakeFifo |
            kMakeLink | kRefer;
  }
  if (grant.device) bits |= kIoctlDevice;
  if (!folder) bits &= kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDevice;
  return bits & bits_known(abi);
}

int make_ruleset(int abi, bool handle_tcp) noexcept {
  if (abi <= 0) return -ENOSYS;
  RulesetAttributes attributes = {bits_known(abi), 0, 0};
  if (abi >= 4 && handle_tcp) attributes.network = kTcpBind | kTcpConnect;
  if (abi >= 6) attributes.scoped = kScopeAbstractSockets | kScopeSignals;
  // An older kernel refuses a structure longer than its own.
  size_t size = abi >= 6 ? sizeof attributes : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
  long ruleset = ::syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
  return ruleset < 0 ? -errno : static_cast<int>(ruleset);
}

int allow_path(int ruleset, int path, uint64_t access) noexcept {
  PathRule rule = {access, path};
  return add_rule(ruleset, kRulePath, &rule);
}

int allow_tcp(int ruleset, uint16_t port, bool bind, bool connect) noexcept {
  PortRule rule = {(bind ? kTcpBind : 0) | (connect ? kTcpConnect : 0), port};
  return add_rule(ruleset, kRulePort, &rule);
}

int restrict_self(int ruleset) noexcept { return ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : errno; }

}  // namespace runink::sandbox
