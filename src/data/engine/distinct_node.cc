// Deduplicate: of rows with equal keys the first in input order stays.
//
// While the keys seen fit in memory every row is decided at once. When they no longer fit, rows whose key is known are
// decided still; rows with other keys are set aside by partition and decided at the end, partition by partition, and go
// out in input order. (All rows that went out before stand earlier in the input, so the output is in order as a whole.)

#include <algorithm>

#include "data/columnar/kernels.h"
#include "data/columnar/row_key.h"
#include "data/engine/execution_impl.h"
#include "data/engine/held_rows.h"
#include "data/engine/key_table.h"
#include "data/engine/node.h"
#include "data/engine/partitions.h"
#include "platform/os/allocator.h"

namespace runink::engine {

namespace {

class DistinctNode final : public Node {
 public:
  DistinctNode(const plan::Operator& op, Execution& x) : Node(op, x), wide_(with_ordinal(op.schema)) {
    columns_of(std::get<plan::Deduplicate>(op.parameters).columns);
    std::vector<columnar::KeyPart> parts;
    for (size_t c : columns_) parts.push_back({op.schema->field(c).type, false, true});
    encoder_ = columnar::KeyEncoder(std::move(parts));
  }

  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }

  Status end_of_morsel(MorselContext& m) override {
    auto& held = m.held[op_.id];
    // Keys and hashes are made before the turnstile: that is most of the work.
    std::vector<Keys> keys(held.size());
    for (size_t i = 0; i < held.size(); ++i) encode(held[i].first, &keys[i]);
    std::vector<std::vector<uint8_t>> keep(held.size());
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    uint64_t ordinal = m.ordinal;
    for (size_t i = 0; i < held.size() && status.ok(); ++i) {
      Batch& batch = held[i].first;
      keep[i].assign(static_cast<size_t>(batch.rows), 0);
      std::optional<Batch> wide;
      for (int64_t r = 0; r < batch.rows && status.ok(); ++r, ++ordinal) {
        const Verdict verdict = decide(table_, aside_ != nullptr, keys[i], r);
        if (verdict == Verdict::kFirst) {
          keep[i][static_cast<size_t>(r)] = 1;
          ++counts(m).kept;
          if (!aside_ && table_.memory_bytes() > table_bytes_max()) start_setting_aside();
        } else if (verdict == Verdict::kRepeated) {
          ++counts(m).dropped["repeated"];
        } else {
          if (!wide) {
            std::vector<uint64_t> ordinals(static_cast<size_t>(batch.rows));
            for (size_t k = 0; k < ordinals.size(); ++k) ordinals[k] = ordinal + k - static_cast<uint64_t>(r);
            Batch copy = batch;
            if (!execution_.impl().keeps_origin[op_.id]) copy.origin.reset();
            wide = add_ordinals(columnar::materialise_origin(std::move(copy)), wide_, ordinals);
          }
          status = aside_->add_row(*wide, r, keys[i].hashes[static_cast<size_t>(r)]);
        }
      }
    }
    leave();
    RUNINK_RETURN_IF_ERROR(std::move(status));
    for (size_t i = 0; i < held.size(); ++i) {
      RUNINK_RETURN_IF_ERROR(emit(columnar::filter(held[i].first, keep[i].data()), 0, m));
    }
    return {};
  }

  Result<std::unique_ptr<BatchSource>> tail() override {
    table_.clear();
    if (!aside_) return std::unique_ptr<BatchSource>();
    os::return_freed_memory();
    const size_t ordinal_column = wide_->size() - 1;
    sorter_ = std::make_unique<ExternalSorter>(execution_.impl().options.temp_folder, wide_,
                                               std::vector<ExternalSorter::Key>{{ordinal_column, false, true}}, budget() / 4);
    auto partitions = std::move(aside_);
    RUNINK_RETURN_IF_ERROR(work_off(std::move(partitions)));
    auto rows = RUNINK_TRY(sorter_->finish());
    execution_.impl().count_spill(op_, spilled_ + sorter_->spilled_bytes());
    return std::unique_ptr<BatchSource>(std::make_unique<BatchList>(std::move(rows)));
  }
  Status emit_tail(Batch wide, MorselContext& m) override {
    return emit(remove_ordinals(std::move(wide), op_.schema), 0, m);
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = kept + dropped", c.total_in(), c.kept + c.total_dropped());
    sheet.equal("kept = rows out", c.kept, c.total_out());
  }

 private:
  enum class Verdict { kFirst, kRepeated, kUndecided };
  struct Keys {
    columnar::RowKeys keys;
    std::vector<uint64_t> hashes;
  };

  void columns_of(const std::vector<std::string>& names) {
    for (const auto& n : names) columns_.push_back(static_cast<size_t>(op_.schema->index_of(n)));
    if (names.empty()) {
      for (size_t c = 0; c < op_.schema->size(); ++c) columns_.push_back(c);
    }
  }
  uint64_t budget() const { return execution_.impl().memory_share; }
  // Parts of the table double when it grows.
  uint64_t table_bytes_max() const { return budget() * 3 / 8; }

  void encode(const Batch& batch, Keys* keys) const {
    std::vector<const columnar::Column*> columns;
    for (size_t c : columns_) columns.push_back(&batch.columns[c]);
    encoder_.encode(columns, &keys->keys);
    keys->hashes.resize(static_cast<size_t>(batch.rows));
    for (int64_t r = 0; r < batch.rows; ++r) keys->hashes[static_cast<size_t>(r)] = columnar::hash_bytes(keys->keys[r]);
  }
  static Verdict decide(KeyTable& table, bool full, const Keys& keys, int64_t row) {
    const auto r = static_cast<size_t>(row);
    if (full) {
      return table.find(keys.hashes[r], keys.keys[row]) != KeyTable::kAbsent ? Verdict::kRepeated : Verdict::kUndecided;
    }
    bool inserted = false;
    table.insert(keys.hashes[r], keys.keys[row], &inserted);
    return inserted ? Verdict::kFirst : Verdict::kRepeated;
  }
  void start_setting_aside() {
    aside_ = std::make_unique<Partitions>(execution_.impl().options.temp_folder, wide_, 0, budget() / 8);
  }
  // Decides the rows of each partition; a partition with too many keys is divided again.
  Status work_off(std::unique_ptr<Partitions> partitions) {
    RUNINK_RETURN_IF_ERROR(partitions->finish());
    spilled_ += partitions->spilled_bytes();
    for (size_t p = 0; p < kPartitions; ++p) {
      if (partitions->empty(p)) continue;
      KeyTable table;
      std::unique_ptr<Partitions> deeper;
      auto next = partitions->read(p);
      for (;;) {
        auto wide = RUNINK_TRY(next());
        if (!wide) break;
        if (execution_.impl().options.stop != nullptr && execution_.impl().options.stop->requested()) {
          return cancelled("interrupted").with_kind("run.interrupted");
        }
        Keys keys;
        encode(*wide, &keys);
        std::vector<int32_t> out;  // rows that go to the sorter
        std::vector<uint64_t> ordinals;
        for (int64_t r = 0; r < wide->rows; ++r) {
          const Verdict verdict = decide(table, deeper != nullptr, keys, r);
          if (verdict == Verdict::kFirst) {
            out.push_back(static_cast<int32_t>(r));
            ordinals.push_back(ordinals_of(*wide)[r]);
            ++tail_counts.kept;
            if (!deeper && table.memory_bytes() > table_bytes_max() && partitions->level() + 1 < kPartitionLevelsMax) {
              deeper = std::make_unique<Partitions>(execution_.impl().options.temp_folder, wide_, partitions->level() + 1, budget() / 8);
            }
          } else if (verdict == Verdict::kRepeated) {
            ++tail_counts.dropped["repeated"];
          } else {
            RUNINK_RETURN_IF_ERROR(deeper->add_row(*wide, r, keys.hashes[static_cast<size_t>(r)]));
          }
        }
        if (out.empty()) continue;
        Batch chosen = remove_ordinals(columnar::gather(*wide, out), op_.schema);
        RUNINK_RETURN_IF_ERROR(sorter_->add(add_ordinals(std::move(chosen), wide_, ordinals)));
      }
      partitions->drop(p);
      table.clear();
      if (deeper) RUNINK_RETURN_IF_ERROR(work_off(std::move(deeper)));
    }
    return {};
  }

  std::vector<size_t> columns_;
  columnar::KeyEncoder encoder_;
  SchemaPtr wide_;
  KeyTable table_;                       // behind the turnstile
  std::unique_ptr<Partitions> aside_;    // behind the turnstile
  std::unique_ptr<ExternalSorter> sorter_;
  uint64_t spilled_ = 0;
};

}  // namespace

std::unique_ptr<Node> make_distinct_node(const plan::Operator& op, Execution& x) {
  return std::make_unique<DistinctNode>(op, x);
}

}  // namespace runink::engine
