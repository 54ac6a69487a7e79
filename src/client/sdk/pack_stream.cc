#include "client/sdk/pack_stream.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "base/check.h"
#include "client/sdk/failure.h"

namespace runink::sdk {
namespace {

class Stream final : public PackStream, public grpc::ClientBidiReactor<v1::PackRequest, v1::PackResponse> {
 public:
  Stream(Context& context, std::shared_ptr<Channel> channel, Events events)
      : context_(context), loop_(*context.loop), channel_(std::move(channel)), events_(std::move(events)) {
    ++context_.open_calls;
    channel_->stub->async()->Pack(&call_, this);
    AddHold();  // writes begin on the loop, outside of gRPC's callbacks
    StartRead(&response_);
    StartCall();
  }

  bool writable() const override { return !writing_ && !broken_; }
  void write(v1::PackRequest* message) override {
    RUNINK_CHECK(writable());
    writing_ = true;
    sending_.Clear();
    sending_.Swap(message);
    StartWrite(&sending_);
  }
  void abandon() override {
    events_ = {};
    call_.TryCancel();
  }

 private:
  // ---- on gRPC's threads
  void OnReadDone(bool ok) override {
    if (!ok) {
      return loop_.post([this] {
        broken_ = true;
        RemoveHold();  // OnDone may come
      });
    }
    auto results = std::make_shared<v1::PackResponse>(std::move(response_));
    response_.Clear();
    StartRead(&response_);
    loop_.post([this, results] {
      if (events_.on_results) events_.on_results(*results);
    });
  }
  void OnWriteDone(bool ok) override {
    loop_.post([this, ok] {
      writing_ = false;
      if (ok && events_.on_writable) events_.on_writable();
    });
  }
  // The last one: what the others have posted comes before.
  void OnDone(const grpc::Status& status) override {
    loop_.post([this, status] {
      --context_.open_calls;
      bool by_member = false;
      const auto ended = std::move(events_.on_ended);
      events_ = {};
      if (ended) ended(from_grpc(status, &by_member));
      delete this;
    });
  }

  Context& context_;
  net::EventLoop& loop_;
  const std::shared_ptr<Channel> channel_;
  Events events_;
  grpc::ClientContext call_;
  v1::PackRequest sending_;
  v1::PackResponse response_;
  bool writing_ = false, broken_ = false;
};

}  // namespace

PackStream* PackStream::open(Context& context, std::shared_ptr<Channel> channel, Events events) {
  return new Stream(context, std::move(channel), std::move(events));
}

}  // namespace runink::sdk
