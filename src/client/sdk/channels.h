// One gRPC channel for each member, made when it is first needed.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <map>
#include <memory>
#include <string>

#include "client/sdk/client.h"
#include "runink/barn/v1/key_value.grpc.pb.h"

namespace runink::sdk {

struct Channel {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::KeyValue::Stub> stub;
};

class Channels {
 public:
  explicit Channels(const ClientOptions& options);
  std::shared_ptr<Channel> get(const std::string& address);
  // The next one is a new connection: this one is silent.
  void drop(const std::string& address) { channels_.erase(address); }

 private:
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::map<std::string, std::shared_ptr<Channel>> channels_;
};

}  // namespace runink::sdk
