// Errors of members as Statuses, and what they mean for the operation that was answered so.
#pragma once

#include "base/status.h"
#include "runink/barn/v1/key_value.pb.h"

namespace grpc {
class Status;
}

namespace runink::sdk {

namespace v1 = runink::barn::v1;

Status from_wire(const v1::Failure& failure);

// A call's end. `by_member`: a member wrote it; otherwise it came from the way there, and says nothing of what was
// done.
Status from_grpc(const grpc::Status& status, bool* by_member);

enum class Verdict {
  kFinal,        // the answer
  kNotLeader,    // not carried out, ask somebody else
  kBusy,         // not carried out, ask again a little later
  kLost,         // not carried out, ask again
  kOpen,         // whether it was carried out is not known
  kSessionGone,  // this try was not carried out; of earlier ones nothing is known any more
};
Verdict judge(const Status& status);

// A refusal that the member gives before its log has been asked, and may have given differently before: it says nothing
// of earlier tries.
bool refused_before_log(const Status& status);

bool is_refusal_of_identity(const Status& status);

// details() of barn.not_leader: the leader's id, then its address. Empty where it is not known.
std::string leader_address(const Status& status);

}  // namespace runink::sdk
