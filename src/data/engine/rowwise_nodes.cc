// Operators that look at one row at a time: check, filter, derive, project, split, limit, sample.

#include <algorithm>
#include <atomic>

#include "data/columnar/kernels.h"
#include "data/columnar/row_key.h"
#include "data/contract/checker.h"
#include "data/engine/execution_impl.h"
#include "data/engine/node.h"
#include "data/expr/eval.h"
#include "data/plan/pii.h"

namespace runink::engine {

namespace {

class CheckNode final : public Node {
 public:
  CheckNode(const plan::Operator& op, Execution& x, std::shared_ptr<const contract::ContractChecker> checker)
      : Node(op, x), checker_(std::move(checker)) {
    // A field may hold what an earlier step made of another one.
    const auto& columns = x.impl().scenario->operators[op.inputs[0].from].columns;
    const auto& fields = checker_->contract().fields;
    for (size_t c = 0; c < columns.size() && c < fields.size(); ++c) {
      const auto mask = contract::mask_of(fields[c]);
      const std::string shown = plan::shown_mask(columns[c]);
      reader_.hidden.push_back(!shown.empty() && (!mask || contract::mask_name(*mask) != shown));
    }
  }

  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    auto& local = this->local<std::unique_ptr<Local>>(m, [] { return std::make_unique<Local>(); });
    auto& result = local->result;
    RUNINK_RETURN_IF_ERROR(checker_->check(batch, eval_context(), local->scratch, result));
    if (result.failed_rows == 0) return emit(std::move(batch), 0, m);
    const Node* const next = next_unique();
    const auto shared = next == nullptr ? nullptr : std::make_shared<const Batch>(batch);
    uint64_t before = next == nullptr ? 0 : rows_for(*next, m);
    int64_t counted = 0;
    for (size_t i = 0; i < result.failures.size();) {
      const int32_t row = result.failures[i].row;
      std::vector<RejectedRecord::Rule> rules;
      for (; i < result.failures.size() && result.failures[i].row == row; ++i) {
        const auto& rule = checker_->contract().rules[static_cast<size_t>(result.failures[i].rule)];
        const std::string field =
            rule.column >= 0 ? checker_->contract().fields[static_cast<size_t>(rule.column)].name : std::string();
        rules.push_back({rule.name, field, checker_->message(batch, result.failures[i], reader_, &result)});
      }
      reject(batch, row, std::move(rules), m);
      if (next == nullptr) continue;
      for (; counted < row; ++counted) before += result.failed[static_cast<size_t>(counted)] == 0;
      PendingReject& letter = m.rejects.back();
      letter.next_unique = next->op().id;
      letter.batch = shared;
      letter.batch_row = row;
      letter.before = before;
    }
    for (auto& f : result.failed) f = !f;
    return emit(columnar::filter(batch, result.failed.data()), 0, m);
  }

  // Rules about what could be read; those that need a field without a value are left out.
  Status judge_rest(ReadReport& report, MorselContext& m) override {
    auto& local = this->local<std::unique_ptr<Local>>(m, [] { return std::make_unique<Local>(); });
    const contract::Contract& contract = checker_->contract();
    for (size_t b = 0; b < report.rest.size(); ++b) {
      const Batch& batch = report.rest[b];
      if (batch.rows == 0) continue;
      RUNINK_RETURN_IF_ERROR(checker_->check(batch, eval_context(), local->scratch, local->result));
      std::vector<UndecodableRow*> rows(static_cast<size_t>(batch.rows), nullptr);
      for (auto& bad : report.undecodable) {
        if (bad.row >= 0 && bad.rest == b) rows[static_cast<size_t>(bad.row)] = &bad;
      }
      for (const auto& failure : local->result.failures) {
        const auto& rule = contract.rules[static_cast<size_t>(failure.rule)];
        UndecodableRow* const bad = rows[static_cast<size_t>(failure.row)];
        if (bad == nullptr || needs(rule, bad->unread)) continue;
        const std::string field = rule.column >= 0 ? contract.fields[static_cast<size_t>(rule.column)].name : std::string();
        bad->more.push_back({rule.name, field, checker_->message(batch, failure, reader_, &local->result)});
      }
    }
    return {};
  }

 private:
  struct Local {
    contract::CheckScratch scratch;
    contract::CheckResult result;
  };
  bool needs(const contract::Rule& rule, const std::vector<int32_t>& columns) const {
    const auto one_of = [&](int c) { return std::find(columns.begin(), columns.end(), c) != columns.end(); };
    if (rule.check < 0) return one_of(rule.column);
    const auto& read = checker_->contract().checks[static_cast<size_t>(rule.check)].expression.columns();
    return std::any_of(read.begin(), read.end(), one_of);
  }
  std::shared_ptr<const contract::ContractChecker> checker_;
  contract::Reader reader_;  // of messages, which are kept: nobody sees more in them, whoever asked for this run
};

class FilterNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    const auto& p = std::get<plan::Filter>(op_.parameters);
    auto& evaluator = local<expr::Evaluator>(m, [&] { return expr::Evaluator(p.condition); });
    std::vector<uint8_t> keep(static_cast<size_t>(batch.rows));
    std::vector<expr::RowError> errors;
    RUNINK_RETURN_IF_ERROR(expr::evaluate_filter(evaluator, batch, eval_context(), keep.data(), errors));
    const auto kept = static_cast<uint64_t>(columnar::count_mask(keep.data(), batch.rows));
    std::vector<uint8_t> wrong(static_cast<size_t>(batch.rows));
    for (const auto& e : errors) {
      if (wrong[static_cast<size_t>(e.row)]++) continue;
      keep[static_cast<size_t>(e.row)] = 0;
      reject(batch, e.row, {{"expression", "", e.message}}, m);
    }
    const auto rejected = static_cast<uint64_t>(std::count_if(wrong.begin(), wrong.end(), [](auto w) { return w > 0; }));
    const uint64_t dropped = static_cast<uint64_t>(batch.rows) - kept - rejected;
    if (dropped > 0) counts(m).dropped[p.reason] += dropped;
    if (kept == static_cast<uint64_t>(batch.rows)) return emit(std::move(batch), 0, m);
    return emit(columnar::filter(batch, keep.data()), 0, m);
  }
};

class DeriveNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    const auto& p = std::get<plan::Derive>(op_.parameters);
    auto& evaluators = local<std::vector<expr::Evaluator>>(m, [&] {
      std::vector<expr::Evaluator> all;
      for (const auto& item : p.items) all.emplace_back(item.value);
      return all;
    });
    const Batch original = batch;
    std::map<int64_t, std::vector<RejectedRecord::Rule>> wrong;
    std::vector<expr::RowError> errors;
    // Column names follow the items: one that is there already is replaced in place, a new one is appended.
    std::vector<std::string> names = batch.schema->names();
    for (size_t i = 0; i < p.items.size(); ++i) {
      errors.clear();
      columnar::Column value = RUNINK_TRY(evaluators[i].evaluate(batch.columns, batch.rows, eval_context(), errors));
      for (auto& e : errors) wrong[e.row].push_back({"expression", p.items[i].name, std::move(e.message)});
      const auto at = std::find(names.begin(), names.end(), p.items[i].name);
      if (at != names.end()) {
        batch.columns[static_cast<size_t>(at - names.begin())] = std::move(value);
      } else {
        names.push_back(p.items[i].name);
        batch.columns.push_back(std::move(value));
      }
    }
    batch.schema = op_.schema;
    if (!wrong.empty()) {
      std::vector<uint8_t> keep(static_cast<size_t>(batch.rows), 1);
      for (auto& [row, rules] : wrong) {
        keep[static_cast<size_t>(row)] = 0;
        reject(original, row, std::move(rules), m);
      }
      batch = columnar::filter(batch, keep.data());
    }
    return emit(std::move(batch), 0, m);
  }
};

class ProjectNode final : public Node {
 public:
  ProjectNode(const plan::Operator& op, Execution& x) : Node(op, x) {}
  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    const auto& p = std::get<plan::Project>(op_.parameters);
    Batch out;
    out.rows = batch.rows;
    out.schema = op_.schema;
    out.origin = batch.origin;
    for (const auto& item : p.items) {
      const int index = batch.schema->index_of(item.from);
      RUNINK_CHECK(index >= 0);
      out.columns.push_back(batch.columns[static_cast<size_t>(index)]);
    }
    return emit(std::move(out), 0, m);
  }
};

class SplitNode final : public Node {
 public:
  using Node::Node;
  uint32_t ports() const override {
    return static_cast<uint32_t>(std::get<plan::Split>(op_.parameters).branches.size());
  }
  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    const auto& p = std::get<plan::Split>(op_.parameters);
    auto& evaluators = local<std::vector<expr::Evaluator>>(m, [&] {
      std::vector<expr::Evaluator> all;
      // `otherwise` has no condition; its evaluator is never asked.
      for (const auto& b : p.branches) {
        all.emplace_back(b.condition.valid() ? b.condition : expr::constant(columnar::TypeId::kBool, columnar::Value(false)));
      }
      return all;
    });
    const auto rows = static_cast<size_t>(batch.rows);
    Counts& c = counts(m);
    c.branch.resize(p.branches.size());
    std::vector<uint8_t> any(rows, 0);
    std::vector<std::vector<uint8_t>> masks(p.branches.size(), std::vector<uint8_t>(rows, 0));
    std::map<int64_t, std::vector<RejectedRecord::Rule>> wrong;
    for (size_t b = 0; b < p.branches.size(); ++b) {
      if (!p.branches[b].condition.valid()) continue;
      std::vector<expr::RowError> errors;
      RUNINK_RETURN_IF_ERROR(expr::evaluate_filter(evaluators[b], batch, eval_context(), masks[b].data(), errors));
      for (auto& e : errors) {
        // A row that an earlier branch took is not looked at any more where only the first counts.
        if (p.first_match_only && any[static_cast<size_t>(e.row)]) continue;
        wrong[e.row].push_back({"expression", p.branches[b].name, std::move(e.message)});
      }
      for (size_t r = 0; r < rows; ++r) {
        if (p.first_match_only) masks[b][r] = masks[b][r] && !any[r];
        any[r] = any[r] || masks[b][r];
      }
    }
    std::vector<uint8_t> bad(rows, 0);
    for (auto& [row, rules] : wrong) {
      bad[static_cast<size_t>(row)] = 1;
      reject(batch, row, std::move(rules), m);
    }
    for (size_t b = 0; b < p.branches.size(); ++b) {
      if (p.branches[b].condition.valid()) continue;
      for (size_t r = 0; r < rows; ++r) masks[b][r] = !any[r];
    }
    uint64_t none = 0;
    for (size_t r = 0; r < rows; ++r) {
      if (bad[r]) continue;
      bool taken = false;
      for (size_t b = 0; b < masks.size(); ++b) taken = taken || masks[b][r];
      none += !taken;
      c.matched += taken;
    }
    if (none > 0) c.dropped["matches no branch"] += none;
    for (size_t b = 0; b < masks.size(); ++b) {
      for (size_t r = 0; r < rows; ++r) masks[b][r] = masks[b][r] && !bad[r];
      c.branch[b] += static_cast<uint64_t>(columnar::count_mask(masks[b].data(), batch.rows));
      RUNINK_RETURN_IF_ERROR(emit(columnar::filter(batch, masks[b].data()), static_cast<uint32_t>(b), m));
    }
    return {};
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    const auto& p = std::get<plan::Split>(op_.parameters);
    sheet.equal("rows in = rows in some branch + rows in none + rejected", c.total_in(),
                c.matched + c.total_dropped() + c.rejected);
    for (size_t b = 0; b < p.branches.size(); ++b) {
      sheet.equal(fmt::format("rows of branch \"{}\" = rows out", p.branches[b].name),
                  b < c.branch.size() ? c.branch[b] : 0, c.out[b]);
    }
  }
};

class LimitNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }
  Status end_of_morsel(MorselContext& m) override {
    const uint64_t limit = std::get<plan::Limit>(op_.parameters).rows;
    std::vector<Batch> out;
    RUNINK_RETURN_IF_ERROR(enter(m));
    for (auto& [batch, input] : m.held[op_.id]) {
      const uint64_t room = limit - std::min(limit, passed_.load());
      const uint64_t take = std::min<uint64_t>(room, static_cast<uint64_t>(batch.rows));
      passed_ += take;
      counts(m).kept += take;
      if (take < static_cast<uint64_t>(batch.rows)) counts(m).dropped["beyond the limit"] += static_cast<uint64_t>(batch.rows) - take;
      if (take > 0) out.push_back(take == static_cast<uint64_t>(batch.rows) ? std::move(batch) : columnar::slice(batch, 0, static_cast<int64_t>(take)));
    }
    leave();
    for (auto& b : out) RUNINK_RETURN_IF_ERROR(emit(std::move(b), 0, m));
    return {};
  }
  bool satisfied() const override { return passed_.load() >= std::get<plan::Limit>(op_.parameters).rows; }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = kept + dropped", c.total_in(), c.kept + c.total_dropped());
    sheet.equal("kept = rows out", c.kept, c.total_out());
  }

 private:
  std::atomic<uint64_t> passed_{0};
};

class SampleNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }
  Status end_of_morsel(MorselContext& m) override {
    const auto& p = std::get<plan::Sample>(op_.parameters);
    uint64_t rows = 0;
    for (const auto& [batch, input] : m.held[op_.id]) rows += static_cast<uint64_t>(batch.rows);
    RUNINK_RETURN_IF_ERROR(enter(m));
    uint64_t number = seen_;
    seen_ += rows;
    leave();
    // A row is kept when the hash of the seed and its number falls below the fraction.
    for (auto& [batch, input] : m.held[op_.id]) {
      std::vector<uint8_t> keep(static_cast<size_t>(batch.rows));
      for (auto& k : keep) {
        const uint64_t words[2] = {p.seed, number++};
        const uint64_t h = columnar::hash_bytes({reinterpret_cast<const char*>(words), sizeof words});
        k = static_cast<double>(h >> 11) * 0x1.0p-53 < p.fraction;
      }
      const auto kept = static_cast<uint64_t>(columnar::count_mask(keep.data(), batch.rows));
      counts(m).kept += kept;
      if (kept < static_cast<uint64_t>(batch.rows)) counts(m).dropped["not sampled"] += static_cast<uint64_t>(batch.rows) - kept;
      RUNINK_RETURN_IF_ERROR(emit(columnar::filter(batch, keep.data()), 0, m));
    }
    return {};
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = kept + dropped", c.total_in(), c.kept + c.total_dropped());
    sheet.equal("kept = rows out", c.kept, c.total_out());
  }

 private:
  uint64_t seen_ = 0;  // behind the turnstile
};

}  // namespace

Result<std::unique_ptr<Node>> make_check_node(const plan::Operator& op, Execution& x) {
  auto checker = RUNINK_TRY(contract::ContractChecker::create(std::get<plan::Check>(op.parameters).contract));
  return std::unique_ptr<Node>(std::make_unique<CheckNode>(op, x, std::move(checker)));
}
std::unique_ptr<Node> make_filter_node(const plan::Operator& op, Execution& x) { return std::make_unique<FilterNode>(op, x); }
std::unique_ptr<Node> make_derive_node(const plan::Operator& op, Execution& x) { return std::make_unique<DeriveNode>(op, x); }
std::unique_ptr<Node> make_project_node(const plan::Operator& op, Execution& x) { return std::make_unique<ProjectNode>(op, x); }
std::unique_ptr<Node> make_split_node(const plan::Operator& op, Execution& x) { return std::make_unique<SplitNode>(op, x); }
std::unique_ptr<Node> make_limit_node(const plan::Operator& op, Execution& x) { return std::make_unique<LimitNode>(op, x); }
std::unique_ptr<Node> make_sample_node(const plan::Operator& op, Execution& x) { return std::make_unique<SampleNode>(op, x); }

}  // namespace runink::engine
