// The API shows and takes the users' keys only: those before kFirstUserKey are the system's own (control/cluster).
// Ranges end where those begin, as if there were none; naming one is refused.
#pragma once

#include "base/status.h"
#include "control/barn/command.h"
#include "control/barn/ids.h"

namespace runink::api {

Status check_user_key(std::string_view key);
// kPermissionDenied where it names a key of the system's.
Status keep_to_user_keys(barn::Command& command);
barn::KeyRange keep_to_user_keys(barn::KeyRange range);

}  // namespace runink::api
