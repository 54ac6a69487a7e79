#include "worker/sandbox/acting_as.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

namespace runink::sandbox {
namespace {

// These two calls tell no error, but the id there was before; asked for an id that nobody has, they only do that.
uint32_t file_user() { return static_cast<uint32_t>(::setfsuid(static_cast<uid_t>(-1))); }
uint32_t file_group() { return static_cast<uint32_t>(::setfsgid(static_cast<gid_t>(-1))); }

// Of this thread: the C library's function would change every thread.
bool set_groups(const std::vector<uint32_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}

Result<std::vector<uint32_t>> own_groups() {
  const int count = ::getgroups(0, nullptr);
  if (count < 0) return from_errno(errno, "look up the groups of this process");
  std::vector<gid_t> groups(static_cast<size_t>(count));
  if (count > 0 && ::getgroups(count, groups.data()) != count) {
    return from_errno(errno, "look up the groups of this process");
  }
  return std::vector<uint32_t>(groups.begin(), groups.end());
}

}  // namespace

Status ActingAs::begin(uint32_t user, uint32_t group) {
  RUNINK_CHECK(!acting_);
  groups_ = RUNINK_TRY(own_groups());
  user_ = file_user();
  group_ = file_group();
  if (!set_groups({})) return from_errno(errno, fmt::format("drop the groups of root, to act as {}:{}", user, group));
  acting_ = true;
  // The group first: without root's rights it could not be set.
  ::setfsgid(group);
  ::setfsuid(user);
  if (file_user() == user && file_group() == group) return {};
  end();
  return permission_denied("act as user {} and group {}: the kernel does not let this process", user, group)
      .with_hint("it takes root, and ids that this process's user namespace has");
}

void ActingAs::end() {
  if (!acting_) return;
  acting_ = false;
  ::setfsuid(user_);
  ::setfsgid(group_);
  // Going on as somebody else would be worse than not going on.
  RUNINK_CHECK(file_user() == user_ && file_group() == group_ && set_groups(groups_));
}

}  // namespace runink::sandbox
