// A member's metrics and health over HTTP (platform/http: plain text, no secrets, for loopback or operators' networks):
//
//   GET /metrics   Prometheus' text form
//   GET /healthz   200 "ok": the process works. 503 and why: it has failed and is about to end
//   GET /readyz    200 "ready": it can answer now (readiness()). 503 and why not
//
// Where connections have to be closed for newer ones, a line of the log (barn.metrics.full) says so, with their number
// since the last such line.
//
// Threads: the loop's.
#pragma once

#include <memory>
#include <string>

#include "control/server/barn_metrics.h"

namespace runink::server {

class MetricsListener {
 public:
  struct Options {
    http::HttpListener::Options http;     // but its on_full
    int64_t fresh_nanos = 200'000'000;    // for so long the same metrics are given again, whoever asks how often
    int64_t full_nanos = 60'000'000'000;  // between two lines that say that the port is full
  };
  // Listens at once. What `sources` point to, and the loop, outlive it.
  static Result<std::unique_ptr<MetricsListener>> create(net::EventLoop& loop, const net::SocketAddress& where,
                                                         MetricsSources sources, const Options& options);
  const net::SocketAddress& address() const { return http_->address(); }

 private:
  MetricsListener(net::EventLoop& loop, MetricsSources sources, const Options& options)
      : loop_(loop), sources_(std::move(sources)), options_(options) {}
  http::Response answer(std::string_view path);
  void full();

  net::EventLoop& loop_;
  const MetricsSources sources_;
  const Options options_;
  std::string rendered_;
  int64_t rendered_at_ = 0;
  uint64_t full_told_ = 0;  // of the connections closed to make room
  int64_t full_told_at_ = 0;
  std::unique_ptr<http::HttpListener> http_;
};

}  // namespace runink::server
