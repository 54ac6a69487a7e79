#include "client/sdk/failure.h"

#include <grpcpp/support/status.h>

namespace runink::sdk {

Status from_wire(const v1::Failure& failure) {
  // A failure without an error's code is no answer that can be trusted.
  const bool known = failure.code() > 0 && failure.code() <= static_cast<int>(Code::kUnauthenticated);
  Status status(known ? static_cast<Code>(failure.code()) : Code::kUnknown, failure.message());
  if (!failure.kind().empty()) status = std::move(status).with_kind(failure.kind());
  if (!failure.hint().empty()) status = std::move(status).with_hint(failure.hint());
  for (const std::string& detail : failure.details()) status = std::move(status).with_detail(detail);
  return status;
}

Status from_grpc(const grpc::Status& status, bool* by_member) {
  v1::Failure failure;
  *by_member = !status.error_details().empty() && failure.ParseFromString(status.error_details());
  if (*by_member) return from_wire(failure);
  if (status.ok()) return unavailable("the member ended the call");
  return Status(static_cast<Code>(status.error_code()), status.error_message());
}

Verdict judge(const Status& status) {
  const std::string& kind = status.kind();
  if (kind == "barn.not_leader") return Verdict::kNotLeader;
  if (kind == "barn.busy" || kind == "barn.no_space" || kind == "barn.in_doubt" || kind == "barn.chunk.no_majority" ||
      kind == "barn.chunk.unreachable")
    return Verdict::kBusy;
  if (kind == "barn.lost") return Verdict::kLost;
  if (kind == "barn.session_unknown" || kind == "barn.session_forgotten") return Verdict::kSessionGone;
  switch (status.code()) {
    case Code::kUnknown:
    case Code::kUnavailable:
    case Code::kCancelled:
    case Code::kDeadlineExceeded:
      return Verdict::kOpen;
    default:
      return Verdict::kFinal;
  }
}

bool refused_before_log(const Status& status) {
  return status.kind() == "barn.request_too_large" || status.kind() == "barn.chunk.unknown";
}

bool is_refusal_of_identity(const Status& status) {
  return status.code() == Code::kUnauthenticated || status.code() == Code::kPermissionDenied;
}

std::string leader_address(const Status& status) {
  if (status.kind() != "barn.not_leader" || status.details().size() < 2) return {};
  return status.details()[1];
}

}  // namespace runink::sdk
