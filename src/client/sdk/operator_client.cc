#include "client/sdk/operator_client.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "client/sdk/failure.h"
#include "platform/rpc/client_credentials.h"
#include "runink/barn/v1/cluster.grpc.pb.h"

namespace runink::sdk {

namespace {

constexpr int64_t kTryNanos = 5'000'000'000, kPauseNanos = 100'000'000;
// How long the endpoints are connected to side by side before one is asked that did not answer yet.
constexpr int64_t kConnectNanos = 1'000'000'000, kLookNanos = 20'000'000;
constexpr int kMessageBytesMax = 16 << 20;

// gRPC says this, and only this, of a call for which there was no connection: the member never saw it.
bool was_never_sent(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         (status.error_message().starts_with("failed to connect to all addresses") ||
          status.error_message().starts_with("DNS resolution failed"));
}

// What gRPC says itself, for people.
std::string plainly(const grpc::Status& status, const std::string& endpoint) {
  const std::string& said = status.error_message();
  const auto has = [&said](const char* text) { return said.find(text) != std::string::npos; };
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return "no answer in time";
  if (has("handshaker shutdown")) return "it cannot be reached";
  if (has("DNS resolution failed")) return "its name is not known here";
  if (has("CERTIFICATE_VERIFY_FAILED") || has("certificate verify failed"))
    return "the certificate of " + endpoint + " is not believed";
  if (!was_never_sent(status)) return said;
  const size_t last = said.rfind(": ");
  return "cannot connect: " + (last == std::string::npos ? said : said.substr(last + 2));
}

// Cancels a call for which nothing comes for a while. Counts only between wait() and came(): what is done with what
// came may take its time.
class SilenceGuard {
 public:
  SilenceGuard(grpc::ClientContext* context, int64_t nanos)
      : context_(context), nanos_(nanos), thread_([this] { watch(); }) {}
  ~SilenceGuard() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void wait() {
    {
      const std::lock_guard lock(mutex_);
      since_ = std::chrono::steady_clock::now();
    }
    wake_.notify_one();
  }
  void came() {
    const std::lock_guard lock(mutex_);
    since_.reset();
  }
  bool fired() const {
    const std::lock_guard lock(mutex_);
    return fired_;
  }

 private:
  using Time = std::chrono::steady_clock::time_point;

  void watch() {
    std::unique_lock lock(mutex_);
    while (!over_ && !fired_) {
      const Time now = std::chrono::steady_clock::now();
      const Time end = since_ ? *since_ + nanos_ : Time::max();
      if (end <= now) {
        fired_ = true;
        context_->TryCancel();
      } else if (since_) {
        wake_.wait_until(lock, end);
      } else {
        wake_.wait(lock);
      }
    }
  }

  grpc::ClientContext* const context_;
  const std::chrono::nanoseconds nanos_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Time> since_;
  bool over_ = false, fired_ = false;
  std::thread thread_;  // the last: it uses the rest
};

class Client final : public OperatorClient {
 public:
  explicit Client(ClientOptions options)
      : options_(std::move(options)),
        credentials_(rpc::member_credentials(
            {options_.trust_domain, options_.certificate_pem, options_.key_pem, options_.authorities_pem})) {}

  Result<v1::StatusResponse> status(const std::string& endpoint) override {
    v1::StatusResponse response;
    const Status answered = once(
        endpoint,
        [&](v1::Operator::Stub& stub, grpc::ClientContext* context) { return stub.Status(context, {}, &response); },
        std::min(kTryNanos, options_.timeout_nanos));
    if (!answered.ok()) return answered;
    return response;
  }
  Result<v1::SnapshotResponse> snapshot(const std::string& endpoint) override {
    v1::SnapshotResponse response;
    const auto call = [&](v1::Operator::Stub& stub, grpc::ClientContext* context) {
      return stub.TakeSnapshot(context, {}, &response);
    };
    const Status answered = once(endpoint, call, options_.timeout_nanos);
    if (!answered.ok()) return answered;
    return response;
  }
  Result<v1::MembersResponse> members() override {
    return lead<v1::MembersResponse>(
        false, [](auto& stub, auto* context, auto* response) { return stub.Members(context, {}, response); });
  }
  Result<v1::AddMemberResponse> add_member(const v1::AddMemberRequest& request) override {
    return lead<v1::AddMemberResponse>(
        true, [&](auto& stub, auto* context, auto* response) { return stub.AddMember(context, request, response); });
  }
  Result<v1::ChangeResponse> remove_member(uint64_t node) override {
    v1::RemoveMemberRequest request;
    request.set_node(node);
    return lead<v1::ChangeResponse>(
        true, [&](auto& stub, auto* context, auto* response) { return stub.RemoveMember(context, request, response); });
  }
  Result<v1::ChangeResponse> promote_member(uint64_t node) override {
    v1::PromoteMemberRequest request;
    request.set_node(node);
    return lead<v1::ChangeResponse>(true, [&](auto& stub, auto* context, auto* response) {
      return stub.PromoteMember(context, request, response);
    });
  }
  Result<v1::TransferResponse> transfer(uint64_t node) override {
    v1::TransferRequest request;
    request.set_node(node);
    return lead<v1::TransferResponse>(true, [&](auto& stub, auto* context, auto* response) {
      return stub.TransferLeadership(context, request, response);
    });
  }
  Status backup(const std::function<Status(std::string_view)>& sink) override {
    Status sunk;
    bool begun = false, silent = false;
    const Status answered = leader_call(false, [&](v1::Operator::Stub& stub, grpc::ClientContext* context) {
      // It lasts as long as it lasts, and while something comes.
      context->set_deadline(std::chrono::system_clock::time_point::max());
      SilenceGuard guard(context, options_.timeout_nanos);
      guard.wait();
      const auto reader = stub.Backup(context, {});
      v1::BackupPiece piece;
      while (sunk.ok() && reader->Read(&piece)) {
        guard.came();
        begun = true;
        sunk = sink(piece.data());
        guard.wait();
      }
      if (!sunk.ok()) context->TryCancel();
      grpc::Status end = reader->Finish();
      silent = !end.ok() && guard.fired();
      // What was given to the sink cannot be taken back: no other member is asked. Nor is there time after a silence.
      return (begun || silent) && !end.ok()
                 ? grpc::Status(grpc::StatusCode::DATA_LOSS, "the backup was cut: " + end.error_message())
                 : end;
    });
    if (!sunk.ok()) return sunk;
    if (!silent) return answered;
    return deadline_exceeded("the backup {} for {}, and was given up",
                             begun ? "stopped coming" : "did not begin to come",
                             human_duration(static_cast<double>(options_.timeout_nanos) / 1e9))
        .with_kind("barn.silent")
        .with_hint("is that member overloaded, or its disk? A larger --timeout waits longer");
  }

 private:
  using Call = std::function<grpc::Status(v1::Operator::Stub&, grpc::ClientContext*)>;

  struct Way {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::Operator::Stub> stub;
  };
  Way& way(const std::string& endpoint) {
    Way& made = ways_[endpoint];
    if (!made.channel) {
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
      arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
      arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);  // which is how long connecting may take, TLS included
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      made.channel = grpc::CreateCustomChannel(endpoint, credentials_, arguments);
      made.stub = v1::Operator::NewStub(made.channel);
    }
    return made;
  }
  // The endpoint whose turn it is; or, while that one does not let connect, the next one in turn that does: machines
  // that are gone often say nothing at all, and asking one would take all the time there is.
  std::string endpoint_in_turn(size_t turn, int64_t end) {
    const std::vector<std::string>& all = options_.endpoints;
    if (all.size() == 1) return all[0];
    const int64_t until = std::min(end, system_clock().steady_nanos() + kConnectNanos);
    grpc::CompletionQueue changes;  // connecting goes on while somebody waits at a queue
    std::string chosen = all[turn % all.size()];
    bool under_way = true, ready = false;
    while (under_way && !ready && system_clock().steady_nanos() < until) {
      under_way = false;
      size_t awaited = 0;
      const auto look = std::chrono::system_clock::now() + std::chrono::nanoseconds(kLookNanos);
      for (size_t i = 0; i < all.size(); ++i) {
        const std::string& endpoint = all[(turn + i) % all.size()];
        grpc::Channel& channel = *way(endpoint).channel;
        const grpc_connectivity_state state = channel.GetState(true);
        if (state == GRPC_CHANNEL_READY) {
          chosen = endpoint;
          ready = true;
          break;
        }
        under_way = under_way || state == GRPC_CHANNEL_CONNECTING || state == GRPC_CHANNEL_IDLE;
        channel.NotifyOnStateChange(state, look, &changes, nullptr);
        ++awaited;
      }
      void* tag = nullptr;
      for (bool ok = false; awaited > 0; --awaited) changes.Next(&tag, &ok);
    }
    changes.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; changes.Next(&tag, &ok);) {
    }
    return chosen;
  }
  Status once(const std::string& endpoint, const Call& call, int64_t nanos) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(nanos));
    const grpc::Status answered = call(*way(endpoint).stub, &context);
    if (answered.ok()) return {};
    never_sent_ = was_never_sent(answered);
    Status status = from_grpc(answered, &by_member_);
    return by_member_ ? status : Status(status.code(), plainly(answered, endpoint));
  }

  template <typename Response, typename CallTyped>
  Result<Response> lead(bool write, CallTyped call) {
    Response response;
    const Status answered = leader_call(write, [&](v1::Operator::Stub& stub, grpc::ClientContext* context) {
      response.Clear();
      return call(stub, context, &response);
    });
    if (!answered.ok()) return answered;
    return response;
  }

  Status leader_call(bool write, const Call& call) {
    const int64_t end = system_clock().steady_nanos() + options_.timeout_nanos;
    std::string said;
    bool open = false;   // an earlier try may have been carried out
    bool silent = true;  // nobody said anything at all
    for (size_t next = 0;; ++next) {
      std::string at = leader_.empty() ? endpoint_in_turn(next, end) : leader_;
      const int64_t left = end - system_clock().steady_nanos();
      Status answered = once(at, call, std::min(left, std::max<int64_t>(left / 2, kTryNanos)));
      if (answered.ok()) {
        leader_ = at;
        return answered;
      }
      if (answered.code() == Code::kDataLoss) return answered;  // a part of a backup was given out: it begins but once
      if (by_member_ && judge(answered) != Verdict::kNotLeader) {
        if (!open || !write) return answered;
        return Status(Code::kUnknown,
                      "whether this was carried out is not known: an earlier try got no answer, and then: " +
                          answered.message())
            .with_kind("barn.unknown")
            .with_hint("look at the members: runi barn members");
      }
      open = open || (!by_member_ && !never_sent_);
      silent = silent && !by_member_ && answered.code() == Code::kDeadlineExceeded;
      leader_ = by_member_ ? leader_address(answered) : std::string();
      said += fmt::format("\n{}: {}", at, answered.message());
      if (system_clock().steady_nanos() + kPauseNanos >= end) break;
      if (leader_.empty() && next % options_.endpoints.size() == options_.endpoints.size() - 1)
        std::this_thread::sleep_for(std::chrono::nanoseconds(kPauseNanos));
    }
    if (open && write)
      return Status(silent ? Code::kDeadlineExceeded : Code::kUnknown,
                    "no answer in time; whether this was carried out is not known")
          .with_kind("barn.unknown")
          .with_detail(last_lines(said))
          .with_hint("look at the members: runi barn members");
    return Status(silent ? Code::kDeadlineExceeded : Code::kUnavailable,
                  silent ? "no member answered in time" : "no member that leads was reached in time")
        .with_kind("barn.unreachable")
        .with_detail(last_lines(said))
        .with_hint("is a majority of the members running? runi barn status asks each of them");
  }
  // What each endpoint said last.
  std::string last_lines(const std::string& said) const {
    size_t from = said.size();
    for (size_t lines = 0; lines < options_.endpoints.size() && from != std::string::npos && from > 0; ++lines)
      from = said.rfind('\n', from - 1);
    return said.substr(from == std::string::npos ? 0 : from + 1);
  }

  const ClientOptions options_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::map<std::string, Way> ways_;
  std::string leader_;
  bool by_member_ = false, never_sent_ = false;  // of the last answer
};

}  // namespace

Result<std::unique_ptr<OperatorClient>> OperatorClient::create(ClientOptions options) {
  if (options.endpoints.empty()) return invalid_argument("no member's address is given");
  return std::unique_ptr<OperatorClient>(std::make_unique<Client>(std::move(options)));
}

}  // namespace runink::sdk
