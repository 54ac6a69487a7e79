#include "bench/barn/load.h"
#include "client/sdk/client.h"
#include "platform/rpc/client_credentials.h"

namespace runink::bench {
namespace {

namespace v1 = runink::barn::v1;

class Runink final : public Target {
 public:
  explicit Runink(std::unique_ptr<sdk::BarnClient> client) : client_(std::move(client)) {}
  void put(size_t, const std::string& key, const std::string& value, Done done) override {
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    client_->put(std::move(request), {},
                 [done = std::move(done)](const Result<v1::WriteResponse>& result) { done(result.status()); });
  }
  void get(size_t, const std::string& key, Done done) override { get(key, false, std::move(done)); }
  void empty(size_t, Done done) override { get("no such key", true, std::move(done)); }

 private:
  void get(const std::string& key, bool serializable, Done done) {
    v1::GetRequest request;
    request.set_key(key);
    request.set_serializable(serializable);
    client_->get(std::move(request), {},
                 [done = std::move(done)](const Result<v1::GetResponse>& result) { done(result.status()); });
  }
  std::unique_ptr<sdk::BarnClient> client_;
};

}  // namespace

Result<std::unique_ptr<Target>> make_runink(const LoadOptions& options) {
  rpc::prepare_grpc();
  sdk::ClientOptions client;
  client.endpoints = options.endpoints;
  client.trust_domain = options.trust_domain;
  client.certificate_pem = options.certificate_pem;
  client.key_pem = options.key_pem;
  client.authorities_pem = options.authorities_pem;
  client.pack = options.mode == "runink-stream";
  client.mark_writes = options.marks;
  client.operations_max = options.callers + 1;
  return std::unique_ptr<Target>(std::make_unique<Runink>(RUNINK_TRY(sdk::BarnClient::create(std::move(client)))));
}

}  // namespace runink::bench
