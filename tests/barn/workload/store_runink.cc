#include "platform/config/client_folder.h"
#include "platform/crypto/certificate_authority.h"
#include "store.h"

namespace runink::workload {

namespace v1 = runink::barn::v1;

namespace {

constexpr uint64_t kPage = 1000;

Versioned versioned(const v1::KeyValuePair& item) { return {item.value(), item.modify_index(), item.version()}; }

class RuninkStore final : public Store {
 public:
  RuninkStore(sdk::BarnClient& client, std::unique_ptr<sdk::BarnClient> reads, bool stale)
      : client_(client), reads_(std::move(reads)), stale_(stale) {}

  Outcome read(const std::vector<std::string>& keys, std::vector<Versioned>* out) override {
    out->clear();
    return keys.size() == 1 || stale_ ? read_each(keys, out) : read_together(keys, out);
  }
  Outcome write(const std::string& key, const std::string& value) override {
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    return outcome_of(client_.put(std::move(request)).status());
  }
  Outcome compare_and_set(const std::string& key, const std::optional<std::string>& expected, const std::string& value,
                          bool* took_place) override {
    v1::TxnRequest request;
    v1::Compare& compare = *request.add_compares();
    compare.set_key(key);
    if (expected) {
      compare.set_target(v1::Compare::VALUE);
      compare.set_value(*expected);
    }  // else: EXISTS is 0
    add_put(request, key, value);
    return run(std::move(request), took_place);
  }
  Outcome change_if(const std::vector<Change>& changes, bool* took_place) override {
    v1::TxnRequest request;
    for (const Change& change : changes) {
      v1::Compare& compare = *request.add_compares();
      compare.set_key(change.key);
      if (change.revision != 0) {
        compare.set_target(v1::Compare::MODIFY_INDEX);
        compare.set_number(change.revision);
      }
      if (!change.only_check) add_put(request, change.key, change.value);
    }
    return run(std::move(request), took_place);
  }
  Outcome list(const std::string& from, const std::string& to, std::map<std::string, std::string>* out) override {
    out->clear();
    std::string next = from;
    while (true) {
      v1::RangeRequest request;
      request.set_from(next);
      request.set_to(to);
      request.set_limit(kPage);
      const auto page = client_.range(std::move(request));
      if (!page.ok()) return Outcome::kRefused;
      for (const v1::KeyValuePair& item : page->items()) out->emplace(item.key(), item.value());
      if (!page->more() || page->items_size() == 0) return Outcome::kDone;
      next = page->items(page->items_size() - 1).key() + '\0';
    }
  }

 private:
  static void add_put(v1::TxnRequest& request, const std::string& key, const std::string& value) {
    v1::TxnOp::Put& put = *request.add_then_ops()->mutable_put();
    put.set_key(key);
    put.set_value(value);
  }
  Outcome run(v1::TxnRequest request, bool* took_place) {
    const auto done = client_.txn(std::move(request));
    *took_place = done.ok() && done->succeeded();
    return outcome_of(done.status());
  }
  Outcome read_each(const std::vector<std::string>& keys, std::vector<Versioned>* out) {
    for (const std::string& key : keys) {
      v1::GetRequest request;
      request.set_key(key);
      request.set_serializable(stale_);
      const auto got = reader().get(std::move(request));
      if (!got.ok()) return Outcome::kRefused;
      out->push_back(got->has_item() ? versioned(got->item()) : Versioned{});
    }
    return Outcome::kDone;
  }
  Outcome read_together(const std::vector<std::string>& keys, std::vector<Versioned>* out) {
    v1::TxnRequest request;
    for (const std::string& key : keys) request.add_then_ops()->mutable_get()->set_key(key);
    const auto done = reader().txn(std::move(request));
    if (!done.ok()) return Outcome::kRefused;
    for (const v1::OpResult& result : done->ops())
      out->push_back(result.items_size() > 0 ? versioned(result.items(0)) : Versioned{});
    return out->size() == keys.size() ? Outcome::kDone : Outcome::kRefused;
  }

  sdk::BarnClient& reader() { return reads_ != nullptr ? *reads_ : client_; }

  sdk::BarnClient& client_;
  const std::unique_ptr<sdk::BarnClient> reads_;
  const bool stale_;
};

}  // namespace

Status read_cluster(const std::string& folder, Access* out) {
  const config::ClientFolder client = RUNINK_TRY(config::load_client_folder(folder));
  const crypto::Credentials credentials = RUNINK_TRY(crypto::load_credentials(folder));
  if (out->endpoints.empty()) out->endpoints = client.endpoints;
  out->trust_domain = RUNINK_TRY(crypto::trust_domain_of(client.cluster_id));
  out->certificate_pem = credentials.certificate.to_pem();
  out->key_pem = RUNINK_TRY(credentials.key.to_pem());
  for (const crypto::Certificate& authority : credentials.authorities) out->authorities_pem += authority.to_pem();
  return {};
}

sdk::ClientOptions client_options(const Access& access) {
  sdk::ClientOptions out;
  out.endpoints = access.endpoints;
  out.trust_domain = access.trust_domain;
  out.certificate_pem = access.certificate_pem;
  out.key_pem = access.key_pem;
  out.authorities_pem = access.authorities_pem;
  out.timeout_nanos = access.timeout_nanos;
  return out;
}

Result<std::unique_ptr<sdk::BarnClient>> connect(const Access& access) {
  return sdk::BarnClient::create(client_options(access));
}

// The client's contract: what is not kUnknown has certainly not been carried out.
Outcome outcome_of(const Status& status) {
  if (status.ok()) return Outcome::kDone;
  return status.code() == Code::kUnknown ? Outcome::kUnknown : Outcome::kRefused;
}

Result<std::unique_ptr<Store>> make_runink_store(sdk::BarnClient& client, const Access& access) {
  std::unique_ptr<sdk::BarnClient> reads;
  if (!access.reads_endpoint.empty()) {
    sdk::ClientOptions options = client_options(access);
    options.endpoints = {access.reads_endpoint};
    reads = RUNINK_TRY(sdk::BarnClient::create(std::move(options)));
  }
  return std::unique_ptr<Store>(std::make_unique<RuninkStore>(client, std::move(reads), access.stale_reads));
}

}  // namespace runink::workload
