#include "client/local/synth.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "client/local/synth_breaks.h"
#include "client/local/synth_rows.h"
#include "data/columnar/kernels.h"
#include "data/connectors/record_writer.h"

namespace runink::local {
namespace {

using columnar::Batch;
using contract::RuleKind;

constexpr size_t kKeepValues = 2000;

class Synthesis {
 public:
  Synthesis(contract::ContractPtr contract, const SynthOptions& options, const SynthWrite& write, const SynthWrite& label)
      : contract_(std::move(contract)), options_(options), write_(write), label_(label) {}
  Result<SynthReport> run(const std::function<void(uint64_t)>& progress);

 private:
  void list_breakable();
  Status add_rows(const SynthRows::Rows& rows, uint64_t block);
  Result<std::string> broken_record(int rule, const Batch& row, uint64_t number);
  Result<std::string> repeated_record(int rule, const Batch& row);
  Result<std::string> text_of(const Batch& row);
  void keep_values(const Batch& batch);

  contract::ContractPtr contract_;
  const SynthOptions& options_;
  const SynthWrite& write_;
  const SynthWrite& label_;
  std::unique_ptr<SynthRows> rows_;
  std::unique_ptr<RecordBreaker> breaker_;
  std::unique_ptr<connectors::RecordWriter> writer_;
  std::vector<int> breakable_;   // rules, in the contract's order
  size_t turn_ = 0;
  std::optional<Batch> last_good_;  // one row that was written whole
  columnar::Buffer out_;
  SynthReport report_;
};

void Synthesis::list_breakable() {
  std::set<int> across_rows;
  for (const auto& set : contract_->unique_sets) across_rows.insert(set.rule);
  for (int rule = 0; rule < static_cast<int>(contract_->rules.size()); ++rule) {
    const auto kind = contract_->rules[static_cast<size_t>(rule)].kind;
    if (kind == RuleKind::kCheck || across_rows.contains(rule) || breaker_->breaks(rule)) breakable_.push_back(rule);
    else report_.never_broken.push_back(contract_->rules[static_cast<size_t>(rule)].name);
  }
}

Result<std::string> Synthesis::text_of(const Batch& row) {
  columnar::Buffer text;
  RUNINK_RETURN_IF_ERROR(writer_->append(row, text));
  return std::string(text.view());
}

// A record that repeats what an earlier one had.
Result<std::string> Synthesis::repeated_record(int rule, const Batch& row) {
  if (!last_good_) return std::string();
  const auto set = std::find_if(contract_->unique_sets.begin(), contract_->unique_sets.end(), [&](const auto& s) { return s.rule == rule; });
  Batch repeated = row;
  repeated.origin.reset();
  for (const int c : set->columns) repeated.columns[static_cast<size_t>(c)] = last_good_->columns[static_cast<size_t>(c)];
  if (RUNINK_TRY(rows_->keeps_rules(repeated))) return text_of(repeated);
  // A check ties these columns to others: the whole record again, if that repeats nothing else.
  return contract_->unique_sets.size() == 1 ? text_of(*last_good_) : Result<std::string>(std::string());
}

// Empty where it could not be done this time.
Result<std::string> Synthesis::broken_record(int rule, const Batch& row, uint64_t number) {
  const auto kind = contract_->rules[static_cast<size_t>(rule)].kind;
  if (kind == RuleKind::kCheck) {
    std::optional<Batch> broken = RUNINK_TRY(rows_->breaking(rule, number));
    return broken ? text_of(*broken) : Result<std::string>(std::string());
  }
  if (kind == RuleKind::kUnique || kind == RuleKind::kKey) return repeated_record(rule, row);
  return breaker_->broken(rule, RUNINK_TRY(text_of(row)));
}

Status Synthesis::add_rows(const SynthRows::Rows& rows, uint64_t block) {
  SynthRandom random(options_.seed, 0, block, 0x627265616b);
  int64_t begin = 0;  // of the good rows not yet written
  const auto write_good = [&](int64_t end) -> Status {
    if (end == begin) return {};
    const Batch good = begin == 0 && end == rows.batch.rows ? rows.batch : columnar::slice(rows.batch, begin, end - begin);
    RUNINK_RETURN_IF_ERROR(writer_->append(good, out_));
    if (options_.invalid > 0) last_good_ = columnar::slice(good, good.rows - 1, 1);
    keep_values(good);
    return {};
  };
  for (int64_t i = 0; options_.invalid > 0 && !breakable_.empty() && i < rows.batch.rows; ++i) {
    if (!random.chance(options_.invalid)) continue;
    const int rule = breakable_[turn_ % breakable_.size()];
    RUNINK_RETURN_IF_ERROR(write_good(i));
    begin = i;
    const std::string record = RUNINK_TRY(broken_record(rule, columnar::slice(rows.batch, i, 1), rows.numbers[static_cast<size_t>(i)]));
    ++turn_;
    if (record.empty()) continue;  // the row stays as it is
    out_.append(record.data(), record.size());
    begin = i + 1;
    ++report_.broken;
    const std::string& name = contract_->rules[static_cast<size_t>(rule)].name;
    ++report_.by_rule[name];
    if (label_) {
      RUNINK_RETURN_IF_ERROR(label_(fmt::format("{{\"record\":{},\"rule\":{}}}\n", report_.records + static_cast<uint64_t>(i) + 1, json_quote(name))));
    }
  }
  RUNINK_RETURN_IF_ERROR(write_good(rows.batch.rows));
  report_.records += static_cast<uint64_t>(rows.batch.rows);
  return {};
}

void Synthesis::keep_values(const Batch& batch) {
  for (const int c : options_.keep) {
    auto& kept = report_.kept[c];
    for (int64_t r = 0; r < batch.rows && kept.size() < kKeepValues; ++r) {
      if (batch.columns[static_cast<size_t>(c)].is_valid(r)) kept.push_back(columnar::value_at(batch.columns[static_cast<size_t>(c)], r));
    }
  }
}

Result<SynthReport> Synthesis::run(const std::function<void(uint64_t)>& progress) {
  rows_ = RUNINK_TRY(SynthRows::make(contract_, options_));
  breaker_ = RUNINK_TRY(RecordBreaker::make(contract_, options_));
  connectors::WriterOptions writer;
  writer.format = options_.format;
  writer.schema = contract_->schema;
  writer.csv = options_.csv;
  writer_ = RUNINK_TRY(connectors::make_record_writer(writer));
  if (options_.invalid > 0 && options_.format == connectors::DataFormat::kArrow) {
    return invalid_argument("Arrow columns cannot hold broken values: write ndjson or csv with --invalid");
  }
  list_breakable();
  RUNINK_RETURN_IF_ERROR(writer_->begin(out_));
  uint64_t number = 0;
  for (uint64_t block = 0; report_.records < options_.records; ++block) {
    if (options_.stop != nullptr && options_.stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
    const auto count = static_cast<int64_t>(std::min<uint64_t>(columnar::kBatchRows, options_.records - report_.records));
    const SynthRows::Rows rows = RUNINK_TRY(rows_->valid(number, count));
    number += static_cast<uint64_t>(count);
    RUNINK_RETURN_IF_ERROR(add_rows(rows, block));
    if (out_.size() >= 256u << 10) {
      RUNINK_RETURN_IF_ERROR(write_(out_.view()));
      out_.resize(0);
    }
    if (progress) progress(report_.records);
  }
  RUNINK_RETURN_IF_ERROR(writer_->end(out_));
  if (out_.size() > 0) RUNINK_RETURN_IF_ERROR(write_(out_.view()));
  for (const int rule : breakable_) {
    const std::string& name = contract_->rules[static_cast<size_t>(rule)].name;
    if (options_.invalid > 0 && !report_.by_rule.contains(name)) report_.never_broken.push_back(name);
  }
  if (options_.invalid <= 0) report_.never_broken.clear();
  return std::move(report_);
}

}  // namespace

Result<SynthReport> synthesise(const contract::ContractPtr& contract, const SynthOptions& options, const SynthWrite& write,
                               const SynthWrite& label, const std::function<void(uint64_t)>& progress) {
  return Synthesis(contract, options, write, label).run(progress);
}

}  // namespace runink::local
