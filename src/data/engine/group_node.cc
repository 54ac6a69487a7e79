// Group and aggregate.
//
// Rows become (group, argument) pairs in the worker. Where no aggregate depends on the order of rows, each worker has a
// table of its own and the tables are merged at the end; otherwise one table is fed behind the turnstile, so that float
// sums, first, last and list do not depend on threads.
//
// A table that outgrows its share is written out as partial states, by partition of the key's hash, and begins anew; at
// the end each partition's states are merged, dividing a partition again where it is still too large. Groups leave in
// the order in which their first rows came.

#include <algorithm>
#include <numeric>

#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/columnar/row_key.h"
#include "data/engine/execution_impl.h"
#include "data/engine/held_rows.h"
#include "data/engine/key_table.h"
#include "data/engine/node.h"
#include "data/engine/partitions.h"
#include "data/expr/aggregate.h"

namespace runink::engine {

namespace {

// Types of keys and specs of aggregates: what all tables of one operator share.
struct GroupShape {
  std::vector<columnar::DataType> key_types;
  std::vector<expr::AggregateSpec> aggregates;
  columnar::KeyEncoder encoder;
  SchemaPtr states;   // keys, size (uint64), state (bytes), then the ordinal: a group set aside
  SchemaPtr groups;   // keys, one column per aggregate, size: what finish() gives
  std::string folder;
};

// Evaluated keys and arguments of some rows.
struct GroupInput {
  int64_t rows = 0;
  std::vector<columnar::Column> keys;
  std::vector<columnar::Column> arguments;  // one per aggregate; of count() an empty column
  std::vector<uint64_t> ordinals;
};

class GroupTable {
 public:
  GroupTable(const GroupShape& shape, uint64_t memory_bytes_max, int level)
      : shape_(shape), memory_max_(memory_bytes_max), level_(level) {
    begin();
  }

  Status add(const GroupInput& in) {
    group_.resize(static_cast<size_t>(in.rows));
    if (shape_.key_types.empty()) {
      if (first_seen_.empty()) new_group(in.ordinals.empty() ? 0 : in.ordinals[0]);
      if (in.rows == 0) return {};
      sizes_[0] += static_cast<uint64_t>(in.rows);
      for (auto& a : accumulators_) a->resize(1);
      for (size_t a = 0; a < accumulators_.size(); ++a) {
        accumulators_[a]->update_one(0, in.rows, argument(in, a));
      }
      return over_budget() ? too_large() : Status();
    }
    number_rows(in.keys, in.rows, in.ordinals.data());
    for (int64_t r = 0; r < in.rows; ++r) ++sizes_[group_[static_cast<size_t>(r)]];
    for (size_t a = 0; a < accumulators_.size(); ++a) {
      accumulators_[a]->resize(first_seen_.size());
      accumulators_[a]->update(group_.data(), in.rows, argument(in, a));
    }
    return over_budget() ? make_room() : Status();
  }

  // Adds groups that another table set aside.
  Status add_states(const Batch& states) {
    const size_t keys = shape_.key_types.size();
    std::vector<columnar::Column> key_columns(states.columns.begin(), states.columns.begin() + static_cast<int64_t>(keys));
    group_.resize(static_cast<size_t>(states.rows));
    number_rows(key_columns, states.rows, ordinals_of(states));
    for (auto& a : accumulators_) a->resize(first_seen_.size());
    const auto* sizes = states.columns[keys].data<uint64_t>();
    for (int64_t r = 0; r < states.rows; ++r) {
      const uint32_t g = group_[static_cast<size_t>(r)];
      sizes_[g] += sizes[r];
      std::string_view bytes = states.columns[keys + 1].text(r);
      for (auto& a : accumulators_) RUNINK_RETURN_IF_ERROR(a->read(g, bytes));
    }
    return over_budget() ? make_room() : Status();
  }

  // Everything of `other`, whose rows come after those here.
  Status merge(GroupTable& other) {
    if (other.aside_ != nullptr || aside_ != nullptr) {
      // One of them did not fit: both go by way of their states.
      RUNINK_RETURN_IF_ERROR(other.set_aside());
      RUNINK_RETURN_IF_ERROR(other.aside_->finish());
      for (size_t p = 0; p < kPartitions; ++p) {
        if (other.aside_->empty(p)) continue;
        auto next = other.aside_->read(p);
        for (;;) {
          auto states = RUNINK_TRY(next());
          if (!states) break;
          RUNINK_RETURN_IF_ERROR(add_states(*states));
        }
        spilled_ += other.aside_->spilled_bytes();
        other.aside_->drop(p);
      }
      return {};
    }
    const size_t n = other.first_seen_.size();
    if (n == 0) return {};
    std::vector<uint32_t> group_of(n);
    for (uint32_t g = 0; g < n; ++g) {
      bool inserted = false;
      uint32_t here = 0;
      if (shape_.key_types.empty()) {
        inserted = first_seen_.empty();
      } else {
        here = table_.insert(other.table_.hash(g), other.table_.key(g), &inserted);
      }
      if (inserted) {
        new_group(other.first_seen_[g]);
        sizes_.back() = 0;
        for (size_t k = 0; k < keys_.size(); ++k) new_keys_from(other, k, g);
      }
      first_seen_[here] = std::min(first_seen_[here], other.first_seen_[g]);
      sizes_[here] += other.sizes_[g];
      group_of[g] = here;
    }
    for (size_t a = 0; a < accumulators_.size(); ++a) {
      accumulators_[a]->resize(first_seen_.size());
      accumulators_[a]->merge(*other.accumulators_[a], group_of.data());
    }
    return over_budget() ? make_room() : Status();
  }

  bool spilled() const { return aside_ != nullptr; }
  uint64_t spilled_bytes() const { return spilled_; }
  bool empty() const { return first_seen_.empty(); }

  // Calls back with all groups (schema shape.groups, the ordinal of the first row appended), in batches, in no order
  // across partitions. The table is used up.
  Status finish(const SchemaPtr& wide, const std::function<Status(Batch)>& out) {
    if (aside_ == nullptr) return finish_memory(wide, out);
    RUNINK_RETURN_IF_ERROR(set_aside());
    RUNINK_RETURN_IF_ERROR(aside_->finish());
    spilled_ += aside_->spilled_bytes();
    for (size_t p = 0; p < kPartitions; ++p) {
      if (aside_->empty(p)) continue;
      GroupTable deeper(shape_, memory_max_, level_ + 1);
      auto next = aside_->read(p);
      for (;;) {
        auto states = RUNINK_TRY(next());
        if (!states) break;
        RUNINK_RETURN_IF_ERROR(deeper.add_states(*states));
      }
      aside_->drop(p);
      RUNINK_RETURN_IF_ERROR(deeper.finish(wide, out));
      spilled_ += deeper.spilled_;
    }
    return {};
  }

 private:
  void begin() {
    table_.clear();
    keys_.clear();
    for (const auto& t : shape_.key_types) keys_.emplace_back(t);
    first_seen_ = {};
    sizes_ = {};
    accumulators_.clear();
    for (const auto& a : shape_.aggregates) accumulators_.push_back(expr::make_accumulator(a));
  }
  static const columnar::Column* argument(const GroupInput& in, size_t a) {
    return in.arguments[a].length == in.rows ? &in.arguments[a] : nullptr;
  }
  void new_group(uint64_t ordinal) {
    first_seen_.push_back(ordinal);
    sizes_.push_back(0);
  }
  void new_keys_from(GroupTable& other, size_t k, uint32_t g) {
    if (other.finished_keys_.empty()) {
      for (auto& b : other.keys_) other.finished_keys_.push_back(b.finish());
    }
    keys_[k].append_from(other.finished_keys_[k], g);
  }
  // Sets group_[r] for each row, making new groups.
  void number_rows(const std::vector<columnar::Column>& keys, int64_t rows, const uint64_t* ordinals) {
    std::vector<const columnar::Column*> columns;
    for (const auto& k : keys) columns.push_back(&k);
    shape_.encoder.encode(columns, &row_keys_);
    for (int64_t r = 0; r < rows; ++r) {
      const std::string_view key = row_keys_[r];
      bool inserted = false;
      const uint32_t g = table_.insert(columnar::hash_bytes(key), key, &inserted);
      group_[static_cast<size_t>(r)] = g;
      if (inserted) {
        new_group(ordinals[r]);
        for (size_t k = 0; k < keys.size(); ++k) keys_[k].append_from(keys[k], r);
      } else if (ordinals[r] < first_seen_[g]) {
        first_seen_[g] = ordinals[r];
      }
    }
  }
  bool over_budget() {
    size_t bytes = table_.memory_bytes() + first_seen_.capacity() * 16;
    // Key columns are about as large as their encoded form.
    for (size_t k = 0; k < keys_.size(); ++k) bytes += first_seen_.size() * 8;
    for (const auto& a : accumulators_) bytes += a->memory_bytes();
    return bytes > memory_max_ / 2;
  }
  Status too_large() const {
    return resource_exhausted("one group alone needs more than the memory that this step may use ({} bytes)", memory_max_)
        .with_hint("give the run more memory (--memory, or memory_budget in runink.toml), or use aggregates that keep no "
                   "values (quantile, distinct_count and list keep all of a group's)");
  }

  // The table is too large: its groups go to disk. Of no use when one group fills it by itself.
  Status make_room() {
    if (level_ >= kPartitionLevelsMax || first_seen_.size() == 1) return too_large();
    return set_aside();
  }
  Status set_aside() {
    if (first_seen_.empty()) {
      if (aside_ == nullptr) aside_ = std::make_unique<Partitions>(shape_.folder, shape_.states, level_, memory_max_ / 4);
      return {};
    }
    if (aside_ == nullptr) aside_ = std::make_unique<Partitions>(shape_.folder, shape_.states, level_, memory_max_ / 4);
    std::vector<columnar::Column> keys;
    for (auto& b : keys_) keys.push_back(b.finish());
    const auto n = static_cast<int64_t>(first_seen_.size());
    for (int64_t first = 0; first < n; first += columnar::kBatchRows) {
      const int64_t count = std::min<int64_t>(columnar::kBatchRows, n - first);
      Batch states;
      states.rows = count;
      states.schema = shape_.states;
      for (const auto& k : keys) states.columns.push_back(columnar::slice(k, first, count));
      columnar::ColumnBuilder sizes(columnar::TypeId::kUInt64, count), bytes(columnar::TypeId::kBytes, count),
          ordinals(columnar::TypeId::kUInt64, count);
      std::vector<uint64_t> hashes;
      std::string state;
      for (int64_t r = 0; r < count; ++r) {
        const auto g = static_cast<uint32_t>(first + r);
        state.clear();
        for (const auto& a : accumulators_) a->write(g, state);
        sizes.append_fixed<uint64_t>(sizes_[g]);
        bytes.append_text(state);
        ordinals.append_fixed<uint64_t>(first_seen_[g]);
        hashes.push_back(table_.hash(g));
      }
      states.columns.push_back(sizes.finish());
      states.columns.push_back(bytes.finish());
      states.columns.push_back(ordinals.finish());
      RUNINK_RETURN_IF_ERROR(aside_->add(states, hashes.data()));
    }
    begin();
    return {};
  }

  Status finish_memory(const SchemaPtr& wide, const std::function<Status(Batch)>& out) {
    const size_t n = first_seen_.size();
    if (n == 0) return {};
    if (finished_keys_.empty()) {
      for (auto& b : keys_) finished_keys_.push_back(b.finish());
    }
    std::vector<columnar::Column> results;
    for (auto& a : accumulators_) {
      a->resize(n);
      results.push_back(RUNINK_TRY(a->finish(0, n)));
    }
    std::vector<int32_t> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return first_seen_[static_cast<size_t>(a)] < first_seen_[static_cast<size_t>(b)];
    });
    for (size_t first = 0; first < n; first += columnar::kBatchRows) {
      const std::span<const int32_t> part(order.data() + first, std::min<size_t>(columnar::kBatchRows, n - first));
      Batch groups;
      groups.rows = static_cast<int64_t>(part.size());
      for (const auto& k : finished_keys_) groups.columns.push_back(columnar::gather(k, part));
      for (const auto& r : results) groups.columns.push_back(columnar::gather(r, part));
      columnar::ColumnBuilder sizes(columnar::TypeId::kUInt64, groups.rows);
      std::vector<uint64_t> ordinals;
      for (int32_t g : part) {
        sizes.append_fixed<uint64_t>(sizes_[static_cast<size_t>(g)]);
        ordinals.push_back(first_seen_[static_cast<size_t>(g)]);
      }
      groups.columns.push_back(sizes.finish());
      RUNINK_RETURN_IF_ERROR(out(add_ordinals(std::move(groups), wide, ordinals)));
    }
    return {};
  }

  const GroupShape& shape_;
  uint64_t memory_max_;
  int level_;
  KeyTable table_;
  std::vector<columnar::ColumnBuilder> keys_;
  std::vector<columnar::Column> finished_keys_;
  std::vector<uint64_t> first_seen_, sizes_;
  std::vector<std::unique_ptr<expr::Accumulator>> accumulators_;
  std::unique_ptr<Partitions> aside_;
  uint64_t spilled_ = 0;
  columnar::RowKeys row_keys_;
  std::vector<uint32_t> group_;
};

class GroupNode final : public Node {
 public:
  GroupNode(const plan::Operator& op, Execution& x) : Node(op, x), p_(std::get<plan::Group>(op.parameters)) {
    std::vector<columnar::Field> states, groups;
    std::vector<columnar::KeyPart> parts;
    for (const auto& k : p_.keys) {
      shape_.key_types.push_back(k.value.type());
      parts.push_back({k.value.type(), false, true});
      states.push_back({k.name, k.value.type(), true, "", ""});
      groups.push_back(states.back());
    }
    shape_.aggregates = p_.aggregates;
    for (size_t a = 0; a < p_.aggregates.size(); ++a) {
      groups.push_back({fmt::format("#{}", a), p_.aggregates[a].result_type, true, "", ""});
      ordered_ = ordered_ || p_.aggregates[a].order_sensitive;
    }
    states.push_back({"#size", columnar::TypeId::kUInt64, false, "", ""});
    groups.push_back(states.back());
    states.push_back({"#state", columnar::TypeId::kBytes, false, "", ""});
    shape_.encoder = columnar::KeyEncoder(std::move(parts));
    shape_.states = with_ordinal(std::make_shared<columnar::Schema>(std::move(states)));
    shape_.groups = std::make_shared<columnar::Schema>(std::move(groups));
    shape_.folder = x.impl().options.temp_folder;
    wide_ = with_ordinal(shape_.groups);
    const uint64_t share = x.impl().memory_share;
    const uint32_t tables = ordered_ ? 1 : x.impl().options.threads;
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
    if (ordered_) {
      local->waiting.push_back(std::move(in));
      return {};
    }
    return tables_[m.worker]->add(in);
  }
  Status end_of_morsel(MorselContext& m) override {
    if (!ordered_) return {};
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
    if (!table.spilled()) {
      std::vector<Batch> all;
      RUNINK_RETURN_IF_ERROR(table.finish(wide_, [&](Batch b) { all.push_back(std::move(b)); return Status(); }));
      tables_.clear();
      return std::unique_ptr<BatchSource>(std::make_unique<BatchList>(std::move(all)));
    }
    auto& x = execution_.impl();
    sorter_ = std::make_unique<ExternalSorter>(shape_.folder, wide_,
                                               std::vector<ExternalSorter::Key>{{wide_->size() - 1, false}}, x.memory_share / 2);
    RUNINK_RETURN_IF_ERROR(table.finish(wide_, [&](Batch b) { return sorter_->add(std::move(b)); }));
    uint64_t spilled = table.spilled_bytes();
    tables_.clear();
    auto rows = RUNINK_TRY(sorter_->finish());
    x.count_spill(op_, spilled + sorter_->spilled_bytes());
    return std::unique_ptr<BatchSource>(std::make_unique<BatchList>(std::move(rows)));
  }

  // Groups become output rows: keys, then what is computed from the aggregates.
  Status emit_tail(Batch wide, MorselContext& m) override {
    Batch groups = remove_ordinals(std::move(wide), shape_.groups);
    const columnar::Column sizes = groups.columns.back();
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
  GroupShape shape_;
  SchemaPtr wide_;
  bool ordered_ = false;
  std::vector<std::unique_ptr<GroupTable>> tables_;  // one per worker, or one behind the turnstile
  std::unique_ptr<ExternalSorter> sorter_;
};

}  // namespace

std::unique_ptr<Node> make_group_node(const plan::Operator& op, Execution& x) { return std::make_unique<GroupNode>(op, x); }

}  // namespace runink::engine
