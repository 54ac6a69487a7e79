#include "client/sdk/unary_call.h"

#include <grpcpp/client_context.h>

#include "base/clock.h"
#include "client/sdk/failure.h"

namespace runink::sdk {
namespace {

using Async = v1::KeyValue::Stub::async_interface;

template <typename Sent, typename Got>
using Method = void (Async::*)(grpc::ClientContext*, const Sent*, Got*, std::function<void(grpc::Status)>);

template <typename Sent, typename Got>
class Call final : public UnaryCall, public std::enable_shared_from_this<Call<Sent, Got>> {
 public:
  Call(Context& context, std::shared_ptr<Channel> channel, Sent request, Done done)
      : context_(context), channel_(std::move(channel)), request_(std::move(request)), done_(std::move(done)) {}

  void go(Method<Sent, Got> method, int64_t deadline_nanos) {
    if (deadline_nanos != INT64_MAX) {
      const int64_t left = deadline_nanos - system_clock().steady_nanos();
      call_.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(std::max<int64_t>(left, 0)));
    }
    ++context_.open_calls;
    (channel_->stub->async()->*method)(&call_, &request_, &response_,
                                       [self = this->shared_from_this()](grpc::Status status) {
                                         net::EventLoop* const loop = self->context_.loop;
                                         loop->post([self, status = std::move(status)] { self->end(status); });
                                       });
  }
  void abandon() override {
    done_ = nullptr;
    call_.TryCancel();
  }

 private:
  void end(const grpc::Status& status) {
    --context_.open_calls;
    if (!done_) return;
    const Done done = std::move(done_);
    done_ = nullptr;
    if (status.ok()) return done(Reply(std::move(response_)), true);
    bool by_member = false;
    Status failed = from_grpc(status, &by_member);
    done(std::move(failed), by_member);
  }

  Context& context_;
  const std::shared_ptr<Channel> channel_;
  const Sent request_;
  Got response_;
  Done done_;
  grpc::ClientContext call_;
};

template <typename Got, typename Sent>
std::shared_ptr<UnaryCall> go(Context& context, std::shared_ptr<Channel> channel, const Sent& request,
                              int64_t deadline_nanos, UnaryCall::Done done, Method<Sent, Got> method) {
  auto call = std::make_shared<Call<Sent, Got>>(context, std::move(channel), request, std::move(done));
  call->go(method, deadline_nanos);
  return call;
}

}  // namespace

std::shared_ptr<UnaryCall> UnaryCall::start(Context& context, std::shared_ptr<Channel> channel, const Request& request,
                                            int64_t deadline, Done done) {
  const auto with = [&]<typename Sent, typename Got>(const Sent& sent, Method<Sent, Got> method) {
    return go<Got>(context, std::move(channel), sent, deadline, std::move(done), method);
  };
  struct Start {
    decltype(with)& go;
    using P = std::shared_ptr<UnaryCall>;
    P operator()(const v1::GetRequest& r) {
      return go.template operator()<v1::GetRequest, v1::GetResponse>(r, &Async::Get);
    }
    P operator()(const v1::RangeRequest& r) {
      return go.template operator()<v1::RangeRequest, v1::RangeResponse>(r, &Async::Range);
    }
    P operator()(const v1::PutRequest& r) {
      return go.template operator()<v1::PutRequest, v1::WriteResponse>(r, &Async::Put);
    }
    P operator()(const v1::DeleteRequest& r) {
      return go.template operator()<v1::DeleteRequest, v1::WriteResponse>(r, &Async::Delete);
    }
    P operator()(const v1::DeleteRangeRequest& r) {
      return go.template operator()<v1::DeleteRangeRequest, v1::WriteResponse>(r, &Async::DeleteRange);
    }
    P operator()(const v1::TxnRequest& r) {
      return go.template operator()<v1::TxnRequest, v1::WriteResponse>(r, &Async::Txn);
    }
    P operator()(const v1::GrantLeaseRequest& r) {
      return go.template operator()<v1::GrantLeaseRequest, v1::GrantLeaseResponse>(r, &Async::GrantLease);
    }
    P operator()(const v1::RevokeLeaseRequest& r) {
      return go.template operator()<v1::RevokeLeaseRequest, v1::WriteResponse>(r, &Async::RevokeLease);
    }
    P operator()(const v1::KeepLeaseRequest& r) {
      return go.template operator()<v1::KeepLeaseRequest, v1::KeepLeaseResponse>(r, &Async::KeepLease);
    }
    P operator()(const v1::OpenSessionRequest& r) {
      return go.template operator()<v1::OpenSessionRequest, v1::OpenSessionResponse>(r, &Async::OpenSession);
    }
    P operator()(const v1::CloseSessionRequest& r) {
      return go.template operator()<v1::CloseSessionRequest, v1::WriteResponse>(r, &Async::CloseSession);
    }
  };
  return std::visit(Start{with}, request);
}

}  // namespace runink::sdk
