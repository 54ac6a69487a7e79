// Operators about the order of rows: sort and union.

#include "data/columnar/kernels.h"
#include "data/engine/execution_impl.h"
#include "data/engine/held_rows.h"
#include "data/engine/node.h"

namespace runink::engine {

namespace {

class SortNode final : public Node {
 public:
  SortNode(const plan::Operator& op, Execution& x)
      : Node(op, x), sorter_(x.impl().options.temp_folder, op.schema, keys(op), x.impl().memory_share,
                             std::get<plan::Sort>(op.parameters).keep) {}
  bool streams(uint32_t) const override { return false; }
  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }
  Status end_of_morsel(MorselContext& m) override {
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    for (auto& [batch, input] : m.held[op_.id]) {
      if (!execution_.impl().keeps_origin[op_.id]) batch.origin.reset();
      counts(m).kept += static_cast<uint64_t>(batch.rows);
      if (status.ok()) status = sorter_.add(columnar::materialise_origin(std::move(batch)));
    }
    leave();
    return status;
  }
  Result<std::unique_ptr<BatchSource>> tail() override {
    auto rows = RUNINK_TRY(sorter_.finish());
    if (sorter_.spilled_bytes() > 0) execution_.impl().count_spill(op_, sorter_.spilled_bytes());
    const auto keep = std::get<plan::Sort>(op_.parameters).keep;
    if (keep && *keep < sorter_.rows_added()) {
      tail_counts.dropped["beyond the first rows"] += sorter_.rows_added() - *keep;
    }
    return std::unique_ptr<BatchSource>(std::make_unique<BatchList>(std::move(rows)));
  }
  Status complete() override { return {}; }

 private:
  static std::vector<ExternalSorter::Key> keys(const plan::Operator& op) {
    std::vector<ExternalSorter::Key> out;
    for (const auto& k : std::get<plan::Sort>(op.parameters).keys) {
      out.push_back({static_cast<size_t>(op.schema->index_of(k.column)), k.descending});
    }
    return out;
  }
  ExternalSorter sorter_;
};

// Rows of input 0, then of input 1, and so on. Rows that come before their turn wait in a queue.
class UnionNode final : public Node {
 public:
  UnionNode(const plan::Operator& op, Execution& x) : Node(op, x) {
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      waiting_.push_back(std::make_unique<RowQueue>(x.impl().options.temp_folder, op.schema,
                                                    x.impl().memory_share / op.inputs.size()));
    }
  }
  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    batch.schema = op_.schema;
    if (turn_has_come(input)) return emit(std::move(batch), 0, m);
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }
  Status end_of_morsel(MorselContext& m) override {
    if (m.held[op_.id].empty()) {
      RUNINK_RETURN_IF_ERROR(enter(m));
      leave();
      return {};
    }
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    for (auto& [batch, input] : m.held[op_.id]) {
      if (!execution_.impl().keeps_origin[op_.id]) batch.origin.reset();
      if (status.ok()) status = waiting_[input]->add(columnar::materialise_origin(std::move(batch)));
      queued_ = true;
    }
    leave();
    return status;
  }
  Result<std::unique_ptr<BatchSource>> tail() override {
    if (!queued_) return std::unique_ptr<BatchSource>();
    std::vector<BatchList::Next> parts;
    for (auto& queue : waiting_) {
      RUNINK_RETURN_IF_ERROR(queue->finish());
      if (queue->spilled_bytes() > 0) execution_.impl().count_spill(op_, queue->spilled_bytes());
      parts.push_back(queue->read());
    }
    return std::unique_ptr<BatchSource>(
        std::make_unique<BatchList>([parts, i = size_t{0}]() mutable -> Result<std::optional<Batch>> {
          for (; i < parts.size(); ++i) {
            auto batch = RUNINK_TRY(parts[i]());
            if (batch) return batch;
          }
          return std::optional<Batch>();
        }));
  }

 private:
  // Set between pipelines only (input_done, queued_), so reading them while one runs needs no lock... except queued_,
  // which only ever matters for inputs whose earlier inputs are done, and those were queued in earlier pipelines.
  bool turn_has_come(uint32_t input) const {
    for (uint32_t i = 0; i < input; ++i) {
      if (!input_done[i] || !waiting_[i]->empty()) return false;
    }
    return true;
  }
  std::vector<std::unique_ptr<RowQueue>> waiting_;
  bool queued_ = false;
};

}  // namespace

std::unique_ptr<Node> make_sort_node(const plan::Operator& op, Execution& x) { return std::make_unique<SortNode>(op, x); }
std::unique_ptr<Node> make_union_node(const plan::Operator& op, Execution& x) { return std::make_unique<UnionNode>(op, x); }

}  // namespace runink::engine
