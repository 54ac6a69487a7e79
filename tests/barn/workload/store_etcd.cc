// etcd 3.4 by unary calls. Whatever goes wrong with a write leaves it unknown: etcd's clients cannot tell more.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>

#include "etcd_kv.grpc.pb.h"
#include "store.h"

namespace runink::workload {
namespace {

namespace pb = etcdserverpb;

constexpr int64_t kPage = 1000;

class EtcdStore final : public Store {
 public:
  explicit EtcdStore(const Access& access) : timeout_(access.timeout_nanos), stale_(access.stale_reads) {
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = access.authorities_pem;
    ssl.pem_private_key = access.key_pem;
    ssl.pem_cert_chain = access.certificate_pem;
    const auto credentials = grpc::SslCredentials(ssl);
    const auto stub = [&credentials](const std::string& endpoint) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
      return pb::KV::NewStub(grpc::CreateCustomChannel(endpoint, credentials, arguments));
    };
    for (const std::string& endpoint : access.endpoints) stubs_.push_back(stub(endpoint));
    if (!access.reads_endpoint.empty()) reads_ = stub(access.reads_endpoint);
  }

  Outcome read(const std::vector<std::string>& keys, std::vector<Versioned>* out) override {
    out->clear();
    pb::TxnRequest request;
    for (const std::string& key : keys) {
      pb::RangeRequest& range = *request.add_success()->mutable_request_range();
      range.set_key(key);
      range.set_serializable(stale_);
    }
    if (stale_ || keys.size() == 1) return read_each(request, out);
    pb::TxnResponse response;
    if (!call([&](pb::KV::Stub& stub, grpc::ClientContext* c) { return stub.Txn(c, request, &response); }))
      return Outcome::kRefused;
    for (const pb::ResponseOp& op : response.responses()) out->push_back(versioned(op.response_range()));
    return Outcome::kDone;
  }
  Outcome write(const std::string& key, const std::string& value) override {
    pb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    pb::PutResponse response;
    return call([&](pb::KV::Stub& stub, grpc::ClientContext* c) { return stub.Put(c, request, &response); })
               ? Outcome::kDone
               : Outcome::kUnknown;
  }
  Outcome compare_and_set(const std::string& key, const std::optional<std::string>& expected, const std::string& value,
                          bool* took_place) override {
    pb::TxnRequest request;
    pb::Compare& compare = *request.add_compare();
    compare.set_key(key);
    if (expected) {
      compare.set_target(pb::Compare::VALUE);
      compare.set_value(*expected);
    } else {
      compare.set_target(pb::Compare::MOD);
      compare.set_mod_revision(0);
    }
    add_put(request, key, value);
    return run(request, took_place);
  }
  Outcome change_if(const std::vector<Change>& changes, bool* took_place) override {
    pb::TxnRequest request;
    for (const Change& change : changes) {
      pb::Compare& compare = *request.add_compare();
      compare.set_key(change.key);
      compare.set_target(pb::Compare::MOD);
      compare.set_mod_revision(static_cast<int64_t>(change.revision));
      if (!change.only_check) add_put(request, change.key, change.value);
    }
    return run(request, took_place);
  }
  Outcome list(const std::string& from, const std::string& to, std::map<std::string, std::string>* out) override {
    out->clear();
    std::string next = from;
    while (true) {
      pb::RangeRequest request;
      request.set_key(next);
      request.set_range_end(to);
      request.set_limit(kPage);
      pb::RangeResponse page;
      if (!call([&](pb::KV::Stub& stub, grpc::ClientContext* c) { return stub.Range(c, request, &page); }))
        return Outcome::kRefused;
      for (const pb::KeyValue& item : page.kvs()) out->emplace(item.key(), item.value());
      if (page.kvs_size() < kPage) return Outcome::kDone;
      next = page.kvs(page.kvs_size() - 1).key() + '\0';
    }
  }

 private:
  static Versioned versioned(const pb::RangeResponse& range) {
    if (range.kvs_size() == 0) return {};
    const pb::KeyValue& item = range.kvs(0);
    return {item.value(), static_cast<uint64_t>(item.mod_revision()), static_cast<uint64_t>(item.version())};
  }
  static void add_put(pb::TxnRequest& request, const std::string& key, const std::string& value) {
    pb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(key);
    put.set_value(value);
  }
  Outcome run(const pb::TxnRequest& request, bool* took_place) {
    pb::TxnResponse response;
    const bool done = call([&](pb::KV::Stub& stub, grpc::ClientContext* c) { return stub.Txn(c, request, &response); });
    *took_place = done && response.succeeded();
    return done ? Outcome::kDone : Outcome::kUnknown;
  }
  Outcome read_each(const pb::TxnRequest& request, std::vector<Versioned>* out) {
    for (const pb::RequestOp& op : request.success()) {
      pb::RangeResponse response;
      const auto range = [&](pb::KV::Stub& stub, grpc::ClientContext* c) {
        return (reads_ != nullptr ? *reads_ : stub).Range(c, op.request_range(), &response);
      };
      if (!call(range)) return Outcome::kRefused;
      out->push_back(versioned(response));
    }
    return Outcome::kDone;
  }
  // A failure moves on to the next endpoint, for the next call.
  template <typename Call>
  bool call(const Call& what) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(timeout_));
    const size_t at = at_;
    if (what(*stubs_[at % stubs_.size()], &context).ok()) return true;
    size_t expected = at;
    at_.compare_exchange_strong(expected, at + 1);
    return false;
  }

  const int64_t timeout_;
  const bool stale_;
  std::vector<std::unique_ptr<pb::KV::Stub>> stubs_;
  std::unique_ptr<pb::KV::Stub> reads_;
  std::atomic<size_t> at_{0};
};

}  // namespace

std::unique_ptr<Store> make_etcd_store(const Access& access) { return std::make_unique<EtcdStore>(access); }

}  // namespace runink::workload
