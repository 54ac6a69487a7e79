// What a stage in a slice opens: nothing by itself. It asks the runner, and is handed descriptors.
#pragma once

#include <memory>
#include <string>

#include "client/local/local_io.h"
#include "isolate/stage_link.h"

namespace runink::isolate {

class RemoteOpenings final : public local::Openings {
 public:
  // Both outlive it and all that it opens.
  RemoteOpenings(StageLink& link, const StopFlag& stop) : link_(link), stop_(stop) {}

  Result<os::Fd> open_rows(const plan::Operator& op) override;
  Result<std::shared_ptr<connectors::HandedInputs>> open_inputs(const plan::Operator& op) override;
  Status source_failed(const plan::Operator& op, Status status) override;
  Result<local::OpenedSink> open_sink(const plan::Operator& op) override;
  Result<local::StartedStep> start_step(const plan::Operator& op) override;
  // For rows that are kept for other scenarios.
  Result<os::Fd> open_output(const plan::Operator& op);

 private:
  StageLink& link_;
  const StopFlag& stop_;
};

}  // namespace runink::isolate
