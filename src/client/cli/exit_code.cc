#include "client/cli/exit_code.h"

#include <string_view>

namespace runink::cli {
namespace {

// "data.wrong" and "data.wrong.assertion", but not "data.wrongly".
bool is_kind(std::string_view kind, std::string_view family) {
  return kind.substr(0, family.size()) == family && (kind.size() == family.size() || kind[family.size()] == '.');
}

}  // namespace

int exit_code(const Status& status) {
  if (status.ok()) return kExitDone;
  if (is_kind(status.kind(), kKindUsage)) return kExitUsage;
  if (is_kind(status.kind(), kKindDataWrong)) return kExitDataWrong;
  if (is_kind(status.kind(), kKindInterrupted)) return kExitInterrupted;
  switch (status.code()) {
    case Code::kUnavailable:
      return kExitUnreachable;
    case Code::kPermissionDenied:
    case Code::kUnauthenticated:
      return kExitNotAllowed;
    case Code::kNotFound:
      return kExitNotFound;
    case Code::kAlreadyExists:
      return kExitConflict;
    // A program, pipe or step that ended early aborted the run; only two that want the same thing are in conflict.
    case Code::kAborted:
      for (const char* family : {"source", "sink", "step"}) {
        if (is_kind(status.kind(), family)) return kExitFailed;
      }
      return kExitConflict;
    case Code::kDeadlineExceeded:
      return kExitTimedOut;
    case Code::kCancelled:
      return kExitInterrupted;
    default:
      return kExitFailed;
  }
}

}  // namespace runink::cli
