// A member that is asked, by the packed stream or by unary calls. Answers come by operation number. On the loop. Not to
// be destroyed from one of its events.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "client/sdk/pack_stream.h"
#include "client/sdk/unary_call.h"

namespace runink::sdk {

class Connection {
 public:
  struct Events {
    std::function<void(uint64_t number, Result<Reply> reply)> on_answer;
    std::function<void()> on_writable;
    // Once; nothing comes after it. What has no answer stays without one.
    std::function<void(const Status&)> on_broken;
  };
  Connection(Context& context, const std::string& address, Events events);
  ~Connection();  // no event comes any more

  const std::string& address() const { return address_; }
  const std::shared_ptr<Channel>& channel() const { return channel_; }
  bool writable() const;
  // If it is writable. Only looked at during the call.
  void send(std::span<Operation* const> operations);
  // Nobody waits for this answer any more.
  void forget(uint64_t number);

 private:
  void send_alone(const Operation& operation);
  void on_results(v1::PackResponse& response);
  void broken(const Status& why);

  Context& context_;
  const std::string address_;
  const std::shared_ptr<Channel> channel_;
  Events events_;
  PackStream* stream_ = nullptr;
  v1::PackRequest gathered_;
  std::map<uint64_t, std::shared_ptr<UnaryCall>> calls_;
};

}  // namespace runink::sdk
