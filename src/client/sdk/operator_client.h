// The operator's calls (proto/runink/barn/v1/cluster.proto), waiting for each answer: what `runi barn` is made of.
//
// Calls that only the leader answers are tried at the endpoints in turn, follow whoever names the leader, and go on
// until the deadline while there is none. A change whose answer was lost is kUnknown, kind "barn.unknown": look at the
// members. Where nobody said anything at all, the code is kDeadlineExceeded, of kind "barn.unknown" for changes and
// "barn.unreachable" for the rest. One thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/sdk/client.h"
#include "runink/barn/v1/cluster.pb.h"

namespace runink::sdk {

class OperatorClient {
 public:
  // Of `options` only endpoints, identity and timeout_nanos (of each call as a whole) count.
  static Result<std::unique_ptr<OperatorClient>> create(ClientOptions options);
  virtual ~OperatorClient() = default;

  virtual Result<v1::StatusResponse> status(const std::string& endpoint) = 0;
  virtual Result<v1::MembersResponse> members() = 0;
  virtual Result<v1::AddMemberResponse> add_member(const v1::AddMemberRequest& request) = 0;
  virtual Result<v1::ChangeResponse> remove_member(uint64_t node) = 0;
  virtual Result<v1::ChangeResponse> promote_member(uint64_t node) = 0;
  virtual Result<v1::TransferResponse> transfer(uint64_t node) = 0;
  virtual Result<v1::SnapshotResponse> snapshot(const std::string& endpoint) = 0;
  // Of the leader. Gives its bytes in order; whether they are whole says verify_dump. It may last: timeout_nanos bounds
  // the search for the leader, and how long no byte comes (kDeadlineExceeded, kind "barn.silent").
  virtual Status backup(const std::function<Status(std::string_view)>& sink) = 0;
};

}  // namespace runink::sdk
