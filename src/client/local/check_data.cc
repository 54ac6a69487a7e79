#include "client/local/check_data.h"

#include <algorithm>

#include "base/clock.h"
#include "client/local/local_io.h"
#include "client/local/sample.h"
#include "data/dsl/compile.h"
#include "data/engine/execution.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::local {
namespace {

// As an argument of an annotation.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

// The check as a feature: one source, one check, and the valid records go nowhere.
std::string feature_text(const DataCheckOptions& options) {
  std::string format = options.format.empty() ? "" : ", format=" + quoted(options.format);
  const std::string first =
      options.records_max > 0 ? "\n    When the first " + std::to_string(options.records_max) + " records are kept" : "";
  return "Feature: Check\n  Scenario: Check\n    @source(" + quoted(options.data) + format + ")\n    @contract(" +
         quoted(options.contract) +
         ")\n    Given records arrive" + first +
         "\n    When records are checked against the contract\n    Then records are passed on\n";
}

// Counts by rule what is rejected.
class Counter final : public engine::DeadLetterSink {
 public:
  explicit Counter(std::shared_ptr<connectors::SourceFiles> files) : files_(std::move(files)) {}

  Status write(const engine::RejectedRecord& record) override {
    if (record.rules == nullptr) return {};
    for (const auto& rule : *record.rules) {
      BrokenByData& broken = by_rule_[{rule.rule, rule.field}];
      if (broken.records++ > 0) continue;
      broken.rule = rule.rule;
      broken.field = rule.field;
      broken.first = rule.message;
      broken.line = record.line;
      if (record.source != engine::kNoSource) broken.source = files_->file(record.source).name;
    }
    return {};
  }

  std::vector<BrokenByData> take() {
    std::vector<BrokenByData> out;
    for (auto& [rule, broken] : by_rule_) out.push_back(std::move(broken));
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.records > b.records; });
    return out;
  }

 private:
  std::shared_ptr<connectors::SourceFiles> files_;
  std::map<std::pair<std::string, std::string>, BrokenByData> by_rule_;
};

Result<plan::Plan> compile_check(const DataCheckOptions& options) {
  dsl::CompileEnvironment environment;
  environment.load = contract::file_loader(options.root);
  environment.project_root = options.root;
  environment.infer_schema = [&](const plan::Source& source) { return infer_schema(source, options.root); };
  Diagnostics diagnostics;
  return dsl::compile_feature(std::make_shared<SourceText>("check", feature_text(options)), environment, &diagnostics);
}

}  // namespace

bool DataCheck::good() const {
  return rejected == 0 &&
         std::all_of(qualities.begin(), qualities.end(), [](const auto& q) { return q.holds || q.warn_only; });
}

Result<DataCheck> check_data(const DataCheckOptions& options) {
  plan::Plan plan = RUNINK_TRY(compile_check(options));
  plan::ScenarioPlan& scenario = plan.scenarios.at(0);
  for (auto& op : scenario.operators) {
    if (auto* output = std::get_if<plan::Output>(&op.parameters)) output->spool = false;
  }
  os::TempFolder temp = RUNINK_TRY(os::TempFolder::create("", "runink-check-"));
  LocalIoOptions io_options;
  io_options.project_root = options.root;
  io_options.stop = options.stop;
  io_options.temp_folder = temp.path();
  LocalIo io(scenario, std::move(io_options));
  Counter counter(io.files());
  engine::ExecutionOptions execution_options;
  execution_options.threads = options.records_max > 0 ? 1 : options.threads;
  execution_options.memory_budget_bytes = options.memory_budget_bytes;
  execution_options.temp_folder = temp.path();
  execution_options.now_micros = system_clock().unix_micros();
  execution_options.stop = options.stop;
  execution_options.sample_rows = 0;
  auto execution = RUNINK_TRY(engine::Execution::create(scenario, std::move(execution_options), io, counter));
  RUNINK_RETURN_IF_ERROR(execution->run());

  const engine::ExecutionReport& report = execution->report();
  DataCheck check;
  check.records = report.records_read;
  check.valid = report.records_valid;
  check.rejected = report.records_rejected;
  check.broken = counter.take();
  check.drift = report.drift;
  for (const auto& rule : report.rules)
    check.qualities.push_back({rule.name, rule.text, rule.actual, rule.passed, rule.warn_only});
  return check;
}

}  // namespace runink::local
