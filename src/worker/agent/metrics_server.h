// Serves the agent's metrics over HTTP (platform/http: plain, without secrets, for loopback or a network of operators),
// and scrapes slices for theirs, on a thread of its own: neither a slow scraper nor a slow slice holds up the agent.
//
//   GET /metrics   Prometheus' text form: the agent's, and all slices' with the labels slice and herd
//   GET /healthz   200 "ok"
//
// Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/status.h"
#include "platform/http/http_listener.h"
#include "platform/net/event_loop.h"
#include "platform/net/socket.h"
#include "worker/agent/metrics_agent.h"
#include "worker/agent/metrics_scraper.h"

namespace runink::agent {

class MetricsServer {
 public:
  struct Options {
    std::optional<net::SocketAddress> listen;  // absent: nothing listens, text() alone answers
    MetricsScraper::Options scrape;
    int64_t fresh_nanos = 200'000'000;  // for so long the same page is given again
    // What the agent knows now. Called on the server's thread, so it must be safe there; bounded work.
    std::function<AgentSample()> collect;
    LogStore* logs = nullptr;  // outlive the server, where they are
    FluentdForwarder* fluentd = nullptr;
  };
  // Listens at once.
  static Result<std::unique_ptr<MetricsServer>> start(Options options);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  const std::optional<net::SocketAddress>& address() const { return address_; }
  // A slice that serves metrics at a Unix socket, and one that does not any more.
  void add_slice(const std::string& slice, const std::string& herd, const std::string& socket_path);
  void remove_slice(const std::string& slice);
  // The page, or, for one slice, what it last answered itself (kNotFound: it has no metrics). Waits for the server's
  // thread.
  std::string page();
  Result<std::string> slice_page(const std::string& slice);

 private:
  explicit MetricsServer(Options options) : options_(std::move(options)) {}
  http::Response answer(std::string_view path);
  std::string render();
  template <typename Value>
  Value ask(std::function<Value()> question);

  const Options options_;
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<MetricsScraper> scraper_;
  std::unique_ptr<http::HttpListener> http_;
  std::optional<net::SocketAddress> address_;
  std::string rendered_;
  int64_t rendered_at_ = 0;
  std::thread thread_;
};

}  // namespace runink::agent
