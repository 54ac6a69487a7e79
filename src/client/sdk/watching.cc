#include "client/sdk/watching.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "client/sdk/failure.h"

namespace runink::sdk {
// Destroys itself when gRPC is done with it. The next message is read when the last one was taken.
class Watching::Stream final : public grpc::ClientReadReactor<v1::WatchResponse> {
 public:
  Stream(Context& context, Watching* owner, std::shared_ptr<Channel> channel, const v1::WatchRequest& request)
      : context_(context), loop_(*context.loop), owner_(owner), channel_(std::move(channel)), request_(request) {
    ++context_.open_calls;
    channel_->stub->async()->Watch(&call_, &request_, this);
    AddHold();  // reads begin on the loop
    StartRead(&response_);
    StartCall();
  }
  void abandon() {
    owner_ = nullptr;
    call_.TryCancel();
  }

 private:
  void OnReadDone(bool ok) override {
    loop_.post([this, ok] {
      if (!ok) return RemoveHold();
      if (owner_ != nullptr) owner_->on_response(response_);
      response_.Clear();
      StartRead(&response_);
    });
  }
  void OnDone(const grpc::Status& status) override {
    loop_.post([this, status] {
      --context_.open_calls;
      bool by_member = false;
      const Status why = from_grpc(status, &by_member);
      Watching* const owner = owner_;
      delete this;
      if (owner == nullptr) return;
      owner->stream_ = nullptr;
      owner->on_ended(why);
    });
  }

  Context& context_;
  net::EventLoop& loop_;
  Watching* owner_;
  const std::shared_ptr<Channel> channel_;
  const v1::WatchRequest request_;
  grpc::ClientContext call_;
  v1::WatchResponse response_;
};

Watching::Watching(Context& context, Lane& leader, v1::WatchRequest request, WatchHandlers handlers)
    : context_(context),
      leader_(leader),
      request_(std::move(request)),
      handlers_(std::move(handlers)),
      endpoints_(context.options->endpoints, context.random) {}

Watching::~Watching() {
  *alive_ = false;
  end();
}

void Watching::start() {
  // Behind everything that was acknowledged: only the leader knows.
  request_.from_index() == 0 ? ask_leader() : connect();
}

void Watching::end() {
  ended_ = true;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->abandon();
  if (probe_) std::exchange(probe_, nullptr)->abandon();
  context_.loop->cancel(std::exchange(timer_, 0));
  context_.loop->cancel(std::exchange(silence_timer_, 0));
}

void Watching::ask_leader() {
  auto operation = std::make_unique<Operation>();
  operation->request = probe_request(false);
  operation->deadline_nanos = INT64_MAX;
  operation->done = [this, alive = alive_](Result<Reply> reply) {
    if (*alive && !ended_) leader_answered(std::move(reply));
  };
  leader_.add(std::move(operation));
}

void Watching::leader_answered(Result<Reply> reply) {
  if (!reply.ok()) return give_up(reply.status());
  if (request_.from_index() == 0) request_.set_from_index(std::get<v1::RangeResponse>(*reply).index() + 1);
  const std::string address = leader_.address();
  if (address.empty()) return connect();
  open(address);
  beside_leader_ = true;
}

void Watching::connect() {
  endpoints_.learn(context_.members);
  const Endpoints::Next next = endpoints_.next();
  if (next.pause_nanos == 0) return open(next.address);
  timer_ = context_.loop->call_after(next.pause_nanos, [this, address = next.address] {
    timer_ = 0;
    open(address);
  });
}

void Watching::open(const std::string& address) {
  address_ = address;
  beside_leader_ = false;
  ++context_.counters.connections;
  stream_ = new Stream(context_, this, context_.channels->get(address), request_);
  heard_nanos_ = context_.loop->now();
  watch_for_silence();
}

void Watching::on_response(const v1::WatchResponse& response) {
  heard_nanos_ = context_.loop->now();
  if (response.members_size() > 0) context_.members.assign(response.members().begin(), response.members().end());
  endpoints_.worked(address_);
  request_.set_incarnation(response.incarnation());
  if (!begun_) {
    begun_ = true;
    if (handlers_.on_begin) handlers_.on_begin(response.through(), response.incarnation());
  }
  if (ended_) return;
  // Before the handler: if that ends in an error of the stream, what it got must not come again.
  if (response.through() + 1 > request_.from_index()) request_.set_from_index(response.through() + 1);
  if (response.changes_size() > 0) handlers_.on_changes(response);
}

void Watching::on_ended(const Status& why) {
  if (ended_) return;
  context_.loop->cancel(std::exchange(silence_timer_, 0));
  if (probe_) std::exchange(probe_, nullptr)->abandon();
  if (why.kind() == "barn.watch.lost_future" && !beside_leader_) return ask_leader();
  const bool elsewhere = judge(why) != Verdict::kFinal || why.code() == Code::kResourceExhausted ||
                         is_refusal_of_identity(why) || why.code() == Code::kInternal;
  if (!elsewhere) return give_up(why);
  retry(why);
}

void Watching::retry(Status why) {
  endpoints_.failed(address_, why);
  if (endpoints_.all_refuse_identity()) return give_up(why);
  connect();
}

void Watching::give_up(const Status& why) {
  end();
  handlers_.on_end(why);
}

// A member that died without a word looks like one that has nothing to tell: it is asked now and then, over the same
// connection.
void Watching::watch_for_silence() {
  const int64_t silence = context_.options->silence_nanos;
  silence_timer_ = context_.loop->call_after(silence, [this, silence] {
    silence_timer_ = 0;
    if (stream_ == nullptr) return;
    if (context_.loop->now() - heard_nanos_ < silence) return watch_for_silence();
    probe_ = UnaryCall::start(context_, context_.channels->get(address_), probe_request(true),
                              context_.loop->now() + silence, [this](Result<Reply> reply, bool by_member) {
                                probe_ = nullptr;
                                if (reply.ok() || by_member) return watch_for_silence();
                                if (stream_ != nullptr) std::exchange(stream_, nullptr)->abandon();
                                context_.channels->drop(address_);
                                retry(unavailable("no answer for {} ms", context_.options->silence_nanos / 1'000'000));
                              });
  });
}

}  // namespace runink::sdk
