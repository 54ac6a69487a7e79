// Join: input 1 is built into a table, input 0 probes it.
//
// When the built side fits its share of memory, probing is stateless: workers probe in parallel and rows leave in input
// order. When it does not, both sides are divided by the hash of the key; at the end partition after partition is joined
// in memory, and the pairs are put back into the order of the probed rows by an external sort. Rows of input 0 that come
// before the built side is complete wait in a queue.
//
// A null in a key never joins.

#include <algorithm>

#include "data/columnar/kernels.h"
#include "data/columnar/row_key.h"
#include "data/engine/execution_impl.h"
#include "data/engine/held_rows.h"
#include "data/engine/key_table.h"
#include "data/engine/node.h"
#include "data/engine/partitions.h"

namespace runink::engine {

namespace {

// Encoded keys of some rows, with their hashes, and which rows have a null in their key.
struct JoinKeys {
  columnar::RowKeys keys;
  std::vector<uint64_t> hashes;
  std::vector<uint8_t> has_null;
};

// Built rows by key: for each key the rows that have it, in order.
class BuiltSide {
 public:
  Status build(std::vector<Batch> batches, const SchemaPtr& schema, const std::function<Status(const Batch&, JoinKeys*)>& encode) {
    table_.clear();
    if (batches.empty()) {
      rows_.schema = schema;
      for (const auto& f : schema->fields()) rows_.columns.push_back(columnar::make_null_column(f.type, 0));
      return {};
    }
    rows_ = batches.size() == 1 ? std::move(batches[0]) : RUNINK_TRY(columnar::concat(std::span<const Batch>(batches)));
    rows_.origin.reset();
    batches.clear();
    JoinKeys keys;
    RUNINK_RETURN_IF_ERROR(encode(rows_, &keys));
    next_.assign(static_cast<size_t>(rows_.rows), -1);
    first_.clear();
    // Backwards, so that each chain runs forwards.
    for (int64_t r = rows_.rows - 1; r >= 0; --r) {
      if (!keys.has_null.empty() && keys.has_null[static_cast<size_t>(r)]) continue;
      bool inserted = false;
      const uint32_t k = table_.insert(keys.hashes[static_cast<size_t>(r)], keys.keys[r], &inserted);
      if (inserted) {
        first_.push_back(static_cast<int32_t>(r));
      } else {
        next_[static_cast<size_t>(r)] = first_[k];
        first_[k] = static_cast<int32_t>(r);
      }
    }
    return {};
  }
  // The first built row with this key, -1 if there is none; then the next ones.
  int32_t first(uint64_t hash, std::string_view key) const {
    const uint32_t k = table_.find(hash, key);
    return k == KeyTable::kAbsent ? -1 : first_[k];
  }
  int32_t next(int32_t row) const { return next_[static_cast<size_t>(row)]; }
  const Batch& rows() const { return rows_; }

 private:
  Batch rows_;
  KeyTable table_;
  std::vector<int32_t> first_, next_;
};

class JoinNode final : public Node {
 public:
  JoinNode(const plan::Operator& op, Execution& x) : Node(op, x), p_(std::get<plan::Join>(op.parameters)) {
    probe_schema_ = x.impl().scenario->operators[op.inputs[0].from].schema;
    build_schema_ = x.impl().scenario->operators[op.inputs[1].from].schema;
    probe_wide_ = with_ordinal(probe_schema_);
    out_wide_ = with_ordinal(op.schema);
    std::vector<columnar::KeyPart> parts;
    for (const auto& k : p_.probe_keys) parts.push_back({k.type(), false, true});
    encoder_ = columnar::KeyEncoder(std::move(parts));
  }
  bool streams(uint32_t input) const override { return input == 0; }

  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    if (input == 0 && built_) return probe(std::move(batch), m);
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }

  Status end_of_morsel(MorselContext& m) override {
    auto& held = m.held[op_.id];
    if (held.empty()) {
      RUNINK_RETURN_IF_ERROR(enter(m));
      leave();
      return {};
    }
    std::vector<JoinKeys> keys(held.size());
    for (size_t i = 0; i < held.size(); ++i) {
      // Rows whose key cannot be computed are set aside before anything else.
      RUNINK_RETURN_IF_ERROR(encode_or_reject(&held[i].first, held[i].second, &keys[i], m));
    }
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    for (size_t i = 0; i < held.size() && status.ok(); ++i) {
      auto& [batch, input] = held[i];
      if (input == 1) {
        counts(m).kept += static_cast<uint64_t>(batch.rows);
        batch.origin.reset();
        status = add_built(std::move(batch), keys[i]);
      } else {
        status = set_probe_aside(std::move(batch), keys[i], m);
      }
    }
    leave();
    return status;
  }

  Status input_complete(uint32_t input) override {
    if (input != 1) return {};
    auto& x = execution_.impl();
    if (build_aside_) return build_aside_->finish();
    RUNINK_RETURN_IF_ERROR(side_.build(std::move(building_), build_schema_,
                                       [&](const Batch& b, JoinKeys* k) { return encode_quietly(b, 1, k); }));
    (void)x;
    built_ = true;
    return {};
  }

  Result<std::unique_ptr<BatchSource>> tail() override {
    if (!probe_queue_ && !probe_aside_) return std::unique_ptr<BatchSource>();
    auto& x = execution_.impl();
    sorter_ = std::make_unique<ExternalSorter>(x.options.temp_folder, out_wide_,
                                               std::vector<ExternalSorter::Key>{{out_wide_->size() - 1, false}},
                                               x.memory_share / 4);
    uint64_t spilled = 0;
    if (probe_queue_) {
      // Rows that came before the built side was there; if that was divided, they are now too.
      RUNINK_RETURN_IF_ERROR(probe_queue_->finish());
      spilled += probe_queue_->spilled_bytes();
      auto next = probe_queue_->read();
      for (;;) {
        auto wide = RUNINK_TRY(next());
        if (!wide) break;
        JoinKeys keys;
        RUNINK_RETURN_IF_ERROR(encode_quietly(*wide, 0, &keys));
        if (built_) {
          RUNINK_RETURN_IF_ERROR(join_wide(*wide, keys, side_));
        } else {
          if (!probe_aside_) probe_aside_ = new_partitions(probe_wide_, 0);
          RUNINK_RETURN_IF_ERROR(probe_aside_->add(*wide, keys.hashes.data()));
        }
      }
      probe_queue_.reset();
    }
    if (build_aside_) {
      if (!probe_aside_) probe_aside_ = new_partitions(probe_wide_, 0);
      RUNINK_RETURN_IF_ERROR(probe_aside_->finish());
      spilled += build_aside_->spilled_bytes() + probe_aside_->spilled_bytes();
      RUNINK_RETURN_IF_ERROR(join_partitions(*build_aside_, *probe_aside_, &spilled));
      build_aside_.reset();
      probe_aside_.reset();
    }
    auto rows = RUNINK_TRY(sorter_->finish());
    x.count_spill(op_, spilled + sorter_->spilled_bytes());
    return std::unique_ptr<BatchSource>(std::make_unique<BatchList>([this, rows]() -> Result<std::optional<Batch>> {
      auto batch = RUNINK_TRY(rows());
      if (batch) *batch = remove_ordinals(std::move(*batch), op_.schema);
      return batch;
    }));
  }
  Status complete() override {
    side_ = BuiltSide();
    sorter_.reset();
    return {};
  }

  void balance(const Counts& c, BalanceSheet& sheet) const override {
    const uint64_t probe_in = c.in.empty() ? 0 : c.in[0], build_in = c.in.size() > 1 ? c.in[1] : 0;
    sheet.equal("rows probed and built = matched + unmatched + built + rejected", probe_in + build_in,
                c.matched + c.unmatched + c.kept + c.rejected);
    switch (p_.kind) {
      case plan::JoinKind::kInner: sheet.equal("pairs = rows out", c.pairs, c.total_out()); break;
      case plan::JoinKind::kLeft: sheet.equal("pairs + unmatched = rows out", c.pairs + c.unmatched, c.total_out()); break;
      case plan::JoinKind::kSemi: sheet.equal("matched = rows out", c.matched, c.total_out()); break;
      case plan::JoinKind::kAnti: sheet.equal("unmatched = rows out", c.unmatched, c.total_out()); break;
    }
  }

 private:
  uint64_t share() const { return execution_.impl().memory_share; }
  std::unique_ptr<Partitions> new_partitions(const SchemaPtr& schema, int level) {
    return std::make_unique<Partitions>(execution_.impl().options.temp_folder, schema, level, share() / 8);
  }

  Status encode(const Batch& batch, uint32_t input, JoinKeys* keys, std::vector<expr::RowError>& errors) const {
    const auto& exprs = input == 0 ? p_.probe_keys : p_.build_keys;
    std::vector<columnar::Column> columns;
    for (const auto& e : exprs) {
      if (const int plain = e.column_if_plain(); plain >= 0) {
        columns.push_back(batch.columns[static_cast<size_t>(plain)]);
      } else {
        expr::Evaluator evaluator(e);
        columns.push_back(RUNINK_TRY(evaluator.evaluate(batch.columns, batch.rows, eval_context(), errors)));
      }
    }
    std::vector<const columnar::Column*> refs;
    for (const auto& c : columns) refs.push_back(&c);
    encoder_.encode(refs, &keys->keys);
    keys->hashes.resize(static_cast<size_t>(batch.rows));
    for (int64_t r = 0; r < batch.rows; ++r) keys->hashes[static_cast<size_t>(r)] = columnar::hash_bytes(keys->keys[r]);
    for (const auto& c : columns) {
      if (!c.may_have_nulls()) continue;
      keys->has_null.resize(static_cast<size_t>(batch.rows));
      for (int64_t r = 0; r < batch.rows; ++r) keys->has_null[static_cast<size_t>(r)] |= c.is_null(r);
    }
    return {};
  }
  // Of rows whose keys were computed before, without errors.
  Status encode_quietly(const Batch& batch, uint32_t input, JoinKeys* keys) const {
    std::vector<expr::RowError> none;
    return encode(batch, input, keys, none);
  }
  Status encode_or_reject(Batch* batch, uint32_t input, JoinKeys* keys, MorselContext& m) const {
    std::vector<expr::RowError> errors;
    RUNINK_RETURN_IF_ERROR(encode(*batch, input, keys, errors));
    if (errors.empty()) return {};
    *batch = reject_errors(std::move(*batch), errors, "", m);
    *keys = JoinKeys();
    return encode_quietly(*batch, input, keys);
  }

  Status add_built(Batch batch, const JoinKeys& keys) {
    built_bytes_ += batch.byte_size() + static_cast<uint64_t>(batch.rows) * 40;
    if (build_aside_) return build_aside_->add(batch, keys.hashes.data());
    building_.push_back(std::move(batch));
    // Putting the batches together doubles them for a moment.
    if (built_bytes_ * 2 < share()) return {};
    build_aside_ = new_partitions(build_schema_, 0);
    for (const auto& b : building_) {
      JoinKeys again;
      RUNINK_RETURN_IF_ERROR(encode_quietly(b, 1, &again));
      RUNINK_RETURN_IF_ERROR(build_aside_->add(b, again.hashes.data()));
    }
    building_ = {};
    return {};
  }
  Status set_probe_aside(Batch batch, const JoinKeys& keys, MorselContext& m) {
    std::vector<uint64_t> ordinals(static_cast<size_t>(batch.rows));
    for (auto& o : ordinals) o = probe_ordinal_++;
    if (!execution_.impl().keeps_origin[op_.id]) batch.origin.reset();
    Batch wide = add_ordinals(columnar::materialise_origin(std::move(batch)), probe_wide_, ordinals);
    if (build_aside_ && input_done[1]) {
      if (!probe_aside_) probe_aside_ = new_partitions(probe_wide_, 0);
      return probe_aside_->add(wide, keys.hashes.data());
    }
    if (!probe_queue_) {
      probe_queue_ = std::make_unique<RowQueue>(execution_.impl().options.temp_folder, probe_wide_, share() / 8);
    }
    return probe_queue_->add(std::move(wide));
  }

  // Pairs of probed and built rows, a bounded number at a time. `sink` gets output rows and the probed row of each.
  using PairSink = std::function<Status(Batch, const std::vector<int32_t>& probe_rows)>;
  Status join(const Batch& batch, const JoinKeys& keys, const BuiltSide& side, Counts& c,
              std::vector<PendingReject>* rejects, const PairSink& sink) const {
    const bool emits_pairs = p_.kind == plan::JoinKind::kInner || p_.kind == plan::JoinKind::kLeft;
    std::vector<int32_t> probe_rows, build_rows;
    const auto flush = [&]() -> Status {
      size_t done = 0;
      while (done < probe_rows.size()) {
        const std::span<const int32_t> p(probe_rows.data() + done, probe_rows.size() - done);
        const std::span<const int32_t> b(build_rows.data() + done, emits_pairs ? p.size() : 0);
        size_t fits = std::min<size_t>(columnar::kBatchRows, columnar::gather_fits(batch.columns, p));
        if (emits_pairs) fits = std::min(fits, columnar::gather_fits(side.rows().columns, b));
        Batch out;
        out.rows = static_cast<int64_t>(fits);
        out.schema = op_.schema;
        for (size_t i = 0; i < probe_schema_->size(); ++i) out.columns.push_back(columnar::gather(batch.columns[i], p.first(fits)));
        if (emits_pairs) {
          for (uint32_t i : p_.build_columns) out.columns.push_back(columnar::gather_or_null(side.rows().columns[i], b.first(fits)));
        }
        out.origin = columnar::gather_origin(batch.origin, p.first(fits));
        RUNINK_RETURN_IF_ERROR(sink(std::move(out), std::vector<int32_t>(p.begin(), p.begin() + static_cast<int64_t>(fits))));
        done += fits;
      }
      probe_rows.clear();
      build_rows.clear();
      return {};
    };
    std::vector<uint8_t> residual;  // of the candidates of one batch: 0 no, 1 yes, 2 error
    std::vector<std::pair<int32_t, int32_t>> candidates;
    std::map<int32_t, std::string> wrong;
    if (p_.residual.valid()) RUNINK_RETURN_IF_ERROR(check_residual(batch, keys, side, &candidates, &residual, &wrong));
    size_t candidate = 0;
    for (int64_t r = 0; r < batch.rows; ++r) {
      const auto row = static_cast<int32_t>(r);
      const bool null_key = !keys.has_null.empty() && keys.has_null[static_cast<size_t>(r)];
      bool matched = false;
      if (const auto bad = wrong.find(row); bad != wrong.end()) {
        while (candidate < candidates.size() && candidates[candidate].first == row) ++candidate;
        ++c.rejected;
        rejects->push_back(make_reject(batch, r, {{"expression", "", bad->second}}));
        continue;
      }
      if (p_.residual.valid()) {
        for (; candidate < candidates.size() && candidates[candidate].first == row; ++candidate) {
          if (residual[candidate] != 1) continue;
          matched = true;
          if (!emits_pairs) continue;
          ++c.pairs;
          probe_rows.push_back(row);
          build_rows.push_back(candidates[candidate].second);
        }
      } else if (!null_key) {
        for (int32_t b = side.first(keys.hashes[static_cast<size_t>(r)], keys.keys[r]); b >= 0; b = side.next(b)) {
          matched = true;
          if (!emits_pairs) break;
          ++c.pairs;
          probe_rows.push_back(row);
          build_rows.push_back(b);
          if (probe_rows.size() >= 4 * columnar::kBatchRows) RUNINK_RETURN_IF_ERROR(flush());
        }
      }
      ++(matched ? c.matched : c.unmatched);
      const bool alone = (p_.kind == plan::JoinKind::kLeft && !matched) || (p_.kind == plan::JoinKind::kSemi && matched) ||
                         (p_.kind == plan::JoinKind::kAnti && !matched);
      if (alone) {
        probe_rows.push_back(row);
        build_rows.push_back(-1);
      }
      if (probe_rows.size() >= 4 * columnar::kBatchRows) RUNINK_RETURN_IF_ERROR(flush());
    }
    return flush();
  }
  // The condition beyond equal keys, over all candidate pairs of a batch.
  Status check_residual(const Batch& batch, const JoinKeys& keys, const BuiltSide& side,
                        std::vector<std::pair<int32_t, int32_t>>* candidates, std::vector<uint8_t>* holds,
                        std::map<int32_t, std::string>* wrong) const {
    expr::Evaluator evaluator(p_.residual);
    std::vector<int32_t> probe_rows, build_rows;
    const auto evaluate = [&]() -> Status {
      Batch pairs;
      pairs.rows = static_cast<int64_t>(probe_rows.size());
      for (size_t i = 0; i < probe_schema_->size(); ++i) pairs.columns.push_back(columnar::gather(batch.columns[i], probe_rows));
      for (const auto& column : side.rows().columns) pairs.columns.push_back(columnar::gather(column, build_rows));
      std::vector<expr::RowError> errors;
      std::vector<uint8_t> keep(probe_rows.size());
      RUNINK_RETURN_IF_ERROR(expr::evaluate_filter(evaluator, pairs, eval_context(), keep.data(), errors));
      for (const auto& e : errors) wrong->emplace(probe_rows[static_cast<size_t>(e.row)], e.message);
      holds->insert(holds->end(), keep.begin(), keep.end());
      probe_rows.clear();
      build_rows.clear();
      return {};
    };
    for (int64_t r = 0; r < batch.rows; ++r) {
      if (!keys.has_null.empty() && keys.has_null[static_cast<size_t>(r)]) continue;
      for (int32_t b = side.first(keys.hashes[static_cast<size_t>(r)], keys.keys[r]); b >= 0; b = side.next(b)) {
        candidates->emplace_back(static_cast<int32_t>(r), b);
        probe_rows.push_back(static_cast<int32_t>(r));
        build_rows.push_back(b);
        if (probe_rows.size() >= 4 * columnar::kBatchRows) RUNINK_RETURN_IF_ERROR(evaluate());
      }
    }
    return probe_rows.empty() ? Status() : evaluate();
  }

  Status probe(Batch batch, MorselContext& m) {
    JoinKeys keys;
    RUNINK_RETURN_IF_ERROR(encode_or_reject(&batch, 0, &keys, m));
    return join(batch, keys, side_, counts(m), &m.rejects,
                [&](Batch out, const std::vector<int32_t>&) { return emit(std::move(out), 0, m); });
  }
  // Outside of morsels: pairs go to the sorter, with the ordinals of their probed rows.
  Status join_wide(const Batch& wide, const JoinKeys& keys, const BuiltSide& side) {
    const uint64_t* ordinals = ordinals_of(wide);
    const Batch batch = remove_ordinals(wide, probe_schema_);
    std::vector<PendingReject> rejects;
    RUNINK_RETURN_IF_ERROR(join(batch, keys, side, tail_counts, &rejects,
                                [&](Batch out, const std::vector<int32_t>& probe_rows) {
                                  std::vector<uint64_t> of_pairs;
                                  for (int32_t r : probe_rows) of_pairs.push_back(ordinals[r]);
                                  return sorter_->add(add_ordinals(std::move(out), out_wide_, of_pairs));
                                }));
    if (!rejects.empty()) {
      return failed_precondition("{}: {}", op_.location.to_string(), rejects[0].rules[0].message)
          .with_hint("the condition of a join that is spilled to disk must not fail; guard it with if(…) or try_cast(…)");
    }
    return {};
  }

  Status join_partitions(Partitions& build, Partitions& probe, uint64_t* spilled) {
    for (size_t p = 0; p < kPartitions; ++p) {
      if (execution_.impl().options.stop != nullptr && execution_.impl().options.stop->requested()) {
        return cancelled("interrupted").with_kind("run.interrupted");
      }
      if (probe.empty(p)) continue;
      std::vector<Batch> batches;
      std::unique_ptr<Partitions> deeper;
      uint64_t bytes = 0;
      if (!build.empty(p)) {
        auto next = build.read(p);
        for (;;) {
          auto batch = RUNINK_TRY(next());
          if (!batch) break;
          JoinKeys keys;
          if (deeper) {
            RUNINK_RETURN_IF_ERROR(encode_quietly(*batch, 1, &keys));
            RUNINK_RETURN_IF_ERROR(deeper->add(*batch, keys.hashes.data()));
            continue;
          }
          bytes += batch->byte_size() + static_cast<uint64_t>(batch->rows) * 40;
          batches.push_back(std::move(*batch));
          if (bytes * 2 < share()) continue;
          if (build.level() + 1 >= kPartitionLevelsMax) {
            return resource_exhausted("one key of the joined side \"{}\" has more rows than fit in memory ({} bytes)", p_.name,
                                      share())
                .with_hint("give the run more memory (--memory), or join on a key with fewer rows each");
          }
          deeper = new_partitions(build_schema_, build.level() + 1);
          for (const auto& b : batches) {
            JoinKeys again;
            RUNINK_RETURN_IF_ERROR(encode_quietly(b, 1, &again));
            RUNINK_RETURN_IF_ERROR(deeper->add(b, again.hashes.data()));
          }
          batches.clear();
        }
        build.drop(p);
      }
      auto next = probe.read(p);
      if (deeper) {
        RUNINK_RETURN_IF_ERROR(deeper->finish());
        auto probe_deeper = new_partitions(probe_wide_, probe.level() + 1);
        for (;;) {
          auto wide = RUNINK_TRY(next());
          if (!wide) break;
          JoinKeys keys;
          RUNINK_RETURN_IF_ERROR(encode_quietly(*wide, 0, &keys));
          RUNINK_RETURN_IF_ERROR(probe_deeper->add(*wide, keys.hashes.data()));
        }
        probe.drop(p);
        RUNINK_RETURN_IF_ERROR(probe_deeper->finish());
        *spilled += deeper->spilled_bytes() + probe_deeper->spilled_bytes();
        RUNINK_RETURN_IF_ERROR(join_partitions(*deeper, *probe_deeper, spilled));
        continue;
      }
      BuiltSide side;
      RUNINK_RETURN_IF_ERROR(side.build(std::move(batches), build_schema_,
                                        [&](const Batch& b, JoinKeys* k) { return encode_quietly(b, 1, k); }));
      for (;;) {
        auto wide = RUNINK_TRY(next());
        if (!wide) break;
        JoinKeys keys;
        RUNINK_RETURN_IF_ERROR(encode_quietly(*wide, 0, &keys));
        RUNINK_RETURN_IF_ERROR(join_wide(*wide, keys, side));
      }
      probe.drop(p);
    }
    return {};
  }

  const plan::Join& p_;
  SchemaPtr probe_schema_, build_schema_, probe_wide_, out_wide_;
  columnar::KeyEncoder encoder_;
  bool built_ = false;                    // the built side is in memory, whole
  std::vector<Batch> building_;           // behind the turnstile, until built_
  uint64_t built_bytes_ = 0, probe_ordinal_ = 0;
  BuiltSide side_;
  std::unique_ptr<Partitions> build_aside_, probe_aside_;
  std::unique_ptr<RowQueue> probe_queue_;  // probed rows that came too early
  std::unique_ptr<ExternalSorter> sorter_;
};

}  // namespace

std::unique_ptr<Node> make_join_node(const plan::Operator& op, Execution& x) { return std::make_unique<JoinNode>(op, x); }

}  // namespace runink::engine
