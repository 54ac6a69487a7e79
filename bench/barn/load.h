// Callers with one operation outstanding each, against a store that they all share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace runink::bench {

enum class Work { kPut, kGet, kEmpty };

struct LoadOptions {
  std::string mode;
  Work work = Work::kPut;
  std::vector<std::string> endpoints;
  std::string trust_domain;  // runink
  std::string certificate_pem, key_pem, authorities_pem;
  size_t callers = 256;
  size_t keys = 10'000;
  size_t value_bytes = 256;
  double warm_up_seconds = 1, seconds = 5;
  size_t channels = 1;  // etcd: connections
  bool marks = true;    // runink: writes carry session marks
};

// A store under load. `done` may come on any thread.
class Target {
 public:
  using Done = std::function<void(const Status&)>;
  virtual ~Target() = default;
  // Of one caller: the one before is over.
  virtual void put(size_t caller, const std::string& key, const std::string& value, Done done) = 0;
  virtual void get(size_t caller, const std::string& key, Done done) = 0;  // linearizable
  // There and back, with neither disk nor other members: what a call itself costs.
  virtual void empty(size_t caller, Done done) = 0;
};

Result<std::unique_ptr<Target>> make_runink(const LoadOptions& options);
Result<std::unique_ptr<Target>> make_etcd(const LoadOptions& options);

}  // namespace runink::bench
