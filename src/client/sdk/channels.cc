#include "client/sdk/channels.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "platform/rpc/client_credentials.h"

namespace runink::sdk {

Channels::Channels(const ClientOptions& options)
    : credentials_(rpc::member_credentials(
          {options.trust_domain, options.certificate_pem, options.key_pem, options.authorities_pem})) {}

std::shared_ptr<Channel> Channels::get(const std::string& address) {
  std::shared_ptr<Channel>& channel = channels_[address];
  if (!channel) {
    grpc::ChannelArguments arguments;
    // gRPC's own pauses are made for the internet, and it shares connections between channels: who was left for its
    // silence would be met again.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetMaxReceiveMessageSize(16 << 20);
    channel = std::make_shared<Channel>();
    channel->channel = grpc::CreateCustomChannel(address, credentials_, arguments);
    channel->stub = v1::KeyValue::NewStub(channel->channel);
  }
  return channel;
}

}  // namespace runink::sdk
