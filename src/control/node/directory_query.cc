#include "control/node/directory_query.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "runink/barn/v1/cluster.grpc.pb.h"

namespace runink::node {

namespace {

constexpr auto kAnswerTime = std::chrono::seconds(2);

struct Call {
  std::unique_ptr<barn::v1::Operator::Stub> stub;
  grpc::ClientContext context;
  barn::v1::DirectoryRequest request;
  barn::v1::DirectoryResponse response;
};

}  // namespace

// What gRPC's threads and the loop share: how many calls are open, and whether anybody still listens.
struct DirectoryQuery::State {
  std::mutex mutex;
  std::condition_variable idle;
  std::set<Call*> open;
  std::shared_ptr<bool> listening = std::make_shared<bool>(true);  // the loop's
};

DirectoryQuery::DirectoryQuery(net::EventLoop& loop, const rpc::ClientIdentity& identity)
    : loop_(loop), credentials_(rpc::member_credentials(identity)), state_(std::make_shared<State>()) {}

DirectoryQuery::~DirectoryQuery() {
  *state_->listening = false;
  std::unique_lock lock(state_->mutex);
  for (Call* call : state_->open) call->context.TryCancel();
  state_->idle.wait(lock, [this] { return state_->open.empty(); });
}

void DirectoryQuery::ask(const std::set<std::string>& addresses,
                         std::function<void(const barn::v1::DirectoryResponse&)> heard) {
  for (const std::string& address : addresses) {
    auto call = std::make_shared<Call>();
    // A channel of its own: members that are away are asked rarely, and one that came back must not find an old
    // back-off.
    call->stub = barn::v1::Operator::NewStub(grpc::CreateChannel(address, credentials_));
    call->context.set_deadline(std::chrono::system_clock::now() + kAnswerTime);
    {
      const std::lock_guard lock(state_->mutex);
      state_->open.insert(call.get());
    }
    call->stub->async()->Directory(
        &call->context, &call->request, &call->response,
        [loop = &loop_, state = state_, listening = state_->listening, call, heard](const grpc::Status& status) {
          if (status.ok()) {
            loop->post([listening, heard, response = call->response] {
              if (*listening) heard(response);
            });
          }
          const std::lock_guard lock(state->mutex);
          state->open.erase(call.get());
          state->idle.notify_all();
        });
  }
}

}  // namespace runink::node
