// Asks slices for their metrics: every slice that has a metrics socket, once in every interval, and keeps what it last
// answered. A slice is not trusted: an answer has a most and a deadline, must parse, and a slice that is slow or gone
// costs nobody else anything.
//
// The socket is a Unix stream socket at a path that only the agent and the launcher can change. The scraper connects
// and sends an HTTP/1.0 request for /metrics; the slice answers with HTTP or with the bare text, and closes.
//
// Threads: the loop's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "worker/agent/metrics_text.h"

namespace runink::agent {

class MetricsScraper {
 public:
  struct Options {
    int64_t every_nanos = 10'000'000'000;
    int64_t deadline_nanos = 2'000'000'000;  // of one slice
    size_t most_bytes = 1 << 20;             // of one answer
    size_t at_once = 16;
    int64_t stale_nanos = 60'000'000'000;  // an older answer is forgotten
    MetricLimits limits;
  };
  struct Target {
    std::string slice, herd;
    bool answered = false;  // at the last try
    std::string why_not;    // else
    double seconds = 0;     // that the last try took
    uint64_t failures = 0;
    int64_t answered_at = 0;  // steady nanoseconds
    std::vector<MetricFamily> families;
  };

  MetricsScraper(net::EventLoop& loop, Options options);
  ~MetricsScraper();

  void add(const std::string& slice, const std::string& herd, const std::string& socket_path);
  void remove(const std::string& slice);
  std::vector<const Target*> targets() const;

 private:
  class Scrape;
  struct Entry;
  void turn();
  void start_waiting();
  void done(const std::string& slice, Result<std::string> answer, int64_t began);

  net::EventLoop& loop_;
  const Options options_;
  net::EventLoop::TimerId timer_ = 0;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  std::vector<std::string> waiting_;
  size_t running_ = 0;
};

}  // namespace runink::agent
