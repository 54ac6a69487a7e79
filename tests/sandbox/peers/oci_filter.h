// The filter for system calls of a slice in other people's words, so that peers run under the same one: the profile of
// an OCI runtime (runc, crun), made from the list and, where arguments count, from the filter's program itself.
#pragma once

#include <linux/audit.h>

#include <cstdint>
#include <string>
#include <vector>

namespace runink::sandbox::peers {

#ifdef __x86_64__
inline constexpr uint32_t kOciArchitecture = AUDIT_ARCH_X86_64;
#else
inline constexpr uint32_t kOciArchitecture = AUDIT_ARCH_AARCH64;
#endif

struct ArgumentTest {  // (argument & mask) == value
  unsigned index = 0;
  uint64_t mask = 0, value = 0;
};

// Calls by name, and what they are answered with where all tests hold; rules of one call are alternatives. What no rule
// matches is answered with EPERM; other architectures' calls kill.
struct OciRule {
  std::vector<std::string> names;
  int error = 0;  // 0: allowed
  std::vector<ArgumentTest> tests;
};

std::vector<OciRule> oci_rules();

// Value of "linux.seccomp" in a config.json.
std::string oci_seccomp_json();

}  // namespace runink::sandbox::peers
