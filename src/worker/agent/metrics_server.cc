#include "worker/agent/metrics_server.h"

#include <future>

#include "base/clock.h"
#include "platform/telemetry/metrics.h"

namespace runink::agent {

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(Options options) {
  std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(options)));
  server->loop_ = RUNINK_TRY(net::EventLoop::create());
  server->scraper_ = std::make_unique<MetricsScraper>(*server->loop_, server->options_.scrape);
  if (server->options_.listen) {
    const auto answer = [self = server.get()](std::string_view path) { return self->answer(path); };
    server->http_ = RUNINK_TRY_CONTEXT(http::HttpListener::create(*server->loop_, *server->options_.listen, answer, {}),
                                       "serve metrics at " + server->options_.listen->text());
    server->address_ = server->http_->address();
  }
  server->thread_ = std::thread([self = server.get()] { self->loop_->run(); });
  return server;
}

MetricsServer::~MetricsServer() {
  if (thread_.joinable()) {
    loop_->stop();
    thread_.join();
  }
  http_.reset();
  scraper_.reset();
}

void MetricsServer::add_slice(const std::string& slice, const std::string& herd, const std::string& socket_path) {
  loop_->post([this, slice, herd, socket_path] { scraper_->add(slice, herd, socket_path); });
}

void MetricsServer::remove_slice(const std::string& slice) {
  loop_->post([this, slice] { scraper_->remove(slice); });
}

// Asks on the server's thread, and waits for the answer.
template <typename Value>
Value MetricsServer::ask(std::function<Value()> question) {
  auto answer = std::make_shared<std::promise<Value>>();
  std::future<Value> future = answer->get_future();
  loop_->post([question = std::move(question), answer] { answer->set_value(question()); });
  return future.get();
}

std::string MetricsServer::page() {
  return ask<std::string>([this] { return render(); });
}

Result<std::string> MetricsServer::slice_page(const std::string& slice) {
  return ask<Result<std::string>>([this, slice]() -> Result<std::string> {
    for (const auto* target : scraper_->targets()) {
      if (target->slice != slice) continue;
      if (!target->answered) return unavailable("slice {} gives no metrics: {}", slice, target->why_not);
      MetricsMerge merge;
      merge.add(target->families, {{"slice", target->slice}, {"herd", target->herd}});
      return merge.render();
    }
    return not_found("slice {} serves no metrics of its own", slice);
  });
}

http::Response MetricsServer::answer(std::string_view path) {
  if (path == "/metrics") return {200, telemetry::kExpositionType, render()};
  if (path == "/healthz") return {200, "text/plain; charset=utf-8", "ok\n"};
  return {404, "text/plain; charset=utf-8", "there are /metrics and /healthz\n"};
}

std::string MetricsServer::render() {
  const int64_t now = system_clock().steady_nanos();
  if (!rendered_.empty() && now - rendered_at_ < options_.fresh_nanos) return rendered_;
  MetricsParts parts;
  if (options_.collect) parts.agent = options_.collect();
  if (options_.logs != nullptr) {
    parts.logs = options_.logs->counters();
    parts.dropped_by_slice = options_.logs->dropped_by_slice();
  }
  if (options_.fluentd != nullptr) parts.fluentd = options_.fluentd->counters();
  parts.scraped = scraper_->targets();
  rendered_ = render_agent_metrics(parts);
  rendered_at_ = now;
  return rendered_;
}

}  // namespace runink::agent
