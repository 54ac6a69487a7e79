#include "client/local/synth.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/text.h"
#include "client/local/synth_breaks.h"
#include "client/local/synth_rows.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"
#include "data/connectors/record_writer.h"
#include "data/expr/aggregate.h"

namespace runink::local {
namespace {

using columnar::Batch;
using contract::RuleKind;

constexpr size_t kKeepRows = 20'000;
constexpr size_t kWriteBytes = 256 << 10;
constexpr uint64_t kBreakStream = 0x627265616b;
constexpr const char* kNoneFound = "no record was found that breaks it";

uint64_t count_lines(std::string_view text) {
  uint64_t lines = 0;
  for (const char* at = text.data();
       (at = static_cast<const char*>(std::memchr(at, '\n', static_cast<size_t>(text.data() + text.size() - at)))) !=
       nullptr;
       ++at) {
    ++lines;
  }
  return lines;
}

// Broken records may lack what the contract requires.
columnar::SchemaPtr with_nulls(const columnar::Schema& schema) {
  std::vector<columnar::Field> fields = schema.fields();
  for (auto& field : fields) field.nullable = true;
  return std::make_shared<columnar::Schema>(std::move(fields));
}

bool has_word(std::string_view text, std::string_view word) { return text.find(word) != std::string_view::npos; }

// Quality rules over the records that keep the contract. Those whose state grows with the records are left alone.
class Qualities {
 public:
  Qualities(const contract::Contract& contract, int64_t now_micros) : now_micros_(now_micros) {
    for (const auto& quality : contract.qualities) {
      const bool grows =
          std::any_of(quality.expression.aggregates.begin(), quality.expression.aggregates.end(), [](const auto& a) {
            using F = expr::AggregateFunction;
            return a.function == F::kQuantile || a.function == F::kDistinctCount || a.function == F::kList;
          });
      rules_.push_back({&quality, grows ? nullptr : std::make_unique<expr::WholeAggregate>(quality.expression)});
    }
  }
  Status update(const Batch& batch) {
    std::vector<expr::RowError> errors;
    for (auto& rule : rules_) {
      if (rule.state) RUNINK_RETURN_IF_ERROR(rule.state->update(batch, {now_micros_, {}}, errors));
    }
    return {};
  }
  Status finish(std::vector<std::string>* notes) {
    for (auto& rule : rules_) {
      if (!rule.state) {
        notes->push_back(
            fmt::format("quality {} was not looked at: that would take memory for all records", rule.quality->name));
        continue;
      }
      const columnar::Value holds = RUNINK_TRY(rule.state->finish({now_micros_, {}}));
      if (const bool* value = std::get_if<bool>(&holds.data); value != nullptr && !*value) {
        notes->push_back(
            fmt::format("quality {} does not hold over these records: {}", rule.quality->name, rule.quality->text));
      }
    }
    return {};
  }

 private:
  struct Rule {
    const contract::QualityRule* quality;
    std::unique_ptr<expr::WholeAggregate> state;  // null: not looked at
  };
  int64_t now_micros_;
  std::vector<Rule> rules_;
};

class Synthesis {
 public:
  Synthesis(contract::ContractPtr contract, const SynthOptions& options, const SynthWrite& write,
            const SynthWrite& label)
      : contract_(std::move(contract)),
        options_(options),
        write_(write),
        label_(label),
        qualities_(*contract_, options.now_micros) {}
  Result<SynthReport> run(const std::function<void(uint64_t)>& progress);

 private:
  // A record that breaks a rule, as bytes (for Arrow a batch of one row), with all the rules that it breaks.
  struct Broken {
    std::string text;
    std::vector<int> rules;
  };
  Status prepare();
  void list_rules();
  std::string reason_for_rule(int rule) const;
  std::string reason_for_unique(const contract::UniqueSet& set) const;
  Status add_rows(const SynthRows::Rows& rows, uint64_t block);
  Status add_good(const Batch& rows);
  Status add_broken(int rule, const Broken& broken);
  Result<Broken> broken_record(int rule, const Batch& batch, int64_t row, uint64_t number);
  Result<std::string> text_of(const Batch& row);
  Status flush(bool all);
  void keep_values(const Batch& batch);
  Status find_enough(uint64_t number);

  contract::ContractPtr contract_;
  const SynthOptions& options_;
  const SynthWrite& write_;
  const SynthWrite& label_;
  std::unique_ptr<SynthRows> rows_;
  std::unique_ptr<TextBreaker> texts_;
  std::unique_ptr<connectors::RecordWriter> writer_;
  std::vector<int> breakable_;                            // rules, in the contract's order
  std::vector<std::vector<columnar::Value>> candidates_;  // per rule
  size_t turn_ = 0;
  std::optional<Batch> last_good_;  // one row that was written whole
  columnar::Buffer out_;
  size_t counted_ = 0;  // bytes of out_ whose lines are in lines_
  uint64_t lines_ = 0;
  Qualities qualities_;
  SynthReport report_;
};

// ---- which rules can be broken
// -------------------------------------------------------------------------------------------

// Why records that repeat the values of a set would not be rejected by its rule; empty where they are.
std::string Synthesis::reason_for_unique(const contract::UniqueSet& set) const {
  for (const auto& other : contract_->unique_sets) {
    if (&other == &set) continue;
    const bool inside = std::all_of(other.columns.begin(), other.columns.end(), [&](int c) {
      return std::find(set.columns.begin(), set.columns.end(), c) != set.columns.end();
    });
    const bool shared = std::any_of(other.columns.begin(), other.columns.end(), [&](int c) {
      return std::find(set.columns.begin(), set.columns.end(), c) != set.columns.end();
    });
    // Rules across rows are checked in their order: the first one that is broken rejects.
    const bool holds_set = std::all_of(set.columns.begin(), set.columns.end(), [&](int c) {
      return std::find(other.columns.begin(), other.columns.end(), c) != other.columns.end();
    });
    if (&other < &set && (inside || (shared && !holds_set))) {
      return "what repeats it breaks " + contract_->rules[static_cast<size_t>(other.rule)].name;
    }
  }
  return "";
}

std::string Synthesis::reason_for_rule(int rule) const {
  const auto& broken = contract_->rules[static_cast<size_t>(rule)];
  switch (broken.kind) {
    case RuleKind::kCheck:
      return "";
    case RuleKind::kUnique:
    case RuleKind::kKey:
      for (const auto& set : contract_->unique_sets) {
        if (set.rule == rule) return reason_for_unique(set);
      }
      return kNoneFound;
    case RuleKind::kType:
    case RuleKind::kRecord:
      if (texts_->breaks(rule)) return "";
      return fmt::format("{} can say no such thing", connectors::format_name(options_.format));
    default:
      return candidates_[static_cast<size_t>(rule)].empty() ? "no value of the field's type breaks it" : "";
  }
}

void Synthesis::list_rules() {
  for (int rule = 0; rule < static_cast<int>(contract_->rules.size()); ++rule) {
    candidates_.push_back(breaking_values(*contract_, rule, options_.now_micros));
    const std::string reason = reason_for_rule(rule);
    if (reason.empty())
      breakable_.push_back(rule);
    else
      report_.unbroken[contract_->rules[static_cast<size_t>(rule)].name] = reason;
  }
}

// ---- broken records
// ------------------------------------------------------------------------------------------------------

Result<std::string> Synthesis::text_of(const Batch& row) {
  columnar::Buffer text;
  RUNINK_RETURN_IF_ERROR(writer_->append(row, text));
  return std::string(text.view());
}

// Without text where it could not be done this time.
Result<Synthesis::Broken> Synthesis::broken_record(int rule, const Batch& batch, int64_t row, uint64_t number) {
  Broken out;
  out.rules = {rule};
  const auto kind = contract_->rules[static_cast<size_t>(rule)].kind;
  if (kind == RuleKind::kType || kind == RuleKind::kRecord) {
    out.text = texts_->broken(rule, RUNINK_TRY(text_of(columnar::slice(batch, row, 1))));
    return out;
  }
  if (kind == RuleKind::kUnique || kind == RuleKind::kKey) {
    if (!last_good_) return out;
    const auto set = std::find_if(contract_->unique_sets.begin(), contract_->unique_sets.end(),
                                  [&](const auto& s) { return s.rule == rule; });
    std::optional<SynthRows::Broken> repeated = RUNINK_TRY(rows_->repeating(*set, *last_good_, batch, row, number));
    if (!repeated) return out;
    out.rules = std::move(repeated->rules);
    out.text = RUNINK_TRY(text_of(repeated->row));
    return out;
  }
  std::optional<SynthRows::Broken> broken =
      RUNINK_TRY(rows_->breaking(rule, candidates_[static_cast<size_t>(rule)], batch, row, number));
  if (!broken) return out;
  out.rules = std::move(broken->rules);
  out.text = RUNINK_TRY(text_of(broken->row));
  return out;
}

Status Synthesis::add_broken(int rule, const Broken& broken) {
  const auto& about = contract_->rules[static_cast<size_t>(rule)];
  ++report_.records;
  ++report_.broken;
  ++report_.by_rule[about.name];
  if (label_) {
    std::string line = "{";
    if (!options_.label_file.empty()) line += "\"file\":" + json_quote(options_.label_file) + ",";
    if (options_.format != connectors::DataFormat::kArrow) {
      lines_ += count_lines(out_.view().substr(counted_));
      counted_ = out_.size();
      line += fmt::format("\"line\":{},", lines_ + 1);
    }
    line += fmt::format("\"record\":{},", report_.records);
    if (about.column >= 0) {
      // "legs.carrier" of "legs.carrier.pattern".
      const bool member = about.kind == RuleKind::kElements;
      const std::string& field = contract_->fields[static_cast<size_t>(about.column)].name;
      line += "\"field\":" + json_quote(member ? about.name.substr(0, about.name.rfind('.')) : field) + ",";
    }
    line += "\"rule\":" + json_quote(about.name);
    std::string also;
    for (const int other : broken.rules) {
      if (other != rule)
        also += (also.empty() ? "" : ",") + json_quote(contract_->rules[static_cast<size_t>(other)].name);
    }
    if (!also.empty()) line += ",\"also\":[" + also + "]";
    RUNINK_RETURN_IF_ERROR(label_(line + "}\n"));
  }
  out_.append(broken.text.data(), broken.text.size());
  return {};
}

// ---- records
// -------------------------------------------------------------------------------------------------------------

Status Synthesis::add_good(const Batch& rows) {
  RUNINK_RETURN_IF_ERROR(writer_->append(rows, out_));
  report_.records += static_cast<uint64_t>(rows.rows);
  if (options_.invalid > 0) last_good_ = columnar::slice(rows, rows.rows - 1, 1);
  keep_values(rows);
  return qualities_.update(rows);
}

Status Synthesis::add_rows(const SynthRows::Rows& rows, uint64_t block) {
  if (options_.invalid <= 0 || breakable_.empty()) return rows.batch.rows == 0 ? Status() : add_good(rows.batch);
  SynthRandom random(options_.seed, 0, block, kBreakStream);
  int64_t begin = 0;  // of the good rows not yet written
  const auto write_good = [&](int64_t end) -> Status {
    if (end == begin) return {};
    const Batch good = columnar::slice(rows.batch, begin, end - begin);
    begin = end;
    return add_good(good);
  };
  for (int64_t i = 0; i < rows.batch.rows; ++i) {
    if (!random.chance(options_.invalid)) continue;
    RUNINK_RETURN_IF_ERROR(write_good(i));
    const int rule = breakable_[turn_++ % breakable_.size()];
    const Broken broken = RUNINK_TRY(broken_record(rule, rows.batch, i, rows.numbers[static_cast<size_t>(i)]));
    if (broken.text.empty()) continue;  // the row stays as it is
    RUNINK_RETURN_IF_ERROR(add_broken(rule, broken));
    begin = i + 1;
  }
  return write_good(rows.batch.rows);
}

void Synthesis::keep_values(const Batch& batch) {
  for (size_t k = 0; k < options_.keep.size(); ++k) {
    SynthKeys& kept = report_.kept[k];
    for (int64_t r = 0; r < batch.rows && kept.rows.size() < kKeepRows; ++r) {
      std::vector<columnar::Value> row;
      for (const int c : kept.columns) row.push_back(columnar::value_at(batch.columns[static_cast<size_t>(c)], r));
      kept.rows.push_back(std::move(row));
    }
  }
}

Status Synthesis::flush(bool all) {
  if (out_.size() == 0 || (!all && out_.size() < kWriteBytes)) return {};
  RUNINK_RETURN_IF_ERROR(write_(out_.view()));
  if (label_) lines_ += count_lines(out_.view().substr(counted_));
  counted_ = 0;
  out_.resize(0);
  return {};
}

Status Synthesis::prepare() {
  for (const auto& columns : options_.keep) report_.kept.push_back({columns, {}});
  rows_ = RUNINK_TRY(SynthRows::make(contract_, options_));
  report_.notes = rows_->notes();
  texts_ = std::make_unique<TextBreaker>(contract_, options_.format, options_.csv);
  connectors::WriterOptions writer;
  writer.format = options_.format;
  writer.schema = options_.invalid > 0 ? with_nulls(*contract_->schema) : contract_->schema;
  writer.csv = options_.csv;
  writer_ = RUNINK_TRY(connectors::make_record_writer(writer));
  if (options_.invalid > 0) list_rules();
  if (!breakable_.empty()) turn_ = (options_.seed - 1) % breakable_.size();
  const auto reads_now = [](const auto& rule) { return has_word(rule.text, "now()"); };
  if (std::any_of(contract_->checks.begin(), contract_->checks.end(), reads_now) ||
      std::any_of(contract_->qualities.begin(), contract_->qualities.end(), reads_now)) {
    std::string now;
    columnar::append_timestamp(now, options_.now_micros);
    report_.notes.push_back(
        fmt::format("contract {} looks at now(), which is {} here: run with --now {}", contract_->name, now, now));
  }
  return {};
}

// An error where what was made so far says that there will never be enough.
Status Synthesis::find_enough(uint64_t number) {
  const bool hardly_any = number >= columnar::kBatchRows && report_.records * 10 < number;
  const bool at_end = number >= rows_->room() && !options_.fewer_will_do;
  if (!hardly_any && !at_end && (report_.records > 0 || number < options_.records)) return {};
  const std::string rule = rows_->hardest_rule();
  if (rule.empty() && !at_end) return {};
  return failed_precondition("only {} of the first {} records tried keep \"{}\"", human_count(report_.records),
                             human_count(number), rule.empty() ? "the contract" : rule)
      .with_hint(
          "synth computes what a check equates and tries values for the rest: narrower ranges make a check likelier to "
          "hold");
}

Result<SynthReport> Synthesis::run(const std::function<void(uint64_t)>& progress) {
  RUNINK_RETURN_IF_ERROR(prepare());
  RUNINK_RETURN_IF_ERROR(writer_->begin(out_));
  const uint64_t wanted = options_.fewer_will_do ? std::min(options_.records, rows_->room()) : options_.records;
  uint64_t number = 0;
  for (uint64_t block = 0; report_.records < wanted && number < rows_->room(); ++block) {
    if (options_.stop != nullptr && options_.stop->requested())
      return cancelled("interrupted").with_kind("run.interrupted");
    const auto count = static_cast<int64_t>(
        std::min<uint64_t>({columnar::kBatchRows, wanted - report_.records, rows_->room() - number}));
    const SynthRows::Rows rows = RUNINK_TRY(rows_->valid(number, count));
    number += static_cast<uint64_t>(count);
    RUNINK_RETURN_IF_ERROR(add_rows(rows, block));
    if (report_.records < wanted) RUNINK_RETURN_IF_ERROR(find_enough(number));
    RUNINK_RETURN_IF_ERROR(flush(false));
    if (progress) progress(report_.records);
  }
  RUNINK_RETURN_IF_ERROR(writer_->end(out_));
  RUNINK_RETURN_IF_ERROR(flush(true));
  for (const int rule : breakable_) {
    const std::string& name = contract_->rules[static_cast<size_t>(rule)].name;
    if (!report_.by_rule.contains(name))
      report_.unbroken[name] = report_.broken < breakable_.size() ? "too few broken records for all rules" : kNoneFound;
  }
  RUNINK_RETURN_IF_ERROR(qualities_.finish(&report_.notes));
  return std::move(report_);
}

}  // namespace

Result<SynthReport> synthesise(const contract::ContractPtr& contract, const SynthOptions& options,
                               const SynthWrite& write, const SynthWrite& label,
                               const std::function<void(uint64_t)>& progress) {
  return Synthesis(contract, options, write, label).run(progress);
}

}  // namespace runink::local
