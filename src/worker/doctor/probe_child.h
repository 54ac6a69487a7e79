// A child that tries something and tells what came of it. Private to worker/doctor.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"

namespace runink::doctor {

// What each step of a probe came to: 0, or an errno. -1: it was not reached.
using Steps = std::array<int32_t, 8>;

struct ChildOptions {
  uint64_t namespaces = 0;  // CLONE_NEW…; with CLONE_NEWUSER the ids are mapped, and read back, before `body` runs
  // Called with the child's pid once its ids are mapped and before `body` runs.
  std::function<Status(pid_t)> before;
};

// Runs `body` in a child, for at most five seconds. An error where the child could not be made (its errno in words),
// its ids not be mapped, `before` failed, or it ended without an answer.
Result<Steps> in_child(const ChildOptions& options, const std::function<void(Steps*)>& body);

// The value of a file of /proc or /sys, without the line end; nothing where it cannot be read.
std::optional<std::string> kernel_setting(const std::string& path);

}  // namespace runink::doctor
