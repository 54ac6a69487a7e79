// What services of the API have in common: who may call, how a Status travels, and the calls that wait for an answer.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "platform/crypto/identity.h"
#include "platform/net/event_loop.h"

namespace runink::api {

grpc::Status to_grpc(const Status& status);

// The one identity in the client's certificate. kUnauthenticated: there is none; kPermissionDenied: of another cluster.
Result<crypto::Identity> caller(const grpc::CallbackServerContext& context, const std::string& trust_domain);

// Users and agents may read and write keys. Members need not, and one that was taken out of the cluster has its
// certificate still: it may ask who is in the cluster (OperatorService), and nothing else.
Status may_use_keys(const grpc::CallbackServerContext& context, const std::string& trust_domain);

// On the steady clock, and at most kCallSeconds away.
int64_t deadline_nanos(const grpc::CallbackServerContext& context);

Status expired(bool write);
Status stopping(bool write);

// Calls that wait for an answer. begin() gives a number; whoever has the answer asks with it whether the call is still
// open, since after its deadline the messages that it was made of are gone. Threads: the loop's; start() any.
class OpenCalls {
 public:
  // What an error is on its way to the caller.
  using Dress = std::function<Status(Status)>;

  OpenCalls(net::EventLoop& loop, Dress dress);
  ~OpenCalls() { end(); }

  uint64_t begin(bool write, int64_t deadline, std::function<void(const Status&)> fail);
  bool is_open(uint64_t id) const { return open_.contains(id); }
  bool close(uint64_t id) { return open_.erase(id) > 0; }
  // Answers what is still open; otherwise nothing happens.
  void finish(uint64_t id, Status status);
  // Answers all, and refuses what comes.
  void end();

  // A unary call of somebody who may make it: hands it to the loop, where `work` gets its number. finish() answers it.
  grpc::ServerUnaryReactor* start(grpc::CallbackServerContext* context, bool write, std::function<void(uint64_t)> work);
  // And of somebody who may not.
  grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context, const Status& status);

  Status dressed(Status status) const { return dress_ ? dress_(std::move(status)) : status; }
  // False once it has ended; shared, since what is posted may come later.
  const std::shared_ptr<bool>& alive() const { return alive_; }
  uint64_t calls() const { return calls_; }
  uint64_t refused() const { return refused_; }
  uint64_t expired_calls() const { return expired_; }
  void note_refused() { ++refused_; }

 private:
  // Answered once.
  struct Open {
    bool write = false;
    int64_t deadline = 0;
    std::function<void(const Status&)> fail;
  };
  void sweep_later();

  net::EventLoop& loop_;
  const Dress dress_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::map<uint64_t, Open> open_;
  uint64_t last_ = 0;
  net::EventLoop::TimerId sweep_ = 0;
  std::atomic<uint64_t> calls_{0}, refused_{0};
  uint64_t expired_ = 0;
};

}  // namespace runink::api
