#include "control/server/barn_metrics_listener.h"

#include <fmt/format.h>

#include "platform/telemetry/metrics.h"

namespace runink::server {

Result<std::unique_ptr<MetricsListener>> MetricsListener::create(net::EventLoop& loop, const net::SocketAddress& where,
                                                                 MetricsSources sources, const Options& options) {
  std::unique_ptr<MetricsListener> made(new MetricsListener(loop, std::move(sources), options));
  http::HttpListener::Options limits = options.http;
  limits.on_full = [self = made.get()] { self->full(); };
  made->http_ = RUNINK_TRY_CONTEXT(
      http::HttpListener::create(
          loop, where, [self = made.get()](std::string_view path) { return self->answer(path); }, limits),
      "serve metrics on " + where.text());
  return made;
}

void MetricsListener::full() {
  if (sources_.log == nullptr || (full_told_ != 0 && loop_.now() - full_told_at_ < options_.full_nanos)) return;
  const uint64_t closed = http_->counters().over_limit - full_told_;
  sources_.log->warning("barn.metrics.full",
                        fmt::format("{} connections to the metrics port were closed because more than {} are open: "
                                    "find out who opens so many",
                                    closed, options_.http.max_connections),
                        {{"closed", closed}});
  full_told_ += closed;
  full_told_at_ = loop_.now();
}

http::Response MetricsListener::answer(std::string_view path) {
  if (path == "/metrics") {
    if (rendered_.empty() || loop_.now() - rendered_at_ >= options_.fresh_nanos) {
      rendered_ = render_metrics(sources_, &http_->counters());
      rendered_at_ = loop_.now();
    }
    return {200, telemetry::kExpositionType, rendered_};
  }
  http::Response out;
  const auto say = [&](const Status& status, std::string_view well) {
    out.status = status.ok() ? 200 : 503;
    out.body = std::string(well) + "\n";
    if (!status.ok()) out.body = status.to_string() + "\n";
  };
  if (path == "/healthz") {
    say(sources_.barn.member.failed(), "ok");
  } else if (path == "/readyz") {
    say(readiness(sources_.barn), "ready");
  } else {
    out.status = 404;
    out.body = "nothing here: see /metrics, /healthz, /readyz\n";
  }
  return out;
}

}  // namespace runink::server
