// One try to put or to get a chunk at one member, as a stream of pieces.
//
// All of it on the loop; events too.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/sdk/channels.h"
#include "client/sdk/context.h"

namespace runink::sdk {

class ChunkStream {
 public:
  struct Events {
    std::function<void(const std::string& piece)> on_piece;  // written, or received
    // Once, the last. `by_member`: a member answered; otherwise the way to it is broken.
    std::function<void(const Status& status, bool by_member)> on_ended;
  };
  static ChunkStream* put(Context& context, std::shared_ptr<Channel> channel, std::shared_ptr<const std::string> bytes,
                          const std::string& hash, int64_t deadline_nanos, Events events);
  static ChunkStream* get(Context& context, std::shared_ptr<Channel> channel, const v1::GetChunkRequest& request,
                          int64_t deadline_nanos, Events events);

  // No event comes any more. It destroys itself when gRPC is done with it; the pointer is not to be used again.
  virtual void abandon() = 0;

 protected:
  virtual ~ChunkStream() = default;
};

}  // namespace runink::sdk
