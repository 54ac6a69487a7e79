// The packed stream to one member. There is no timer: what gathers while a message is being written goes in the next
// one.
//
// All of it on the loop; events too.
#pragma once

#include <functional>
#include <memory>

#include "client/sdk/channels.h"
#include "client/sdk/context.h"
#include "client/sdk/operation.h"

namespace runink::sdk {

class PackStream {
 public:
  struct Events {
    std::function<void(v1::PackResponse&)> on_results;
    std::function<void()> on_writable;            // what was sent is written
    std::function<void(const Status&)> on_ended;  // what is unanswered stays so
  };
  static PackStream* open(Context& context, std::shared_ptr<Channel> channel, Events events);

  virtual bool writable() const = 0;
  // If it is writable; the message is taken.
  virtual void write(v1::PackRequest* message) = 0;
  // No event comes any more. It destroys itself when gRPC is done with it; the pointer is not to be used again.
  virtual void abandon() = 0;

 protected:
  virtual ~PackStream() = default;
};

}  // namespace runink::sdk
