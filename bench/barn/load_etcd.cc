// etcd by unary calls, as its own clients do it: callers are spread over the connections, and those over the endpoints.
#include <grpcpp/grpcpp.h>

#include "bench/barn/load.h"
#include "etcd_kv.grpc.pb.h"

namespace runink::bench {
namespace {

namespace pb = etcdserverpb;

class Etcd final : public Target {
 public:
  explicit Etcd(const LoadOptions& options) : callers_(options.callers) {
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = options.authorities_pem;
    ssl.pem_private_key = options.key_pem;
    ssl.pem_cert_chain = options.certificate_pem;
    for (size_t i = 0; i < options.channels; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      stubs_.push_back(pb::KV::NewStub(grpc::CreateCustomChannel(options.endpoints[i % options.endpoints.size()],
                                                                 grpc::SslCredentials(ssl), arguments)));
    }
  }
  void put(size_t caller, const std::string& key, const std::string& value, Done done) override {
    Caller& own = fresh(caller);
    own.put.set_key(key);
    own.put.set_value(value);
    stub(caller)->Put(own.context.get(), &own.put, &own.put_response, finish(std::move(done)));
  }
  void get(size_t caller, const std::string& key, Done done) override { range(caller, key, false, std::move(done)); }
  void empty(size_t caller, Done done) override { range(caller, "no such key", true, std::move(done)); }

 private:
  struct Caller {
    std::unique_ptr<grpc::ClientContext> context;
    pb::PutRequest put;
    pb::PutResponse put_response;
    pb::RangeRequest range;
    pb::RangeResponse range_response;
  };
  Caller& fresh(size_t caller) {
    callers_[caller].context = std::make_unique<grpc::ClientContext>();
    callers_[caller].context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return callers_[caller];
  }
  pb::KV::Stub::async_interface* stub(size_t caller) { return stubs_[caller % stubs_.size()]->async(); }
  void range(size_t caller, const std::string& key, bool serializable, Done done) {
    Caller& own = fresh(caller);
    own.range.set_key(key);
    own.range.set_serializable(serializable);
    stub(caller)->Range(own.context.get(), &own.range, &own.range_response, finish(std::move(done)));
  }
  static std::function<void(grpc::Status)> finish(Done done) {
    return [done = std::move(done)](const grpc::Status& status) {
      done(status.ok() ? Status() : Status(static_cast<Code>(status.error_code()), status.error_message()));
    };
  }
  std::vector<std::unique_ptr<pb::KV::Stub>> stubs_;
  std::vector<Caller> callers_;
};

}  // namespace

Result<std::unique_ptr<Target>> make_etcd(const LoadOptions& options) {
  if (options.channels == 0) return invalid_argument("--channels is 0");
  return std::unique_ptr<Target>(std::make_unique<Etcd>(options));
}

}  // namespace runink::bench
