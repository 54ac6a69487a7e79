// Where a slice's lines go besides its files.
#pragma once

#include "worker/agent/log_record.h"

namespace runink::agent {

class LogForwarder {
 public:
  virtual ~LogForwarder() = default;
  // Takes a copy and returns at once; what does not fit is dropped and counted by the forwarder. From any thread.
  virtual void offer(const LogOrigin& origin, const LogLine& line) = 0;
};

}  // namespace runink::agent
