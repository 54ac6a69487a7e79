#include "control/api/key_value_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_builder.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <thread>
#include <utility>

#include "control/api/call_counts.h"
#include "control/api/calls.h"
#include "control/api/chunk_calls.h"
#include "control/api/key_value_wire.h"
#include "control/api/user_keys.h"
#include "platform/net/rate_limit.h"
#include "platform/net/socket.h"
#include "runink/barn/v1/key_value.grpc.pb.h"

namespace runink::api {

namespace {

// Of one stream: operations under way, and bytes of answers that its client has not taken. Beyond either nothing more
// of it is begun.
constexpr size_t kPackedOpen = 4096, kPackedBytes = 4 << 20;
constexpr int kMessageBytesMax = 4 << 20;
constexpr int kHandshakeMillis = 5'000;
constexpr double kHandshakesPerSecond = 500;
constexpr rlim_t kDescriptorsKept = 512;
constexpr int kSilenceMillis = 60'000, kUnsentLowBytes = 128 << 10;

class Server;

class PackStream;
class WatchStream;

class Server final : public KeyValueServer, public v1::KeyValue::CallbackService {
 public:
  Server(net::EventLoop& loop, barn::Replica& replica, ApiOptions options)
      : loop_(loop),
        replica_(replica),
        options_(std::move(options)),
        calls_(loop, [this](Status status) { return with_leader(std::move(status)); }),
        chunk_calls_(loop, replica, options_.chunks, calls_, options_.chunk_calls),
        generation_(replica.state_generation()) {}
  ~Server() override { end(); }

  Status listen() {
    grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    ssl.pem_root_certs = options_.authorities_pem;
    ssl.pem_key_cert_pairs.push_back({options_.key_pem, options_.certificate_pem});
    grpc::ServerBuilder builder;
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, grpc::SslServerCredentials(ssl));
    builder.RegisterService(this);
    for (grpc::Service* service : options_.services) builder.RegisterService(service);
    builder.SetMaxReceiveMessageSize(kMessageBytesMax);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 8 << 10);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1024);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMillis);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
    interceptors.push_back(CallCounts::interceptor(counts_));
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    server_ = builder.BuildAndStart();
    if (!server_) return internal_error("gRPC does not start");
    // Listens last: connections that come before would be closed.
    const net::SocketAddress where =
        RUNINK_TRY(net::resolve_now(RUNINK_TRY(net::parse_host_port(options_.listen, true))));
    listener_ = RUNINK_TRY(net::Listener::create(
        loop_, where, [this](os::Fd socket, const net::SocketAddress&) { accept(std::move(socket)); }));
    const std::string address = listener_->address().text();
    port_ = std::atoi(address.c_str() + address.rfind(':') + 1);
    loop_.add_hook([this, alive = calls_.alive()] {
      if (*alive) turn();
    });
    bookmark_later();
    return {};
  }

  int port() const override { return port_; }
  ApiCounters counters() const override {
    return {calls_.calls(), calls_.refused(), calls_.expired_calls(), packed_,
            watches_,       counts_->get(),   packed_failures_};
  }

  // gRPC 1.51 takes any number of connections, also of those who show nothing. Descriptors are given lowest first, so
  // refusing the high ones keeps some for the journal and the state; and handshakes that come too fast are not begun.
  void accept(os::Fd socket) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto reserve = std::clamp<rlim_t>(limit.rlim_cur / 4, kDescriptorsKept / 2, kDescriptorsKept);
    if (static_cast<rlim_t>(socket.get()) + reserve >= limit.rlim_cur || !handshakes_.take(loop_.now())) {
      ++connections_refused_;
      return;
    }
    net::tune_tcp(socket, kSilenceMillis, kUnsentLowBytes);
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = socket.release();
    acceptor_->HandleNewConnection(&connection);
  }

  // ---- unary calls, on gRPC's threads

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const v1::PutRequest* request,
                                v1::WriteResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); }, into(response));
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context, const v1::DeleteRequest* request,
                                   v1::WriteResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); }, into(response));
  }
  grpc::ServerUnaryReactor* DeleteRange(grpc::CallbackServerContext* context, const v1::DeleteRangeRequest* request,
                                        v1::WriteResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); }, into(response));
  }
  grpc::ServerUnaryReactor* Txn(grpc::CallbackServerContext* context, const v1::TxnRequest* request,
                                v1::WriteResponse* response) override {
    return write(
        context, [request] { return to_command(*request); }, into(response));
  }
  grpc::ServerUnaryReactor* OpenSession(grpc::CallbackServerContext* context, const v1::OpenSessionRequest* request,
                                        v1::OpenSessionResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); },
        [response](barn::Answer&& answer) { to_wire(answer.token, response->mutable_session()); });
  }
  grpc::ServerUnaryReactor* CloseSession(grpc::CallbackServerContext* context, const v1::CloseSessionRequest* request,
                                         v1::WriteResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); }, into(response));
  }
  grpc::ServerUnaryReactor* GrantLease(grpc::CallbackServerContext* context, const v1::GrantLeaseRequest* request,
                                       v1::GrantLeaseResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); },
        [response](barn::Answer&& answer) { to_wire(answer.token, response->mutable_lease()); });
  }
  grpc::ServerUnaryReactor* RevokeLease(grpc::CallbackServerContext* context, const v1::RevokeLeaseRequest* request,
                                        v1::WriteResponse* response) override {
    return write(
        context, [request]() -> Result<barn::Command> { return to_command(*request); }, into(response));
  }
  grpc::ServerUnaryReactor* KeepLease(grpc::CallbackServerContext* context, const v1::KeepLeaseRequest* request,
                                      v1::KeepLeaseResponse* response) override {
    return call(context, false, [this, request, response](uint64_t id) {
      // A majority is asked whether this member leads still: one that was deposed and has not heard of it would promise
      // what its successor does not keep.
      read(id, false, [this, request, response, id](Status status) {
        const barn::LeaseId lease = from_wire(request->lease());
        if (status.ok()) status = replica_.keep_alive(lease);
        if (status.ok())
          response->set_remaining_micros(
              replica_.leases().remaining_micros(lease, system_clock().steady_nanos()).value_or(0));
        finish(id, status);
      });
    });
  }
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRequest* request,
                                v1::GetResponse* response) override {
    return call(context, false, [this, request, response](uint64_t id) {
      read(id, request->serializable(), [this, request, response, id](const Status& status) {
        finish(id, status.ok() ? get(*request, response) : status);
      });
    });
  }
  grpc::ServerUnaryReactor* Range(grpc::CallbackServerContext* context, const v1::RangeRequest* request,
                                  v1::RangeResponse* response) override {
    return call(context, false, [this, request, response](uint64_t id) {
      read(id, request->serializable(), [this, request, response, id](const Status& status) {
        finish(id, status.ok() ? range(*request, response) : status);
      });
    });
  }
  grpc::ServerBidiReactor<v1::PackRequest, v1::PackResponse>* Pack(grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override;
  grpc::ServerReadReactor<v1::PutChunkRequest>* PutChunk(grpc::CallbackServerContext* context,
                                                         v1::PutChunkResponse* response) override {
    return chunk_calls_.put(context, may_use_keys(*context, options_.trust_domain), response);
  }
  grpc::ServerWriteReactor<v1::GetChunkPiece>* GetChunk(grpc::CallbackServerContext* context,
                                                        const v1::GetChunkRequest* request) override {
    return chunk_calls_.get(context, may_use_keys(*context, options_.trust_domain), request);
  }

  // ---- on the loop

  Status get(const v1::GetRequest& request, v1::GetResponse* response) {
    RUNINK_RETURN_IF_ERROR(check_user_key(request.key()));
    auto found = replica_.machine().get(request.key());
    if (!found.ok()) return std::move(found).status();
    response->set_index(replica_.position().index);
    if (found->has_value()) to_wire(std::move(**found), response->mutable_item());
    return {};
  }
  Status range(const v1::RangeRequest& request, v1::RangeResponse* response) {
    auto found = replica_.machine().range(keep_to_user_keys({request.from(), request.to()}), range_options(request));
    if (!found.ok()) return std::move(found).status();
    to_wire(std::move(*found), replica_.position().index, response);
    if (request.want_members()) tell_members(response);
    return {};
  }
  template <typename Response>
  void tell_members(Response* response) const {
    if (!options_.api_addresses) return;
    for (std::string& address : options_.api_addresses()) response->add_members(std::move(address));
  }
  OpenCalls& calls() { return calls_; }

  // `done` is called only while the call is open.
  void read(uint64_t id, bool serializable, std::function<void(const Status&)> done) {
    if (serializable) return done(Status());
    replica_.read([this, alive = calls_.alive(), id, done = std::move(done)](const Status& status) {
      if (*alive && calls_.is_open(id)) done(status);
    });
  }
  void execute(uint64_t id, barn::Command command, std::function<void(Result<barn::Answer>)> done) {
    if (Status refused = keep_to_user_keys(command); !refused.ok()) return done(std::move(refused));
    replica_.execute(std::move(command),
                     [this, alive = calls_.alive(), id, done = std::move(done)](Result<barn::Answer> answer) {
                       if (*alive && calls_.is_open(id)) done(std::move(answer));
                     });
  }
  const barn::Replica& replica() const { return replica_; }
  barn::WatchHub& hub() { return replica_.hub(); }
  net::EventLoop& loop() { return loop_; }
  const std::string& trust_domain() const { return options_.trust_domain; }
  const std::shared_ptr<bool>& alive() const { return calls_.alive(); }
  void note_packed(size_t n) { packed_ += n; }
  void note_packed_failure(Code code) { ++packed_failures_[static_cast<size_t>(code)]; }
  void adopt(PackStream* stream) { packs_[stream] = true; }
  void drop(PackStream* stream) { packs_.erase(stream); }
  void add_watch(barn::WatchId id, WatchStream* stream) {
    ++watches_;
    watch_streams_[id] = stream;
  }
  void drop_watch(barn::WatchId id) {
    if (watch_streams_.erase(id) > 0) replica_.hub().cancel(id);
  }

 private:
  using Fill = std::function<void(barn::Answer&&)>;
  static Fill into(v1::WriteResponse* response) {
    return [response](barn::Answer&& answer) { to_wire(std::move(answer), response); };
  }

  // Whoever shows one identity of this cluster may read and write keys.
  grpc::ServerUnaryReactor* call(grpc::CallbackServerContext* context, bool write, std::function<void(uint64_t)> work) {
    const Status refused = may_use_keys(*context, options_.trust_domain);
    return refused.ok() ? calls_.start(context, write, std::move(work)) : calls_.refuse(context, refused);
  }
  // Where the leader serves, for whoever asked another member.
  Status with_leader(Status status) const {
    if (status.kind() != "barn.not_leader" || status.details().size() != 1 || !options_.api_address) return status;
    const std::string address = options_.api_address(std::strtoull(status.details()[0].c_str(), nullptr, 10));
    return address.empty() ? std::move(status) : std::move(status).with_detail(address);
  }
  template <typename MakeCommand>
  grpc::ServerUnaryReactor* write(grpc::CallbackServerContext* context, MakeCommand make, Fill fill) {
    return call(context, true, [this, make, fill = std::move(fill)](uint64_t id) {
      Result<barn::Command> command = make();
      if (!command.ok()) return finish(id, command.status());
      execute(id, std::move(*command), [this, id, fill](Result<barn::Answer> answer) {
        if (!answer.ok()) return finish(id, answer.status());
        const Status refused = barn::to_status(*answer);
        if (refused.ok()) fill(std::move(*answer));
        finish(id, refused);
      });
    });
  }
  void finish(uint64_t id, Status status) { calls_.finish(id, std::move(status)); }

  void turn();
  void bookmark_later();
  void end();

  net::EventLoop& loop_;
  barn::Replica& replica_;
  const ApiOptions options_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<net::Listener> listener_;
  net::RateLimit handshakes_{kHandshakesPerSecond};
  uint64_t connections_refused_ = 0;
  int port_ = 0;
  OpenCalls calls_;
  ChunkCalls chunk_calls_;
  net::EventLoop::TimerId bookmarks_ = 0;
  std::shared_ptr<CallCounts> counts_ = std::make_shared<CallCounts>();
  ByCode packed_failures_{};
  std::map<PackStream*, bool> packs_;
  std::map<barn::WatchId, WatchStream*> watch_streams_;
  uint64_t generation_;  // of the state that the watches belong to
  uint64_t packed_ = 0, watches_ = 0;
};

// One stream of packed operations. Its state is the loop's, but for what a gRPC thread needs between two callbacks.
class PackStream final : public grpc::ServerBidiReactor<v1::PackRequest, v1::PackResponse> {
 public:
  PackStream(Server& server, grpc::CallbackServerContext* context) : server_(server), alive_(server.alive()) {
    if (const Status status = may_use_keys(*context, server.trust_domain()); !status.ok()) {
      server.calls().note_refused();
      finished_ = true;
      Finish(to_grpc(status));
      return;
    }
    server_.loop().post([this, alive = alive_] {
      if (!*alive) return finish(stopping(true));
      server_.adopt(this);
      go_on();
    });
  }

  void OnReadDone(bool ok) override {
    server_.loop().post([this, alive = alive_, ok] {
      if (!*alive) return;
      reading_ = false;
      if (!ok) {
        half_closed_ = true;
        return finish_when_idle();
      }
      server_.note_packed(static_cast<size_t>(request_.operations_size()));
      go_on();
    });
  }
  void OnWriteDone(bool ok) override {
    server_.loop().post([this, alive = alive_, ok] {
      if (!*alive) return;
      writing_ = false;
      if (!ok) return finish(unavailable("the stream broke"));
      flush();
      finish_when_idle();
    });
  }
  void OnCancel() override {
    server_.loop().post([this, alive = alive_] {
      if (*alive) finish(cancelled("the stream was cancelled"));
    });
  }
  // The last callback. What is still posted for it comes before this task in the loop's queue.
  void OnDone() override {
    server_.loop().post([this, alive = alive_] {
      if (*alive) server_.drop(this);
      *here_ = false;
      delete this;
    });
  }

  void finish(const Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(to_grpc(status));
  }
  // At the end of a turn: what has been answered in it goes out together.
  void flush() {
    if (finished_ || writing_ || gathered_.results_size() == 0) return;
    writing_ = true;
    sending_.Clear();
    gathered_bytes_ <= kPackedBytes ? sending_.Swap(&gathered_) : send_some();
    gathered_bytes_ = 0;
    for (const auto& result : gathered_.results()) gathered_bytes_ += result.ByteSizeLong();
    StartWrite(&sending_);
    go_on_later();
  }

 private:
  v1::PackResponse::Result* result(uint64_t number) {
    --under_way_;
    v1::PackResponse::Result* const out = gathered_.add_results();
    out->set_number(number);
    return out;
  }
  void fail(uint64_t number, const Status& status) {
    server_.note_packed_failure(status.code());
    to_wire(server_.calls().dressed(status), result(number)->mutable_failure());
  }
  // One message must not be larger than a client takes.
  void send_some() {
    auto& results = *gathered_.mutable_results();
    int count = 0;
    for (size_t bytes = 0; count < results.size() && bytes < kPackedBytes; ++count)
      bytes += results[count].ByteSizeLong();
    std::vector<v1::PackResponse::Result*> some(static_cast<size_t>(count));
    results.ExtractSubrange(0, count, some.data());
    for (v1::PackResponse::Result* each : some) sending_.mutable_results()->AddAllocated(each);
  }

  bool room() const { return under_way_ < kPackedOpen && gathered_bytes_ < kPackedBytes; }
  // Begins what was read, as far as there is room, and reads on when all of it has begun.
  void go_on() {
    while (!finished_ && room() && next_ < request_.operations_size()) begin(*request_.mutable_operations(next_++));
    if (finished_ || reading_ || half_closed_ || !room() || next_ < request_.operations_size()) return;
    request_.Clear();
    next_ = 0;
    reading_ = true;
    StartRead(&request_);
  }
  // In a turn of its own: this may be in the midst of one, in which nothing more can be proposed.
  void go_on_later() {
    const bool gives = !held_.empty() && gathered_bytes_ < kPackedBytes, begins = room() && !reading_ && !half_closed_;
    if (later_ || (!gives && !begins)) return;
    later_ = true;
    server_.loop().post([this, alive = alive_, here = here_] {
      if (!*alive || !*here) return;
      later_ = false;
      while (!held_.empty() && gathered_bytes_ < kPackedBytes) {
        const auto give = std::move(held_.front());
        held_.pop_front();
        give();
      }
      go_on();
    });
  }
  void begin(v1::PackRequest::Operation& operation) {
    ++under_way_;
    const uint64_t number = operation.number();
    switch (operation.request_case()) {
      case v1::PackRequest::Operation::kGet: {
        const bool serializable = operation.get().serializable();
        auto request = std::make_shared<v1::GetRequest>(std::move(*operation.mutable_get()));
        return read(number, serializable, [this, number, request] {
          v1::GetResponse response;
          const Status got = server_.get(*request, &response);
          got.ok() ? result(number)->mutable_get()->Swap(&response) : fail(number, got);
        });
      }
      case v1::PackRequest::Operation::kRange: {
        const bool serializable = operation.range().serializable();
        auto request = std::make_shared<v1::RangeRequest>(std::move(*operation.mutable_range()));
        return read(number, serializable, [this, number, request] {
          v1::RangeResponse response;
          const Status got = server_.range(*request, &response);
          got.ok() ? result(number)->mutable_range()->Swap(&response) : fail(number, got);
        });
      }
      case v1::PackRequest::Operation::kPut:
        return execute(number, to_command(operation.put()));
      case v1::PackRequest::Operation::kDelete:
        return execute(number, to_command(operation.delete_()));
      case v1::PackRequest::Operation::kDeleteRange:
        return execute(number, to_command(operation.delete_range()));
      case v1::PackRequest::Operation::kTxn:
        return execute(number, to_command(operation.txn()));
      case v1::PackRequest::Operation::REQUEST_NOT_SET:
        break;
    }
    fail(number, invalid_argument("operation {} is empty, or of a kind that is not known", number));
    answered();
  }
  // An operation has the time that a call has. The stream may be gone before it.
  uint64_t open(uint64_t number, bool write) {
    const int64_t deadline = system_clock().steady_nanos() + int64_t{kCallSeconds} * 1'000'000'000;
    return server_.calls().begin(write, deadline, [this, here = here_, number](const Status& status) {
      if (!*here) return;
      fail(number, status);
      answered();
    });
  }
  void read(uint64_t number, bool serializable, std::function<void()> give) {
    const uint64_t id = open(number, false);
    auto done = [this, &server = server_, here = here_, id, number, give = std::move(give)](const Status& status) {
      server.calls().close(id);  // the stream may be gone, and with it all that `this` leads to
      if (!*here) return;
      status.ok() ? give() : fail(number, status);
      answered();
    };
    server_.read(id, serializable, std::move(done));
  }
  void execute(uint64_t number, Result<barn::Command> command) {
    if (!command.ok()) {
      fail(number, command.status());
      return answered();
    }
    const uint64_t id = open(number, true);
    auto done = [this, &server = server_, here = here_, id, number](Result<barn::Answer> answer) {
      server.calls().close(id);
      if (!*here) return;
      const Status status = answer.ok() ? barn::to_status(*answer) : answer.status();
      status.ok() ? to_wire(std::move(*answer), result(number)->mutable_write()) : fail(number, status);
      answered();
    };
    server_.execute(id, std::move(*command), std::move(done));
  }
  // The last of the results has just been put there.
  void answered() {
    gathered_bytes_ += gathered_.results().rbegin()->ByteSizeLong();
    go_on_later();
    finish_when_idle();
  }
  void finish_when_idle() {
    if (half_closed_ && under_way_ == 0 && !writing_ && gathered_.results_size() == 0) finish(Status());
  }

  Server& server_;
  std::shared_ptr<bool> alive_;
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);
  v1::PackRequest request_;
  int next_ = 0;  // of its operations: the first that has not begun
  v1::PackResponse gathered_, sending_;
  size_t under_way_ = 0, gathered_bytes_ = 0;
  std::deque<std::function<void()>> held_;  // reads that are confirmed, for when there is room for what they read
  bool reading_ = false, writing_ = false, later_ = false, half_closed_ = false, finished_ = false;
};

constexpr int64_t kTellMembersNanos = 5'000'000'000;

class WatchStream final : public grpc::ServerWriteReactor<v1::WatchResponse> {
 public:
  WatchStream(Server& server, grpc::CallbackServerContext* context, const v1::WatchRequest* request)
      : server_(server), alive_(server.alive()) {
    if (const Status status = may_use_keys(*context, server.trust_domain()); !status.ok()) {
      server.calls().note_refused();
      finished_ = true;
      Finish(to_grpc(status));
      return;
    }
    server_.loop().post([this, alive = alive_, wanted = watch_request(*request)] {
      if (!*alive) return finish(stopping(false));
      auto id = server_.hub().watch(wanted, server_.replica().position().index);
      if (!id.ok()) return finish(id.status());
      id_ = *id;
      server_.add_watch(id_, this);
      // Says that it begins, and behind which index.
      const barn::Index behind = wanted.from == 0 ? server_.replica().position().index : wanted.from - 1;
      barn::WatchAnswer first;
      first.through = behind;
      send(std::move(first));
    });
  }
  void OnWriteDone(bool ok) override {
    server_.loop().post([this, alive = alive_, ok] {
      if (!*alive) return;
      writing_ = false;
      if (!ok) return finish(unavailable("the stream broke"));
      if (ready_) more();
    });
  }
  void OnCancel() override {
    server_.loop().post([this, alive = alive_] {
      if (*alive) finish(cancelled("the watch was cancelled"));
    });
  }
  void OnDone() override {
    server_.loop().post([this, alive = alive_] {
      if (*alive && id_ != 0) server_.drop_watch(id_);
      delete this;
    });
  }
  void finish(const Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(to_grpc(status));
  }
  // The hub that knew this watch is no more.
  void gone() {
    id_ = 0;
    finish(unavailable("this member took over a snapshot: watch again from the next index"));
  }
  // It has had nothing for a while: whoever comes back later goes on from here, and not from what was forgotten since.
  void bookmark() {
    if (writing_ || finished_ || ready_ || id_ == 0) return;
    const auto through = server_.hub().bookmark(id_);
    if (!through.ok() || !through->has_value() || **through <= told_through_) return;
    barn::WatchAnswer answer;
    answer.through = **through;
    send(std::move(answer));
  }
  // There is something to fetch.
  void more() {
    ready_ = true;
    if (writing_ || finished_) return;
    ready_ = false;
    auto answer = server_.hub().poll(id_);
    if (!answer.ok()) return finish(answer.status());
    ready_ = answer->more;
    if (answer->changes.empty() && !answer->more) return;
    send(std::move(*answer));
  }

 private:
  void send(barn::WatchAnswer answer) {
    writing_ = true;
    told_through_ = std::max(told_through_, answer.through);
    response_.Clear();
    to_wire(std::move(answer), server_.replica().machine().incarnation(), &response_);
    if (members_told_nanos_ == 0 || server_.loop().now() - members_told_nanos_ >= kTellMembersNanos) {
      members_told_nanos_ = server_.loop().now();
      server_.tell_members(&response_);
    }
    StartWrite(&response_);
  }
  Server& server_;
  std::shared_ptr<bool> alive_;
  barn::WatchId id_ = 0;
  barn::Index told_through_ = 0;
  int64_t members_told_nanos_ = 0;
  v1::WatchResponse response_;
  bool writing_ = false, ready_ = false, finished_ = false;
};

grpc::ServerBidiReactor<v1::PackRequest, v1::PackResponse>* Server::Pack(grpc::CallbackServerContext* context) {
  return new PackStream(*this, context);
}
grpc::ServerWriteReactor<v1::WatchResponse>* Server::Watch(grpc::CallbackServerContext* context,
                                                           const v1::WatchRequest* request) {
  return new WatchStream(*this, context, request);
}

void Server::bookmark_later() {
  bookmarks_ = loop_.call_after(options_.bookmark_nanos, [this] {
    for (const auto& [id, stream] : watch_streams_) stream->bookmark();
    bookmark_later();
  });
}

void Server::turn() {
  if (generation_ != replica_.state_generation()) {
    // A snapshot has taken the place of the state. Whoever watches comes back and goes on where it was.
    generation_ = replica_.state_generation();
    for (const auto& [id, stream] : std::exchange(watch_streams_, {})) stream->gone();
  }
  for (const barn::WatchId id : replica_.hub().take_ready()) {
    const auto found = watch_streams_.find(id);
    if (found != watch_streams_.end()) found->second->more();
  }
  for (const auto& [stream, there] : packs_) stream->flush();
}

void Server::end() {
  if (!*calls_.alive()) return;
  loop_.cancel(bookmarks_);
  listener_.reset();
  calls_.end();
  if (options_.on_stop) options_.on_stop();
  for (const auto& [stream, there] : packs_) stream->finish(stopping(true));
  for (const auto& [id, stream] : watch_streams_) stream->finish(stopping(false));
  if (server_) {
    // Calls that were posted and have not begun are finished by the loop, so it has to turn meanwhile.
    std::atomic<bool> down{false};
    std::thread waits([&] {
      server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
      server_->Wait();
      down = true;
    });
    while (!down) loop_.turn(10'000'000);
    waits.join();
    loop_.turn(0);
  }
}

}  // namespace

Result<std::unique_ptr<KeyValueServer>> KeyValueServer::start(net::EventLoop& loop, barn::Replica& replica,
                                                              const ApiOptions& options) {
  auto server = std::make_unique<Server>(loop, replica, options);
  RUNINK_RETURN_IF_ERROR(server->listen());
  return std::unique_ptr<KeyValueServer>(std::move(server));
}

}  // namespace runink::api
