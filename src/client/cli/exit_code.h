// Exit codes of `runi`, in one place.
#pragma once

#include "base/status.h"

namespace runink::cli {

inline constexpr int kExitDone = 0;  // rejected records alone are a warning
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDataWrong = 3;  // assertion, error-severity quality rule, golden case, contract check --data
inline constexpr int kExitUnreachable = 4;
inline constexpr int kExitNotAllowed = 5;
inline constexpr int kExitNotFound = 6;
inline constexpr int kExitConflict = 7;
inline constexpr int kExitTimedOut = 124;
inline constexpr int kExitInterrupted = 130;

// Kinds of Status that have an exit code of their own, whatever their Code.
inline constexpr const char* kKindUsage = "usage";                  // 2
inline constexpr const char* kKindDataWrong = "data.wrong";         // 3
inline constexpr const char* kKindInterrupted = "run.interrupted";  // 130

// OK is 0. First the kinds above (and any kind that begins with one of them and a dot, as "data.wrong.assertion"),
// then the code: unavailable 4, permission denied and unauthenticated 5, not found 6, already exists and aborted 7,
// deadline exceeded 124, cancelled 130; everything else 1.
int exit_code(const Status& status);

}  // namespace runink::cli
