#include "control/api/calls.h"

#include <grpcpp/security/auth_context.h>

#include <algorithm>
#include <chrono>

#include "control/api/key_value_service.h"
#include "control/api/key_value_wire.h"

namespace runink::api {

namespace {

constexpr int64_t kSweepNanos = 100'000'000;

}  // namespace

grpc::Status to_grpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  v1::Failure failure;
  to_wire(status, &failure);
  return {static_cast<grpc::StatusCode>(status.code()), status.to_string(), failure.SerializeAsString()};
}

Result<crypto::Identity> caller(const grpc::CallbackServerContext& context, const std::string& trust_domain) {
  const auto uris = context.auth_context()->FindPropertyValues(GRPC_PEER_SPIFFE_ID_PROPERTY_NAME);
  if (uris.size() != 1) return Status(Code::kUnauthenticated, "the client's certificate names no one identity");
  auto identity = crypto::parse_identity(std::string_view(uris[0].data(), uris[0].size()));
  if (!identity.ok() || identity->trust_domain != trust_domain)
    return permission_denied("the client's certificate is not of this cluster");
  return identity;
}

Status may_use_keys(const grpc::CallbackServerContext& context, const std::string& trust_domain) {
  const crypto::Identity who = RUNINK_TRY(caller(context, trust_domain));
  if (who.role != crypto::Role::kBarn) return {};
  return permission_denied("{} is a member, and reads and writes no keys", who.uri());
}

int64_t deadline_nanos(const grpc::CallbackServerContext& context) {
  const int64_t now = system_clock().steady_nanos(), most = int64_t{kCallSeconds} * 1'000'000'000;
  const auto left =
      std::chrono::duration_cast<std::chrono::nanoseconds>(context.deadline() - std::chrono::system_clock::now())
          .count();
  return now + std::min<int64_t>(most, std::max<int64_t>(left, 0));
}

Status expired(bool write) {
  if (write)
    return Status(Code::kUnknown, "no answer in time; whether it was carried out is not known")
        .with_kind("barn.unknown");
  return deadline_exceeded("no answer in time");
}
Status stopping(bool write) {
  if (write)
    return Status(Code::kUnknown, "this member stops; whether it was carried out is not known")
        .with_kind("barn.unknown");
  return unavailable("this member stops");
}

OpenCalls::OpenCalls(net::EventLoop& loop, Dress dress) : loop_(loop), dress_(std::move(dress)) { sweep_later(); }

uint64_t OpenCalls::begin(bool write, int64_t deadline, std::function<void(const Status&)> fail) {
  open_.emplace(++last_, Open{write, deadline, std::move(fail)});
  return last_;
}

void OpenCalls::finish(uint64_t id, Status status) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  const auto fail = std::move(found->second.fail);
  open_.erase(found);
  fail(dressed(std::move(status)));
}

void OpenCalls::end() {
  if (!*alive_) return;
  *alive_ = false;
  loop_.cancel(sweep_);
  for (auto& [id, call] : open_) call.fail(stopping(call.write));
  open_.clear();
}

grpc::ServerUnaryReactor* OpenCalls::start(grpc::CallbackServerContext* context, bool write,
                                           std::function<void(uint64_t)> work) {
  ++calls_;
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const int64_t deadline = deadline_nanos(*context);
  loop_.post([this, alive = alive_, reactor, write, deadline, work = std::move(work)] {
    if (!*alive) return reactor->Finish(to_grpc(stopping(write)));
    work(begin(write, deadline, [reactor](const Status& status) { reactor->Finish(to_grpc(status)); }));
  });
  return reactor;
}

grpc::ServerUnaryReactor* OpenCalls::refuse(grpc::CallbackServerContext* context, const Status& status) {
  ++calls_;
  ++refused_;
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(to_grpc(status));
  return reactor;
}

void OpenCalls::sweep_later() {
  sweep_ = loop_.call_after(kSweepNanos, [this] {
    const int64_t now = system_clock().steady_nanos();
    for (auto at = open_.begin(); at != open_.end();) {
      if (at->second.deadline > now) {
        ++at;
        continue;
      }
      ++expired_;
      at->second.fail(expired(at->second.write));
      at = open_.erase(at);
    }
    sweep_later();
  });
}

}  // namespace runink::api
