// One operation as one unary call.
#pragma once

#include <functional>
#include <memory>

#include "client/sdk/channels.h"
#include "client/sdk/context.h"
#include "client/sdk/operation.h"

namespace runink::sdk {

class UnaryCall {
 public:
  // On the loop, once. `by_member`: the member answered; otherwise the way to it is broken.
  using Done = std::function<void(Result<Reply> reply, bool by_member)>;
  static std::shared_ptr<UnaryCall> start(Context& context, std::shared_ptr<Channel> channel, const Request& request,
                                          int64_t deadline_nanos, Done done);
  virtual ~UnaryCall() = default;
  // `done` is not called any more.
  virtual void abandon() = 0;
};

}  // namespace runink::sdk
