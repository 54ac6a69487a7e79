#include "client/sdk/chunk_stream.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>

#include "base/clock.h"
#include "client/sdk/failure.h"

namespace runink::sdk {
namespace {

constexpr size_t kPiece = 1 << 20;  // the most that a member takes

// What both directions have in common.
class Stream : public ChunkStream {
 public:
  Stream(Context& context, std::shared_ptr<Channel> channel, int64_t deadline_nanos, Events events)
      : context_(context), loop_(*context.loop), channel_(std::move(channel)), events_(std::move(events)) {
    const int64_t left = deadline_nanos - system_clock().steady_nanos();
    call_.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(std::max<int64_t>(left, 0)));
    ++context_.open_calls;
  }
  void abandon() override {
    events_ = {};
    call_.TryCancel();
  }

 protected:
  void tell(const std::string& piece) {
    const auto told = events_.on_piece;  // which may end in abandon()
    if (told) told(piece);
  }
  // gRPC's last callback has come: what the others have posted comes before.
  void end_later(const grpc::Status& status) {
    loop_.post([this, status] {
      --context_.open_calls;
      bool by_member = true;
      const Status ended = status.ok() ? Status() : from_grpc(status, &by_member);
      const auto told = std::move(events_.on_ended);
      delete this;
      if (told) told(ended, by_member);
    });
  }

  Context& context_;
  net::EventLoop& loop_;
  const std::shared_ptr<Channel> channel_;
  Events events_;
  grpc::ClientContext call_;
};

class Upload final : public Stream, public grpc::ClientWriteReactor<v1::PutChunkRequest> {
 public:
  Upload(Context& context, std::shared_ptr<Channel> channel, std::shared_ptr<const std::string> bytes,
         const std::string& hash, int64_t deadline_nanos, Events events)
      : Stream(context, std::move(channel), deadline_nanos, std::move(events)), bytes_(std::move(bytes)) {
    request_.set_hash(hash);
    request_.set_size(bytes_->size());
    channel_->stub->async()->PutChunk(&call_, &response_, this);
    AddHold();  // writes begin on the loop
    write();
    StartCall();
  }

 private:
  void write() {
    request_.set_data(bytes_->data() + sent_, std::min(kPiece, bytes_->size() - sent_));
    sent_ += request_.data().size();
    grpc::WriteOptions options;
    if (sent_ == bytes_->size()) options.set_last_message();
    StartWrite(&request_, options);
  }
  void OnWriteDone(bool ok) override {
    loop_.post([this, ok] {
      if (!ok) return RemoveHold();
      tell(request_.data());
      request_.Clear();
      sent_ == bytes_->size() ? RemoveHold() : write();
    });
  }
  void OnDone(const grpc::Status& status) override { end_later(status); }

  const std::shared_ptr<const std::string> bytes_;
  size_t sent_ = 0;
  v1::PutChunkRequest request_;
  v1::PutChunkResponse response_;
};

class Download final : public Stream, public grpc::ClientReadReactor<v1::GetChunkPiece> {
 public:
  Download(Context& context, std::shared_ptr<Channel> channel, const v1::GetChunkRequest& request,
           int64_t deadline_nanos, Events events)
      : Stream(context, std::move(channel), deadline_nanos, std::move(events)), request_(request) {
    channel_->stub->async()->GetChunk(&call_, &request_, this);
    AddHold();  // reads begin on the loop
    StartRead(&piece_);
    StartCall();
  }

 private:
  void OnReadDone(bool ok) override {
    loop_.post([this, ok] {
      if (!ok) return RemoveHold();
      tell(piece_.data());
      piece_.Clear();
      StartRead(&piece_);
    });
  }
  void OnDone(const grpc::Status& status) override { end_later(status); }

  const v1::GetChunkRequest request_;
  v1::GetChunkPiece piece_;
};

}  // namespace

ChunkStream* ChunkStream::put(Context& context, std::shared_ptr<Channel> channel,
                              std::shared_ptr<const std::string> bytes, const std::string& hash, int64_t deadline_nanos,
                              Events events) {
  return new Upload(context, std::move(channel), std::move(bytes), hash, deadline_nanos, std::move(events));
}

ChunkStream* ChunkStream::get(Context& context, std::shared_ptr<Channel> channel, const v1::GetChunkRequest& request,
                              int64_t deadline_nanos, Events events) {
  return new Download(context, std::move(channel), request, deadline_nanos, std::move(events));
}

}  // namespace runink::sdk
