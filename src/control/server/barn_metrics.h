// All that is worth watching about one member, in Prometheus' text form. docs/reference/metrics.md lists the families;
// a test keeps that page as the code has it.
#pragma once

#include <cstdint>
#include <string>

#include "control/api/key_value_service.h"
#include "control/server/alarms.h"
#include "control/server/barn_view.h"
#include "platform/http/http_listener.h"
#include "platform/telemetry/log.h"

namespace runink::server {

// What is null has no samples; its families are there.
struct MetricsSources {
  BarnView barn;
  const api::KeyValueServer* api = nullptr;
  const AlarmSet* alarms = nullptr;
  telemetry::Log* log = nullptr;
  std::string version;
};

// Reads a few files of /proc and asks the file system for its free space; otherwise counters. On the loop's thread.
std::string render_metrics(const MetricsSources& sources, const http::HttpCounters* http = nullptr);

}  // namespace runink::server
