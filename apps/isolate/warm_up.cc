#include "isolate/warm_up.h"

#include <stdlib.h>
#include <string.h>

#include "client/local/local_io.h"
#include "client/local/scenario_runner.h"
#include "data/connectors/raw_input.h"
#include "data/dsl/bundle.h"
#include "data/engine/execution.h"
#include "worker/slice/stage_protocol.h"

namespace runink::isolate {
namespace {

// Of what most pipelines use.
constexpr const char* kFeature = R"(Feature: Warm
  Scenario: Up
    @source("in.ndjson")
    @contract("warm.contract")
    Given records arrive
    When records are checked against the contract
     And field "sum" is set to number * 2 + length(text)
     And field "way" is set to code + "-" + other
     And records where sum > 0 are kept
    @sink("out.ndjson")
    Then valid records are written
)";
constexpr const char* kContract =
    "contract Warm { int64 number [[required, range(0, 1000)]]; int32 small [[required, range(-10, 10)]]; "
    "float64 part; string text [[pattern(\"[a-z]+\")]]; string code [[required, pattern(\"[A-Z]{3}\")]]; "
    "string other [[required]]; timestamp at; check few: number < 500; check differ: code != other; }\n";

std::string records() {
  std::string out;
  for (int i = 0; i < 64; ++i) {
    out += fmt::format(
        "{{\"number\":{},\"small\":{},\"part\":{}.5,\"text\":\"some{}\",\"code\":\"ABC\",\"other\":\"DEF\","
        "\"at\":\"2026-01-31T12:00:00Z\"}}\n",
        i * 10, i % 10, i, i % 2 == 0 ? "" : "1");
  }
  return out;
}

class MemoryInputs final : public connectors::HandedInputs {
 public:
  const std::vector<std::string>& names() const override { return names_; }
  uint64_t raw_size() const override { return 0; }
  Result<std::unique_ptr<connectors::RawInput>> open(const std::string&, const StopFlag*) override {
    return connectors::make_raw_memory(records(), SIZE_MAX);
  }

 private:
  const std::vector<std::string> names_ = {"in.ndjson"};
};

class NoOutput final : public connectors::OutputFile {
 public:
  Status write(std::string_view bytes) override {
    written_ += bytes.size();
    return {};
  }
  Status finish(bool) override { return {}; }
  Status publish() override { return {}; }
  void discard() override {}
  uint64_t bytes_written() const override { return written_; }
  bool atomic() const override { return true; }

 private:
  uint64_t written_ = 0;
};

class MemoryOpenings final : public local::Openings {
 public:
  Result<os::Fd> open_rows(const plan::Operator&) override { return not_found("nothing is kept"); }
  Result<std::shared_ptr<connectors::HandedInputs>> open_inputs(const plan::Operator&) override {
    return std::shared_ptr<connectors::HandedInputs>(std::make_shared<MemoryInputs>());
  }
  Status source_failed(const plan::Operator&, Status status) override { return status; }
  Result<local::OpenedSink> open_sink(const plan::Operator&) override {
    local::OpenedSink sink;
    sink.output = std::make_unique<NoOutput>();
    return sink;
  }
  Result<local::StartedStep> start_step(const plan::Operator&) override { return not_found("there are no steps"); }
};

struct NoLetters final : engine::DeadLetterSink {
  Status write(const engine::RejectedRecord&) override { return {}; }
};

Status run_once() {
  dsl::Bundle bundle;
  bundle.feature_path = "warm.dsl";
  bundle.feature_text = kFeature;
  bundle.files = {{"warm.contract", kContract}};
  const plan::Plan plan = RUNINK_TRY(dsl::compile_bundle(bundle, "Up"));
  const plan::ScenarioPlan scenario = local::with_outputs(plan.scenarios[0], {});
  (void)slice::plan_digest(scenario);
  MemoryOpenings openings;
  local::LocalIoOptions options;
  options.openings = &openings;
  local::LocalIo io(scenario, std::move(options));
  NoLetters letters;
  engine::ExecutionOptions execution;
  execution.sample_rows = 0;
  return RUNINK_TRY(engine::Execution::create(scenario, std::move(execution), io, letters))->run();
}

}  // namespace

// What comes next finds the heap grown and faulted in.
void warm_heap() {
  constexpr size_t kBytes = 1 << 20;
  void* volatile memory = ::malloc(kBytes);
  if (memory != nullptr) ::memset(memory, 0, kBytes);
  ::free(memory);
}

void warm_up() {
  (void)run_once();
  warm_heap();
}

}  // namespace runink::isolate
