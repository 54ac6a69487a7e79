#include "worker/agent/authority.h"

#include <errno.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "worker/wire/framing.h"

namespace runink::agent {
namespace {

constexpr const char* kDefaultHerd = "local";

std::optional<uint32_t> number_in(const std::string& text) {
  uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

bool contains(const std::vector<uint32_t>& numbers, uint32_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

}  // namespace

Result<Caller> caller_of(int socket) {
  const wire::Peer peer = RUNINK_TRY(wire::peer_of(socket));
  Caller caller{.pid = peer.pid, .user = peer.user, .group = peer.group};
  caller.groups.resize(64);
  for (;;) {
    socklen_t bytes = static_cast<socklen_t>(caller.groups.size() * sizeof(gid_t));
    const int got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, caller.groups.data(), &bytes);
    caller.groups.resize(bytes / sizeof(gid_t));  // what there is, or what is needed
    if (got == 0) return caller;
    if (errno != ERANGE) return from_errno(errno, "ask for the groups of whoever is at the other end of a socket");
  }
}

Status Authority::allow_user(const std::string& name) {
  if (own_user_ != 0) {
    return invalid_argument("allow {} to use this agent: only one that root runs can act as others",
                            escape_control(name))
        .with_hint("start it as root, or let each user run an agent of his own");
  }
  const struct passwd* entry = ::getpwnam(name.c_str());
  const std::optional<uint32_t> id = entry != nullptr ? entry->pw_uid : number_in(name);
  if (!id) return not_found("allow {}: this host knows no such user", escape_control(name));
  users_.push_back(*id);
  return {};
}

Status Authority::allow_group(const std::string& name) {
  if (own_user_ != 0) {
    return invalid_argument("allow group {} to use this agent: only one that root runs can act as others",
                            escape_control(name))
        .with_hint("start it as root, or let each user run an agent of his own");
  }
  const struct group* entry = ::getgrnam(name.c_str());
  const std::optional<uint32_t> id = entry != nullptr ? entry->gr_gid : number_in(name);
  if (!id) return not_found("allow group {}: this host knows no such group", escape_control(name));
  groups_.push_back(*id);
  return {};
}

Role Authority::role_of(const Caller& caller) const {
  if (caller.user == 0 || caller.user == own_user_) return Role::kOperator;
  if (contains(users_, caller.user) || contains(groups_, caller.group)) return Role::kUser;
  const bool in_group =
      std::any_of(caller.groups.begin(), caller.groups.end(), [&](uint32_t group) { return contains(groups_, group); });
  return in_group ? Role::kUser : Role::kNone;
}

Status Authority::refusal(const Caller& caller) const {
  return permission_denied("user {} may not use this agent", caller.user)
      .with_kind("agent.not-served")
      .with_hint(own_user_ == 0
                     ? fmt::format("its operator can allow it: runi agent --local --allow-user {}", caller.user)
                     : "it is another user's own");
}

Status Authority::confine(const Caller& caller, model::SliceSpec* spec) const {
  if (role_of(caller) == Role::kOperator) return {};
  const char* asked = !spec->devices.empty()          ? "devices"
                      : spec->gpus.any()              ? "GPUs"
                      : !spec->scratch_folder.empty() ? "scratch on disk"
                                                      : nullptr;
  if (asked != nullptr) {
    return permission_denied("start a slice with {}: user {} may not, only operators of this agent", asked, caller.user)
        .with_hint("leave it out, or ask whoever runs the agent");
  }
  const model::SliceIdentity self{caller.user, caller.group};
  if (spec->act_as && *spec->act_as != self) {
    return permission_denied("start a slice that acts as {}:{}: user {} acts as himself only", spec->act_as->user,
                             spec->act_as->group, caller.user);
  }
  if (self.group == 0) {
    return permission_denied("start a slice: user {} is in group 0, as which no slice acts", caller.user)
        .with_hint("ask from another group: sg GROUP runi …");
  }
  spec->act_as = self;
  // What slices leave in their namespaces only those of the same herd could meet.
  const std::string own = fmt::format("user-{}", caller.user);
  spec->herd = spec->herd == kDefaultHerd ? own : own + "-" + spec->herd;
  return {};
}

}  // namespace runink::agent
