// Serves metrics on a listening Unix socket that was handed to the slice: to each who connects the text of the moment,
// as an HTTP/1.0 answer, and then the end.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "platform/os/fd.h"

namespace runink::slice {

// A thread of its own answers, one connection after the other; one that sends no request, or takes no answer, has two
// seconds. Destroyed, it serves no more.
class MetricsEndpoint {
 public:
  // `text`: in Prometheus' text form; called by the thread.
  MetricsEndpoint(os::Fd listener, std::function<std::string()> text);
  ~MetricsEndpoint();

 private:
  void serve();
  void answer(os::Fd connection) const;
  os::Fd listener_, end_;
  std::function<std::string()> text_;
  std::thread thread_;
};

}  // namespace runink::slice
