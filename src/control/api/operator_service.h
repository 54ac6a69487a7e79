// What an operator asks of the cluster, over gRPC (cluster.proto): each call is handed to the event loop, and to
// whoever carries it out there. Only the user kOperator is served; of Directory members too.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "control/barn/dump.h"
#include "platform/net/event_loop.h"
#include "runink/barn/v1/cluster.pb.h"

namespace grpc {
class Service;
}

namespace runink::api {

inline constexpr std::string_view kOperator = "operator";

// Called on the loop's thread. Each calls its `done` once, or never: a call that waits too long is answered UNKNOWN.
struct OperatorHandlers {
  template <typename T>
  using Done = std::function<void(Result<T>)>;

  std::function<void(Done<barn::v1::StatusResponse>)> status;
  std::function<void(Done<barn::v1::DirectoryResponse>)> directory;
  std::function<void(Done<barn::v1::MembersResponse>)> members;
  std::function<void(const barn::v1::AddMemberRequest&, Done<barn::v1::AddMemberResponse>)> add_member;
  std::function<void(uint64_t node, Done<barn::v1::ChangeResponse>)> remove_member, promote_member;
  std::function<void(uint64_t node, Done<barn::v1::TransferResponse>)> transfer;
  std::function<void(Done<barn::v1::SnapshotResponse>)> snapshot;
  // What writes the dump of a state that is confirmed to be as of now; it is called on another thread.
  std::function<void(Done<std::function<Result<barn::DumpInfo>(const barn::ByteSink&)>>)> backup;
};

class OperatorService {
 public:
  static std::unique_ptr<OperatorService> create(net::EventLoop& loop, std::string trust_domain,
                                                 OperatorHandlers handlers,
                                                 std::function<std::string(uint64_t node)> api_address);
  virtual ~OperatorService() = default;
  virtual grpc::Service* service() = 0;
  virtual void end() = 0;  // answers what is open; the loop's thread
};

}  // namespace runink::api
