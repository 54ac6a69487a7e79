// For tests: drives a step's process as the engine does, one thread sending and one receiving.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "client/local/step_process.h"

namespace runink::local {

struct StepRun : engine::StepReports {
  Status status;
  std::vector<columnar::Batch> answers;
  std::vector<engine::StepRefusal> refusals;
  std::vector<uint64_t> marks;  // "settled"
  bool ended_well = false;
  Status refused(std::vector<engine::StepRefusal> more) override {
    refusals.insert(refusals.end(), more.begin(), more.end());
    return {};
  }
  Status settled(uint64_t before) override {
    marks.push_back(before);
    return {};
  }
  Status ended() override {
    ended_well = true;
    return {};
  }
  int64_t rows() const {
    int64_t n = 0;
    for (const auto& batch : answers) n += batch.rows;
    return n;
  }
  std::string text() const { return status.to_string() + "\n" + join(status.details(), "\n") + "\n" + status.hint(); }
};

inline StepRun run_step_process(const plan::Operator& op, const columnar::SchemaPtr& input, const StepOptions& options,
                                const std::vector<columnar::Batch>& sent) {
  StepRun out;
  auto process = start_step_process(op, input, options);
  if (!process.ok()) {
    out.status = std::move(process).status();
    return out;
  }
  (*process)->listen(out);
  Status receiving;
  std::thread receiver([&] {
    for (;;) {
      auto batch = (*process)->receive();
      if (!batch.ok()) {
        receiving = std::move(batch).status();
        return;
      }
      if (!batch->has_value()) return;
      out.answers.push_back(std::move(**batch));
    }
  });
  Status sending;
  for (const auto& batch : sent) {
    if (sending = (*process)->send(batch); !sending.ok()) break;
  }
  if (sending.ok()) sending = (*process)->close_input();
  if (!sending.ok()) (*process)->kill();
  receiver.join();
  out.status = receiving.ok() ? std::move(sending) : std::move(receiving);
  process->reset();  // and with it whoever reports
  return out;
}

}  // namespace runink::local
