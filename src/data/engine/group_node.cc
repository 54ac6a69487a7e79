// Group and aggregate.
//
// Rows become (group, argument) pairs in the worker. Where no aggregate depends on the order of rows, each worker has a
// table of its own and the tables are merged at the end; otherwise one table is fed behind the turnstile, so that float
// sums, first, last and list do not depend on threads. What tables do when they are too large stands in group_table.h.
// Groups leave in the order in which their first rows came.

#include <algorithm>

#include "data/engine/execution_impl.h"
#include "data/engine/group_table.h"
#include "data/engine/held_rows.h"
#include "data/engine/node.h"

namespace runink::engine {

namespace {

class GroupNode final : public Node {
 public:
  GroupNode(const plan::Operator& op, Execution& x)
      : Node(op, x), p_(std::get<plan::Group>(op.parameters)), shape_(p_, x.impl().options.temp_folder, x.impl().options.stop) {
    const uint64_t share = x.impl().memory_share;
    const uint32_t tables = shape_.order_sensitive ? 1 : x.impl().options.threads;
    for (uint32_t t = 0; t < tables; ++t) tables_.push_back(std::make_unique<GroupTable>(shape_, share / tables, 0));
  }
  bool streams(uint32_t) const override { return false; }

  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    auto& local = this->local<std::unique_ptr<Local>>(m, [&] { return std::make_unique<Local>(p_); });
    if (local->ordinal_of != m.ordinal) {
      local->ordinal_of = m.ordinal;
      local->rows = 0;
    }
    GroupInput in = RUNINK_TRY(evaluate(batch, *local, m));
    if (shape_.order_sensitive) {
      local->waiting.push_back(std::move(in));
      return {};
    }
    return tables_[m.worker]->add(in);
  }
  Status end_of_morsel(MorselContext& m) override {
    if (!shape_.order_sensitive) return {};
    auto& local = this->local<std::unique_ptr<Local>>(m, [&] { return std::make_unique<Local>(p_); });
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    for (const auto& in : local->waiting) {
      if (status.ok()) status = tables_[0]->add(in);
    }
    leave();
    local->waiting.clear();
    return status;
  }

  Result<std::unique_ptr<BatchSource>> tail() override {
    auto& x = execution_.impl();
    // The groups are put in order by a sort that has the rest of the share.
    tables_[0]->set_memory(x.memory_share - x.memory_share / 4);
    for (size_t t = 1; t < tables_.size(); ++t) {
      RUNINK_RETURN_IF_ERROR(tables_[0]->merge(*tables_[t]));
      tables_[t].reset();
    }
    GroupTable& table = *tables_[0];
    if (p_.keys.empty() && table.empty() && !table.spilled()) {
      // Without keys there is one group, even of no rows.
      GroupInput none;
      none.arguments.resize(p_.aggregates.size());
      none.ordinals = {0};
      RUNINK_RETURN_IF_ERROR(table.add(none));
    }
    const bool spilled = table.spilled();
    sorter_ = std::make_unique<ExternalSorter>(shape_.folder, shape_.groups_wide,
                                               std::vector<ExternalSorter::Key>{{shape_.groups_wide->size() - 1, false, true}},
                                               x.memory_share / 4);
    RUNINK_RETURN_IF_ERROR(table.finish([&](Batch b) { return sorter_->add(std::move(b)); }));
    const uint64_t table_spilled = table.spilled_bytes();
    tables_.clear();
    auto rows = RUNINK_TRY(sorter_->finish());
    if (spilled || sorter_->spilled_bytes() > 0) x.count_spill(op_, table_spilled + sorter_->spilled_bytes());
    return std::unique_ptr<BatchSource>(std::make_unique<BatchList>(std::move(rows)));
  }

  // Groups become output rows: keys, then what is computed from the aggregates.
  Status emit_tail(Batch wide, MorselContext& m) override {
    Batch groups = remove_ordinals(std::move(wide), shape_.groups);
    const columnar::Column failed = std::move(groups.columns.back());
    groups.columns.pop_back();
    const columnar::Column sizes = std::move(groups.columns.back());
    groups.columns.pop_back();
    Counts& c = counts(m);
    for (int64_t g = 0; g < groups.rows; ++g) c.grouped += sizes.data<uint64_t>()[g];
    c.pairs += static_cast<uint64_t>(groups.rows);
    auto& evaluators = local<std::vector<expr::Evaluator>>(m, [&] {
      std::vector<expr::Evaluator> all;
      for (const auto& item : p_.items) all.emplace_back(item.value);
      return all;
    });
    Batch out;
    out.rows = groups.rows;
    out.schema = op_.schema;
    for (size_t k = 0; k < p_.keys.size(); ++k) out.columns.push_back(groups.columns[k]);
    std::vector<expr::RowError> errors;
    for (auto& e : evaluators) {
      out.columns.push_back(RUNINK_TRY(e.evaluate(groups.columns, groups.rows, eval_context(), errors)));
    }
    if (failed.null_count() < groups.rows) {
      // What is computed from an aggregate that does not exist says nothing more.
      std::erase_if(errors, [&](const auto& e) { return failed.is_valid(e.row); });
      for (int64_t g = 0; g < groups.rows; ++g) {
        if (failed.is_valid(g)) errors.push_back({g, std::string(failed.text(g))});
      }
    }
    const uint64_t before = c.rejected;
    out = reject_errors(std::move(out), errors, "", m);
    c.unmatched += c.rejected - before;
    return emit(std::move(out), 0, m);
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    // `unmatched` counts rejected groups; the other rejects are rows whose key or argument failed.
    sheet.equal("rows in = sum of group sizes + rejected", c.total_in(), c.grouped + c.rejected - c.unmatched);
    sheet.equal("groups = rows out + rejected groups", c.pairs, c.total_out() + c.unmatched);
  }

 private:
  struct Local {
    explicit Local(const plan::Group& p) {
      for (const auto& k : p.keys) keys.emplace_back(k.value);
      for (const auto& a : p.aggregates) {
        arguments.push_back(a.argument.valid() ? std::make_unique<expr::Evaluator>(a.argument) : nullptr);
      }
    }
    std::vector<expr::Evaluator> keys;
    std::vector<std::unique_ptr<expr::Evaluator>> arguments;
    std::vector<GroupInput> waiting;
    uint64_t ordinal_of = UINT64_MAX, rows = 0;
  };

  Result<GroupInput> evaluate(const Batch& original, Local& local, MorselContext& m) {
    GroupInput in;
    std::vector<expr::RowError> errors;
    Batch batch = original;
    for (int attempt = 0; attempt < 2; ++attempt) {
      in.keys.clear();
      in.arguments.clear();
      errors.clear();
      for (auto& k : local.keys) in.keys.push_back(RUNINK_TRY(k.evaluate(batch, eval_context(), errors)));
      for (auto& a : local.arguments) {
        in.arguments.push_back(a ? RUNINK_TRY(a->evaluate(batch, eval_context(), errors)) : columnar::Column());
      }
      if (errors.empty()) break;
      batch = reject_errors(std::move(batch), errors, "", m);  // and once more without the rows that failed
    }
    in.rows = batch.rows;
    in.ordinals.resize(static_cast<size_t>(batch.rows));
    for (auto& o : in.ordinals) o = m.ordinal + std::min(local.rows++, kOrdinalsPerMorsel - 1);
    return in;
  }

  const plan::Group& p_;
  const GroupShape shape_;
  std::vector<std::unique_ptr<GroupTable>> tables_;  // one per worker, or one behind the turnstile
  std::unique_ptr<ExternalSorter> sorter_;
};

}  // namespace

std::unique_ptr<Node> make_group_node(const plan::Operator& op, Execution& x) { return std::make_unique<GroupNode>(op, x); }

}  // namespace runink::engine
