// What the parts of one client share. All of it belongs to the client's thread, which turns the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/sdk/client.h"
#include "platform/net/event_loop.h"

namespace runink::sdk {

class Channels;

struct Context {
  net::EventLoop* loop = nullptr;
  const ClientOptions* options = nullptr;
  Channels* channels = nullptr;
  std::function<uint64_t()> random;
  std::vector<std::string> members;  // where they serve, as one of them said last; empty: none has yet
  // An operation of a caller is over: its room is free.
  std::function<void(size_t bytes)> release;
  // Calls to gRPC whose last callback has not come. The loop must turn until there are none.
  size_t open_calls = 0;
  BarnClient::Counters counters;
};

}  // namespace runink::sdk
