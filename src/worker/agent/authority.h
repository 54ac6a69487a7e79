// Whom an agent serves, and what it does for whom. Root and the agent's own user may do everything. Users whom the
// operator allows may start slices, and see and end their own; whatever such a slice does on this host it does as them.
// Everybody else is refused.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"

namespace runink::agent {

// Who is at the other end of a connection, as the kernel says.
struct Caller {
  pid_t pid = 0;
  uint32_t user = 0, group = 0;
  std::vector<uint32_t> groups;  // supplementary ones
};
Result<Caller> caller_of(int socket);

enum class Role : uint8_t { kNone, kUser, kOperator };

class Authority {
 public:
  // `own_user`: whom the agent runs as.
  explicit Authority(uint32_t own_user) : own_user_(own_user) {}

  // By name or number. kNotFound: this host knows no such user or group; kInvalidArgument: only root's agent can act as
  // others.
  Status allow_user(const std::string& name);
  Status allow_group(const std::string& name);

  Role role_of(const Caller& caller) const;
  // Who is refused, and what to do about it.
  Status refusal(const Caller& caller) const;

  // Makes the specification one that the caller may ask for, or says what he may not: he gets a herd of his own, and
  // acts on mounts as himself. Does nothing for an operator.
  Status confine(const Caller& caller, model::SliceSpec* spec) const;

 private:
  uint32_t own_user_;
  std::vector<uint32_t> users_, groups_;
};

}  // namespace runink::agent
