// Which member to try next. Each endpoint is tried once, that of which a member says that it leads first; then there is
// a pause, which grows from round to round and is drawn at random, so that the clients of a cluster do not come in
// step.
//
// Pure: no clock, no sockets. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"

namespace runink::sdk {

// OK if it is host:port, [v6]:port or what else an address for a client may be.
Status check_endpoint(const std::string& address);

class Endpoints {
 public:
  static constexpr int64_t kFirstPauseNanos = 20'000'000, kLongestPauseNanos = 320'000'000;
  static constexpr size_t kLearnedMax = 16;

  Endpoints(std::vector<std::string> configured, std::function<uint64_t()> random);

  struct Next {
    std::string address;
    int64_t pause_nanos = 0;  // before it is tried
  };
  Next next();
  // Try this one first. Ignored if it is no address.
  void hint(const std::string& address);
  // All members there are now: besides those that were configured, and the one that is to be tried first, these are tried
  // and no others. What is no address is left out.
  void learn(const std::vector<std::string>& members);
  void worked(const std::string& address);
  void failed(const std::string& address, Status why);

  // Whether the last answer of every configured endpoint was that it does not accept this client.
  bool all_refuse_identity() const;
  // "127.0.0.1:1: connection refused; 127.0.0.1:2: …": the last failure of each since one worked.
  std::string failures() const;

 private:
  size_t configured_;
  std::vector<std::string> addresses_;  // then those that members named
  std::function<uint64_t()> random_;
  size_t at_ = 0;  // where the round goes on
  unsigned round_ = 0;
  std::set<std::string> tried_;
  std::string hint_;
  std::map<std::string, Status> failures_;
};

}  // namespace runink::sdk
