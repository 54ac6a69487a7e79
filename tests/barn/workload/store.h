// What the workload asks of a store: Runink's Barn, etcd for comparison, or one that lies, to see that the checkers
// notice.
//
// Calls wait for their answer. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/sdk/client.h"

namespace runink::workload {

enum class Outcome : uint8_t {
  kDone,
  kRefused,  // certainly without effect
  kUnknown,  // may have taken effect, or may yet
};

struct Versioned {
  std::optional<std::string> value;
  uint64_t revision = 0;  // of its last change; 0: there is none
  uint64_t version = 0;   // changes since it was created
};

struct Change {
  std::string key, value;
  uint64_t revision = 0;    // that it must still have; 0: it must not be there
  bool only_check = false;  // and stays as it is
};

class Store {
 public:
  virtual ~Store() = default;
  // All keys as of one moment; linearizable.
  virtual Outcome read(const std::vector<std::string>& keys, std::vector<Versioned>* out) = 0;
  virtual Outcome write(const std::string& key, const std::string& value) = 0;
  virtual Outcome compare_and_set(const std::string& key, const std::optional<std::string>& expected,
                                  const std::string& value, bool* took_place) = 0;
  virtual Outcome change_if(const std::vector<Change>& changes, bool* took_place) = 0;
  // Keys and values from `from` on up to, not including, `to`; in pages, each of which is linearizable.
  virtual Outcome list(const std::string& from, const std::string& to, std::map<std::string, std::string>* out) = 0;
};

struct Access {
  std::vector<std::string> endpoints;
  std::string trust_domain;  // Runink
  std::string certificate_pem, key_pem, authorities_pem;
  int64_t timeout_nanos = 5'000'000'000;
  std::string reads_endpoint;  // reads are asked here first; empty: as the writes
  bool stale_reads = false;    // and are answered from that member's own state
};

// Of a client folder, as `runi barn` uses it; endpoints that are given already are kept.
Status read_cluster(const std::string& folder, Access* out);
sdk::ClientOptions client_options(const Access& access);
Result<std::unique_ptr<sdk::BarnClient>> connect(const Access& access);
Outcome outcome_of(const Status& status);

// `client` outlives it.
Result<std::unique_ptr<Store>> make_runink_store(sdk::BarnClient& client, const Access& access);
std::unique_ptr<Store> make_etcd_store(const Access& access);
// Answers some reads with what it has seen before.
std::unique_ptr<Store> make_lying_store(std::unique_ptr<Store> store, uint64_t seed);

}  // namespace runink::workload
