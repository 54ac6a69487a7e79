// A watch that outlives its members: it goes on behind the last bookmark, on whichever member answers. On the loop.
//
// A member that lags may say that an index lies in the future which another member has acknowledged. So that answer
// counts only from a member that has just answered a linearizable read, which has applied everything that anybody could
// have heard of.
#pragma once

#include <memory>

#include "client/sdk/client.h"
#include "client/sdk/context.h"
#include "client/sdk/endpoints.h"
#include "client/sdk/lane.h"
#include "client/sdk/unary_call.h"

namespace runink::sdk {

class Watching {
 public:
  Watching(Context& context, Lane& leader, v1::WatchRequest request, WatchHandlers handlers);
  ~Watching();  // not within one of its handlers
  void start();
  // Calls nothing any more.
  void end();

 private:
  class Stream;
  void ask_leader();
  void leader_answered(Result<Reply> reply);
  void connect();
  void open(const std::string& address);
  void on_response(const v1::WatchResponse& response);
  void on_ended(const Status& why);
  void retry(Status why);
  void give_up(const Status& why);
  void watch_for_silence();

  Context& context_;
  Lane& leader_;
  v1::WatchRequest request_;  // from_index and incarnation are what is wanted next
  WatchHandlers handlers_;
  Endpoints endpoints_;
  std::string address_;  // of the stream
  Stream* stream_ = nullptr;
  bool begun_ = false;
  bool beside_leader_ = false;  // the stream is to a member that was asked by a linearizable read before
  bool ended_ = false;
  int64_t heard_nanos_ = 0;
  std::shared_ptr<UnaryCall> probe_;
  net::EventLoop::TimerId timer_ = 0, silence_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace runink::sdk
