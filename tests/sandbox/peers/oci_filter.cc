#include "oci_filter.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <initializer_list>
#include <set>

#include "base/check.h"
#include "base/text.h"
#include "worker/sandbox/interpret_in_test.h"
#include "worker/sandbox/syscall_list.h"

namespace runink::sandbox::peers {
namespace {

constexpr uint64_t kLow = 0xffffffff;  // the kernel takes these arguments as 32 bits

constexpr const char* kArchitectureName =
    kOciArchitecture == AUDIT_ARCH_X86_64 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";

bool allows(uint32_t number, std::initializer_list<uint64_t> arguments) {
  seccomp_data data = {};
  data.nr = static_cast<int>(number);
  data.arch = kOciArchitecture;
  std::copy(arguments.begin(), arguments.end(), data.args);
  const auto ran = testing::interpret(default_filter(), data);
  RUNINK_CHECK(ran);
  return ran->answer == SECCOMP_RET_ALLOW;
}

// A profile has no "is none of these": so everything else, as the ranges that begin like one of them and go on
// differently. Every element is below 2^32.
std::vector<ArgumentTest> all_but(unsigned index, const std::set<uint64_t>& values) {
  std::vector<ArgumentTest> tests;
  std::set<uint64_t> beginnings = {0};  // the bits above `bit` of an element
  for (int bit = 31; bit >= 0; --bit) {
    std::set<uint64_t> next;
    for (const uint64_t value : values) next.insert(value >> bit);
    for (const uint64_t beginning : beginnings) {
      for (const uint64_t longer : {beginning << 1, beginning << 1 | 1}) {
        if (!next.contains(longer)) tests.push_back({index, kLow >> bit << bit, longer << bit});
      }
    }
    beginnings = std::move(next);
  }
  return tests;
}

class Rules {
 public:
  void allow(const std::string& name, std::vector<ArgumentTest> tests) {
    rules_.push_back({{name}, 0, std::move(tests)});
  }

  void add(const SyscallEntry& entry) {
    const std::string name = entry.name;
    switch (entry.rule) {
      case SyscallRule::kDeny:
        return;
      case SyscallRule::kAllow:
        allowed_.push_back(name);
        return;
      case SyscallRule::kMissing:
        missing_.push_back(name);
        return;
      case SyscallRule::kClone:
        return allow(name, {{0, namespace_flags(entry.number), 0}});
      case SyscallRule::kIoctl:
        return add_ioctl(entry);
      case SyscallRule::kMknod:
        return add_mknod(entry, 1);
      case SyscallRule::kMknodat:
        return add_mknod(entry, 2);
      case SyscallRule::kPersonality:
        return add_values(entry, {0x0, 0x8, kLow});
      case SyscallRule::kPrlimit:  // of itself, or only asked for
        allow(name, {{0, kLow, 0}});
        allow(name, {{2, ~uint64_t{0}, 0}});
        return;
      case SyscallRule::kPrctl:
        return add_values(entry, prctl_options());
      case SyscallRule::kSeccomp:
        for (const uint64_t operation : {0, 1, 2}) allow(name, {{0, kLow, operation}, {1, 8 /* NEW_LISTENER */, 0}});
        return;
      case SyscallRule::kSocket:
      case SyscallRule::kSocketpair:
        return add_socket(entry);
    }
  }

  std::vector<OciRule> take() {
    rules_.push_back({allowed_, 0, {}});
    rules_.push_back({missing_, ENOSYS, {}});
    return std::move(rules_);
  }

 private:
  static uint64_t namespace_flags(uint32_t number) {
    uint64_t flags = 0;
    for (int bit = 0; bit < 32; ++bit) {
      if (!allows(number, {uint64_t{1} << bit})) flags |= uint64_t{1} << bit;
    }
    return flags;
  }

  // Requests are 16 bits of meaning here: the denied ones are of the terminal, all below 0x10000.
  void add_ioctl(const SyscallEntry& entry) {
    std::set<uint64_t> denied;
    for (uint64_t request = 0; request < 0x10000; ++request) {
      if (!allows(entry.number, {0, request})) denied.insert(request);
    }
    for (const ArgumentTest& test : all_but(1, denied)) allow(entry.name, {test});
  }

  void add_mknod(const SyscallEntry& entry, unsigned index) {
    for (uint64_t type = 0; type <= S_IFMT; type += 0x1000) {
      if (index == 1 ? allows(entry.number, {0, type}) : allows(entry.number, {0, 0, type}))
        allow(entry.name, {{index, S_IFMT, type}});
    }
  }

  static std::set<uint64_t> prctl_options() {
    std::set<uint64_t> options = {0x41555856 /* GET_AUXV */, 0x53564d41 /* SET_VMA */, PR_SET_PTRACER};
    for (uint64_t option = 0; option < 256; ++option) options.insert(option);
    return options;
  }

  void add_values(const SyscallEntry& entry, const std::set<uint64_t>& values) {
    for (const uint64_t value : values) {
      if (allows(entry.number, {value})) allow(entry.name, {{0, kLow, value}});
    }
  }

  void add_socket(const SyscallEntry& entry) {
    for (uint64_t family = 0; family < 64; ++family) {
      for (uint64_t type = 0; type < 16; ++type) {
        if (entry.rule == SyscallRule::kSocketpair) {
          if (allows(entry.number, {family, type})) allow(entry.name, {{0, kLow, family}, {1, 0xf, type}});
          continue;
        }
        for (uint64_t protocol = 0; protocol < 256; ++protocol) {
          if (allows(entry.number, {family, type, protocol}))
            allow(entry.name, {{0, kLow, family}, {1, 0xf, type}, {2, kLow, protocol}});
        }
      }
    }
  }

  std::vector<OciRule> rules_;
  std::vector<std::string> allowed_, missing_;
};

}  // namespace

std::vector<OciRule> oci_rules() {
  Rules rules;
  for (const SyscallEntry& entry : syscall_list()) rules.add(entry);
  return rules.take();
}

std::string oci_seccomp_json() {
  std::vector<std::string> entries;
  for (const OciRule& rule : oci_rules()) {
    std::vector<std::string> tests;
    for (const ArgumentTest& test : rule.tests) {
      tests.push_back(fmt::format(R"({{"index":{},"value":{},"valueTwo":{},"op":"SCMP_CMP_MASKED_EQ"}})", test.index,
                                  test.mask, test.value));
    }
    const std::string action =
        rule.error == 0 ? R"("SCMP_ACT_ALLOW")" : fmt::format(R"("SCMP_ACT_ERRNO","errnoRet":{})", rule.error);
    entries.push_back(fmt::format(R"({{"names":["{}"],"action":{},"args":[{}]}})", join(rule.names, "\",\""), action,
                                  join(tests, ",")));
  }
  return fmt::format(
      R"({{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":{},"architectures":["{}"],"syscalls":[{}]}})", EPERM,
      kArchitectureName, join(entries, ",\n"));
}

}  // namespace runink::sandbox::peers
