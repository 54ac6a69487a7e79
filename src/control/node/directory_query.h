// Asks other members, over gRPC and as a member, who is in the cluster.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "platform/net/event_loop.h"
#include "platform/rpc/client_credentials.h"
#include "runink/barn/v1/cluster.pb.h"

namespace runink::node {

class DirectoryQuery {
 public:
  // Threads: the loop's.
  DirectoryQuery(net::EventLoop& loop, const rpc::ClientIdentity& identity);
  ~DirectoryQuery();

  // `heard` for each that answers in time, in later turns; not after this is gone.
  void ask(const std::set<std::string>& addresses, std::function<void(const barn::v1::DirectoryResponse&)> heard);

 private:
  struct State;
  net::EventLoop& loop_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::shared_ptr<State> state_;
};

}  // namespace runink::node
