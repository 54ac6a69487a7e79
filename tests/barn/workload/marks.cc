// Writes under session marks, each sent several times, to whoever leads by then: carried out once, and answered the
// same. By plain gRPC, since the client library repeats a write only until it has an answer.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <deque>

#include "platform/rpc/client_credentials.h"
#include "runink/barn/v1/key_value.grpc.pb.h"
#include "work.h"

namespace runink::workload {
namespace {

namespace v1 = runink::barn::v1;

constexpr const char* kName = "marks";
constexpr size_t kThreads = 2, kKept = 8;
constexpr uint64_t kSequences = 60;
constexpr int64_t kMillisecond = 1'000'000;

class Marks final : public Work {
 public:
  Marks(Context context, const Access& access) : context_(std::move(context)) {
    const auto credentials =
        rpc::member_credentials({access.trust_domain, access.certificate_pem, access.key_pem, access.authorities_pem});
    for (const std::string& endpoint : access.endpoints) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
      stubs_.push_back(v1::KeyValue::NewStub(grpc::CreateCustomChannel(endpoint, credentials, arguments)));
    }
  }
  const char* name() const override { return kName; }
  size_t own_threads() const override { return kThreads; }

  // A session from its beginning to its end.
  void step(Worker& worker) override {
    v1::OpenSessionRequest open;
    v1::OpenSessionResponse opened;
    if (!ask([&](v1::KeyValue::Stub& stub, grpc::ClientContext* c) { return stub.OpenSession(c, open, &opened); }))
      return;
    const std::string key =
        fmt::format("{}m/{}.{}", context_.run, opened.session().incarnation(), opened.session().index());
    struct Answered {
      v1::PutRequest request;
      std::string answer;
    };
    std::deque<Answered> kept;
    uint64_t done = 0;
    for (uint64_t sequence = 1; sequence <= kSequences && !context_.pace.stopped(); ++sequence) {
      v1::PutRequest put;
      put.set_key(key);
      put.set_value(fmt::to_string(sequence));
      put.set_want_previous(true);
      *put.mutable_mark()->mutable_session() = opened.session();
      put.mutable_mark()->set_sequence(sequence);
      put.mutable_mark()->set_lowest_unanswered(kept.empty() ? sequence : kept.front().request.mark().sequence());
      v1::WriteResponse response;
      if (!send(put, &response)) break;  // the session has ended, or the work
      context_.report.count(kName, Outcome::kDone);
      done = sequence;
      kept.push_back({put, response.SerializeAsString()});
      if (kept.size() > kKept) kept.pop_front();
      for (uint64_t again = worker.below(3); again > 0; --again) {
        Answered& old = kept[worker.below(kept.size())];
        old.request.mutable_mark()->set_lowest_unanswered(kept.front().request.mark().sequence());
        v1::WriteResponse second;
        if (!send(old.request, &second)) break;
        context_.report.count(kName, "sent_again");
        if (second.SerializeAsString() == old.answer) continue;
        v1::WriteResponse first;
        (void)first.ParseFromString(old.answer);
        context_.report.violation(
            kName,
            fmt::format("sequence {} of {} was answered by {} and then by {}", old.request.mark().sequence(), key,
                        first.ShortDebugString(), second.ShortDebugString()),
            "answers");
      }
      (void)context_.pace.sleep(static_cast<int64_t>(worker.below(40)) * kMillisecond);
    }
    check_count(key, done);
    v1::CloseSessionRequest close;
    *close.mutable_session() = opened.session();
    v1::WriteResponse closed;
    (void)ask([&](v1::KeyValue::Stub& stub, grpc::ClientContext* c) { return stub.CloseSession(c, close, &closed); },
              1);
  }

  void finish(Worker&) override {}

 private:
  // One that was sent last and not answered may count, too.
  void check_count(const std::string& key, uint64_t done) {
    v1::GetRequest get;
    get.set_key(key);
    v1::GetResponse got;
    if (!ask([&](v1::KeyValue::Stub& stub, grpc::ClientContext* c) { return stub.Get(c, get, &got); })) return;
    const uint64_t version = got.has_item() ? got.item().version() : 0;
    context_.report.count(kName, "sessions");
    if (version < done || version > done + 1)
      context_.report.violation(
          kName, fmt::format("{} writes were answered, {} was changed {} times", done, key, version), "answers");
  }

  bool send(const v1::PutRequest& put, v1::WriteResponse* response) {
    return ask([&](v1::KeyValue::Stub& stub, grpc::ClientContext* c) {
      response->Clear();
      return stub.Put(c, put, response);
    });
  }

  // One member after the other until one answers. False: the work ended, or the answer is that the session is gone.
  template <typename Call>
  bool ask(const Call& call, int tries = 1'000'000) {
    for (size_t at = at_; tries > 0 && !context_.patience.stopped(); --tries) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
      const grpc::Status status = call(*stubs_[at % stubs_.size()], &context);
      if (status.ok()) {
        at_ = at;
        return true;
      }
      context_.report.count(kName, "failed_tries");
      if (status.error_code() != grpc::StatusCode::UNAVAILABLE && status.error_code() != grpc::StatusCode::UNKNOWN &&
          status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED &&
          status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED) {  // which is said while the lead is handed over
        context_.report.count(kName, Outcome::kRefused);
        if (refusals_++ == 0) fmt::print(stderr, "marks: refused: {}\n", status.error_message());
        return false;
      }
      ++at;
      if (context_.pace.stopped()) tries = std::min(tries, 50);
      (void)context_.patience.sleep(30 * kMillisecond);
    }
    return false;
  }

  Context context_;
  std::vector<std::unique_ptr<v1::KeyValue::Stub>> stubs_;
  std::atomic<size_t> at_{0}, refusals_{0};
};

}  // namespace

std::unique_ptr<Work> make_marks(Context context, const Access& access) {
  return std::make_unique<Marks>(std::move(context), access);
}

}  // namespace runink::workload
