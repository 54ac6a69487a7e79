#include "client/sdk/client.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "client/sdk/chunk_transfers.h"
#include "client/sdk/lane.h"
#include "client/sdk/lease_keeper.h"
#include "client/sdk/watching.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/random.h"

namespace runink::sdk {
namespace {

constexpr size_t kOperationBytesMax = 2 << 20, kChunkBytesMax = 8 << 20;
constexpr int64_t kCloseNanos = 500'000'000;

Status destroyed() { return cancelled("the client was destroyed, and nothing was sent").with_kind("barn.not_sent"); }

class Client final : public BarnClient {
 public:
  Client(ClientOptions options, std::unique_ptr<net::EventLoop> loop)
      : options_(std::move(options)), loop_(std::move(loop)), channels_(options_) {
    context_.loop = loop_.get();
    context_.options = &options_;
    context_.channels = &channels_;
    context_.random = crypto::random_u64;
    context_.release = [this](size_t bytes) { release(bytes); };
    leader_ = std::make_unique<Lane>(context_, Lane::Kind::kLeader);
    any_member_ = std::make_unique<Lane>(context_, Lane::Kind::kAnyMember);
    chunks_ = std::make_unique<ChunkTransfers>(context_, [this] { return leader_->address(); });
    loop_->add_hook([this] {
      if (leader_) leader_->turn();
      if (any_member_) any_member_->turn();
    });
    thread_ = std::thread([this] { loop_->run(); });
    thread_id_ = thread_.get_id();
  }

  ~Client() override {
    RUNINK_CHECK(!on_own_thread());
    *link_ = nullptr;
    loop_->post([this] { stop(); });
    thread_.join();
  }

  using BarnClient::get;
  using BarnClient::get_chunk;
  using BarnClient::grant_lease;
  using BarnClient::keep_lease;
  using BarnClient::put;
  using BarnClient::put_chunk;
  using BarnClient::range;
  using BarnClient::remove;
  using BarnClient::remove_range;
  using BarnClient::revoke_lease;
  using BarnClient::txn;

  void put(v1::PutRequest request, CallOptions options, Callback<v1::WriteResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void remove(v1::DeleteRequest request, CallOptions options, Callback<v1::WriteResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void remove_range(v1::DeleteRangeRequest request, CallOptions options, Callback<v1::WriteResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void txn(v1::TxnRequest request, CallOptions options, Callback<v1::WriteResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void get(v1::GetRequest request, CallOptions options, Callback<v1::GetResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void range(v1::RangeRequest request, CallOptions options, Callback<v1::RangeResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void grant_lease(v1::GrantLeaseRequest request, CallOptions options, Callback<v1::GrantLeaseResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void keep_lease(v1::KeepLeaseRequest request, CallOptions options, Callback<v1::KeepLeaseResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }
  void revoke_lease(v1::RevokeLeaseRequest request, CallOptions options, Callback<v1::WriteResponse> done) override {
    submit(std::move(request), options, std::move(done));
  }

  void put_chunk(std::string bytes, CallOptions options, Callback<v1::PutChunkResponse> done) override;
  void get_chunk(v1::GetChunkRequest chunk, CallOptions options, Callback<std::string> done) override;

  Result<std::unique_ptr<Lease>> hold_lease(int64_t ttl_micros, std::function<void(const Status&)> on_lost,
                                            CallOptions options) override;
  std::unique_ptr<Watch> watch(v1::WatchRequest request, WatchHandlers handlers) override;

  Counters counters() const override {
    Counters out;
    run([&] { out = context_.counters; });
    return out;
  }

 protected:
  bool on_own_thread() const override { return std::this_thread::get_id() == thread_id_; }

 private:
  class HeldLease;
  class HeldWatch;

  template <typename Sent, typename Got>
  void submit(Sent request, CallOptions options, Callback<Got> done);
  void transfer(ChunkWork work, CallOptions options);
  void enter(std::unique_ptr<Operation> operation);
  Status take_room(size_t bytes, int64_t deadline, bool wait);
  void release(size_t bytes);
  void take_in();
  void stop();
  void wait_for_calls();
  // On the client's thread; returns when it is done.
  void run(const std::function<void()>& task) const {
    if (on_own_thread()) return task();
    const auto done = std::make_shared<std::promise<void>>();
    loop_->post([&task, done] {
      task();
      done->set_value();
    });
    done->get_future().wait();
  }

  const ClientOptions options_;
  const std::unique_ptr<net::EventLoop> loop_;
  Channels channels_;
  Context context_;
  std::unique_ptr<Lane> leader_, any_member_;
  std::unique_ptr<ChunkTransfers> chunks_;
  std::map<uint64_t, std::unique_ptr<Watching>> watches_;
  std::map<uint64_t, std::unique_ptr<LeaseKeeper>> keepers_;
  uint64_t last_id_ = 0;
  std::thread thread_;
  std::thread::id thread_id_;

  std::mutex mutex_;
  std::condition_variable room_;
  std::vector<std::unique_ptr<Operation>> inbox_;  // under mutex_
  size_t operations_ = 0, bytes_ = 0;              // under mutex_
  size_t waiting_ = 0;                             // under mutex_: for room
  bool closing_ = false;                           // under mutex_
  // For handles that outlive this.
  const std::shared_ptr<std::atomic<Client*>> link_ = std::make_shared<std::atomic<Client*>>(this);
};

template <typename Sent, typename Got>
void Client::submit(Sent request, CallOptions options, Callback<Got> done) {
  auto operation = std::make_unique<Operation>();
  operation->request = std::move(request);
  operation->bytes = request_bytes(operation->request);
  operation->deadline_nanos =
      options.deadline_nanos != 0 ? options.deadline_nanos : system_clock().steady_nanos() + options_.timeout_nanos;
  if (operation->bytes > kOperationBytesMax) {
    return done(invalid_argument("a {} of {} bytes is larger than a message may be ({})", name_of(operation->request),
                                 operation->bytes, kOperationBytesMax)
                    .with_kind("barn.not_sent"));
  }
  const bool wait = options.wait_for_room && !on_own_thread();
  if (Status status = take_room(operation->bytes, operation->deadline_nanos, wait); !status.ok())
    return done(std::move(status));
  operation->done = [done = std::move(done)](Result<Reply> reply) {
    if (!reply.ok()) return done(reply.status());
    Got* const got = std::get_if<Got>(&*reply);
    if (got == nullptr)
      return done(Status(Code::kUnknown, "the member answered another question").with_kind("barn.unknown"));
    done(std::move(*got));
  };
  enter(std::move(operation));
}

Status Client::take_room(size_t bytes, int64_t deadline, bool wait) {
  std::unique_lock lock(mutex_);
  const auto fits = [&] {
    return closing_ || operations_ == 0 ||
           (operations_ < options_.operations_max && bytes_ + bytes <= options_.bytes_max);
  };
  if (!fits() && wait) {
    ++waiting_;
    const int64_t left = deadline - system_clock().steady_nanos();
    room_.wait_for(lock, std::chrono::nanoseconds(std::max<int64_t>(left, 0)), fits);
    --waiting_;
  }
  if (!fits()) {
    return resource_exhausted("{} operations of {} bytes are under way, and this client takes {} and {}", operations_,
                              bytes_, options_.operations_max, options_.bytes_max)
        .with_kind("barn.not_sent")
        .with_hint("wait for answers before asking for more, or raise the bounds of the client");
  }
  if (closing_) return destroyed();
  ++operations_;
  bytes_ += bytes;
  return {};
}

void Client::release(size_t bytes) {
  const std::lock_guard lock(mutex_);
  --operations_;
  bytes_ -= bytes;
  if (waiting_ > 0) room_.notify_all();
}

void Client::enter(std::unique_ptr<Operation> operation) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = inbox_.empty();
    inbox_.push_back(std::move(operation));
  }
  if (first) loop_->post([this] { take_in(); });
}

void Client::take_in() {
  std::vector<std::unique_ptr<Operation>> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(inbox_);
  }
  for (auto& operation : taken)
    (is_serializable(operation->request) ? any_member_ : leader_)->add(std::move(operation));
}

// ---- chunks

void Client::put_chunk(std::string bytes, CallOptions options, Callback<v1::PutChunkResponse> done) {
  ChunkWork work;
  const crypto::Digest256 hash = crypto::sha256(bytes);
  work.chunk.set_hash(hash.data(), hash.size());
  work.chunk.set_size(bytes.size());
  work.bytes = std::make_shared<const std::string>(std::move(bytes));
  work.done = [chunk = work.chunk, done = std::move(done)](const Result<std::string>& stored) {
    if (!stored.ok()) return done(stored.status());
    v1::PutChunkResponse response;
    response.set_hash(chunk.hash());
    response.set_size(chunk.size());
    done(std::move(response));
  };
  transfer(std::move(work), options);
}

void Client::get_chunk(v1::GetChunkRequest chunk, CallOptions options, Callback<std::string> done) {
  ChunkWork work;
  work.chunk = std::move(chunk);
  work.done = std::move(done);
  transfer(std::move(work), options);
}

void Client::transfer(ChunkWork work, CallOptions options) {
  const size_t bytes = work.chunk.size();
  if (bytes > kChunkBytesMax) {
    return work.done(
        invalid_argument("a chunk of {} bytes; {} are the most", bytes, kChunkBytesMax).with_kind("barn.not_sent"));
  }
  work.deadline_nanos =
      options.deadline_nanos != 0 ? options.deadline_nanos : system_clock().steady_nanos() + options_.timeout_nanos;
  const bool wait = options.wait_for_room && !on_own_thread();
  if (Status status = take_room(bytes, work.deadline_nanos, wait); !status.ok()) return work.done(std::move(status));
  work.done = [this, bytes, done = std::move(work.done)](Result<std::string> result) {
    ++context_.counters.answers;
    release(bytes);
    done(std::move(result));
  };
  loop_->post([this, work = std::move(work)]() mutable { chunks_->add(std::move(work)); });
}

// ---- the end

void Client::stop() {
  {
    // What callbacks ask for from here on is refused.
    const std::lock_guard lock(mutex_);
    closing_ = true;
    room_.notify_all();
  }
  take_in();
  const Status why = cancelled("the client was destroyed");
  for (const auto& [id, keeper] : keepers_) keeper->lose(why);
  for (const auto& [id, watching] : watches_) watching->end();
  chunks_->stop();
  any_member_->stop();
  leader_->answer_all();
  leader_->close_sessions(kCloseNanos, [this] {
    // Not from within an event of the connection.
    loop_->post([this] {
      leader_->stop();
      wait_for_calls();
    });
  });
}

void Client::wait_for_calls() {
  // gRPC's last callbacks are posted here, and each brings a turn.
  if (context_.open_calls > 0) {
    loop_->call_after(1'000'000, [this] { wait_for_calls(); });
    return;
  }
  keepers_.clear();
  watches_.clear();
  chunks_.reset();
  leader_.reset();
  any_member_.reset();
  loop_->stop();
}

// ---- leases and watches

class Client::HeldLease final : public Lease {
 public:
  HeldLease(std::shared_ptr<std::atomic<Client*>> link, uint64_t id, std::shared_ptr<LeaseKeeper::State> state)
      : link_(std::move(link)), id_(id), state_(std::move(state)) {}
  ~HeldLease() override {
    Client* const client = *link_;
    if (client == nullptr) return;
    client->run([this, client] {
      const auto found = client->keepers_.find(id_);
      if (found == client->keepers_.end()) return;
      found->second->end();
      // This may be its own callback.
      net::dispose(*client->loop_, std::move(found->second));
      client->keepers_.erase(found);
    });
  }
  const v1::Token& token() const override { return state_->token; }
  bool held() const override { return system_clock().steady_nanos() < state_->held_until_nanos; }
  int64_t held_until_nanos() const override { return state_->held_until_nanos; }

 private:
  const std::shared_ptr<std::atomic<Client*>> link_;
  const uint64_t id_;
  const std::shared_ptr<LeaseKeeper::State> state_;
};

Result<std::unique_ptr<Lease>> Client::hold_lease(int64_t ttl_micros, std::function<void(const Status&)> on_lost,
                                                  CallOptions options) {
  const int64_t asked = system_clock().steady_nanos();
  v1::GrantLeaseRequest request;
  request.set_ttl_micros(ttl_micros);
  auto state = std::make_shared<LeaseKeeper::State>();
  state->token = RUNINK_TRY(BarnClient::grant_lease(std::move(request), options)).lease();
  uint64_t id = 0;
  run([&] {
    id = ++last_id_;
    keepers_[id] = std::make_unique<LeaseKeeper>(context_, *leader_, state, ttl_micros, asked, std::move(on_lost));
  });
  return std::unique_ptr<Lease>(std::make_unique<HeldLease>(link_, id, std::move(state)));
}

class Client::HeldWatch final : public Watch {
 public:
  HeldWatch(std::shared_ptr<std::atomic<Client*>> link, uint64_t id) : link_(std::move(link)), id_(id) {}
  ~HeldWatch() override {
    Client* const client = *link_;
    if (client == nullptr) return;
    client->run([this, client] {
      const auto found = client->watches_.find(id_);
      if (found == client->watches_.end()) return;
      found->second->end();
      // This may be one of its own callbacks.
      net::dispose(*client->loop_, std::move(found->second));
      client->watches_.erase(found);
    });
  }

 private:
  const std::shared_ptr<std::atomic<Client*>> link_;
  const uint64_t id_;
};

std::unique_ptr<Watch> Client::watch(v1::WatchRequest request, WatchHandlers handlers) {
  uint64_t id = 0;
  run([&] {
    id = ++last_id_;
    watches_[id] = std::make_unique<Watching>(context_, *leader_, std::move(request), std::move(handlers));
    // After this has returned, where it is called in a callback.
    loop_->post([this, id] {
      const auto found = watches_.find(id);
      if (found != watches_.end()) found->second->start();
    });
  });
  return std::make_unique<HeldWatch>(link_, id);
}

}  // namespace

Result<std::unique_ptr<BarnClient>> BarnClient::create(ClientOptions options) {
  if (options.endpoints.empty()) return invalid_argument("no endpoint of the Barn was given");
  for (const std::string& endpoint : options.endpoints) RUNINK_RETURN_IF_ERROR(check_endpoint(endpoint));
  if (options.certificate_pem.empty() || options.key_pem.empty() || options.authorities_pem.empty())
    return invalid_argument("the Barn speaks only with who shows a certificate, and none was given");
  if (options.operations_max == 0 || options.sessions_max == 0 || options.silence_nanos < 1'000'000)
    return invalid_argument("the client's bounds are zero");
  auto loop = RUNINK_TRY(net::EventLoop::create());
  return std::unique_ptr<BarnClient>(std::make_unique<Client>(std::move(options), std::move(loop)));
}

// ---- blocking calls

namespace {

template <typename Got, typename Start>
Result<Got> wait_for(bool on_own_thread, Start start) {
  if (on_own_thread)
    return failed_precondition("this call waits for the thread that it is made on")
        .with_hint("in callbacks of the client, use the calls that take a callback");
  const auto answer = std::make_shared<std::promise<Result<Got>>>();
  start([answer](Result<Got> got) { answer->set_value(std::move(got)); });
  return answer->get_future().get();
}

}  // namespace

#define RUNINK_BLOCKING(name, Sent, Got)                                                                           \
  Result<v1::Got> BarnClient::name(v1::Sent request, CallOptions options) {                                        \
    return wait_for<v1::Got>(on_own_thread(),                                                                      \
                             [&](Callback<v1::Got> done) { name(std::move(request), options, std::move(done)); }); \
  }
RUNINK_BLOCKING(put, PutRequest, WriteResponse)
RUNINK_BLOCKING(remove, DeleteRequest, WriteResponse)
RUNINK_BLOCKING(remove_range, DeleteRangeRequest, WriteResponse)
RUNINK_BLOCKING(txn, TxnRequest, WriteResponse)
RUNINK_BLOCKING(get, GetRequest, GetResponse)
RUNINK_BLOCKING(range, RangeRequest, RangeResponse)
RUNINK_BLOCKING(grant_lease, GrantLeaseRequest, GrantLeaseResponse)
RUNINK_BLOCKING(keep_lease, KeepLeaseRequest, KeepLeaseResponse)
RUNINK_BLOCKING(revoke_lease, RevokeLeaseRequest, WriteResponse)
#undef RUNINK_BLOCKING

Result<v1::PutChunkResponse> BarnClient::put_chunk(std::string bytes, CallOptions options) {
  return wait_for<v1::PutChunkResponse>(on_own_thread(), [&](Callback<v1::PutChunkResponse> done) {
    put_chunk(std::move(bytes), options, std::move(done));
  });
}
Result<std::string> BarnClient::get_chunk(v1::GetChunkRequest chunk, CallOptions options) {
  return wait_for<std::string>(
      on_own_thread(), [&](Callback<std::string> done) { get_chunk(std::move(chunk), options, std::move(done)); });
}

}  // namespace runink::sdk
