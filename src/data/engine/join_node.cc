// Join: input 1 is built into a table, input 0 probes it.
//
// When the built side fits its share of memory, probing is stateless: workers probe in parallel and rows leave in input
// order. When it does not, both sides are divided by the hash of the key; at the end partition after partition is joined
// in memory, and the pairs are put back into the order of the probed rows by an external sort. Rows of input 0 that come
// before the built side is complete wait in a queue.
//
// A partition that dividing would not make smaller (one key with very many rows) is joined in pieces: as many built rows
// as fit, all probed rows of the partition against them, then the next built rows. Only one bit per probed row outlives a
// piece: whether it has found a partner.
//
// A null in a key never joins.

#include <algorithm>

#include "data/columnar/builder.h"
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
    if (batches.size() == 1) {
      rows_ = std::move(batches[0]);
    } else {
      // Batches go as they are copied, so that they and the copy are not both there as a whole.
      int64_t rows = 0;
      for (const auto& b : batches) rows += b.rows;
      columnar::BatchBuilder all(schema, rows);
      for (auto& b : batches) {
        for (size_t c = 0; c < b.columns.size(); ++c) all.column(c).append_rows(b.columns[c], 0, b.rows);
        b = Batch();
      }
      rows_ = all.finish();
    }
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

// Pairs that are put together, or looked at, at once; and their bytes.
constexpr size_t kPairsAtOnce = 4 * columnar::kBatchRows;
constexpr size_t kPairBytes = 1 << 20;
// Beside a built row itself: its key, its place in the table and in the chain of rows with the same key.
constexpr uint64_t kTableBytesPerRow = 64;
// A column holds at most 2 GiB of text.
constexpr uint64_t kBuiltBytesMost = 0x7FFFFFFF - (1u << 20);

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
    built_bytes_ += built_bytes(batch);
    if (build_aside_) return build_aside_->add(batch, keys.hashes.data());
    building_.push_back(std::move(batch));
    if (built_bytes_ < std::min(share() / 2, kBuiltBytesMost)) return {};
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

  // One of several pieces of the built side: which probed rows found a partner in an earlier one.
  struct Piece {
    std::vector<bool>* matched;
    size_t first;  // the place of the batch's first row in it
    bool last;     // no piece follows, so what found none has none
  };
  bool emits_pairs() const { return p_.kind == plan::JoinKind::kInner || p_.kind == plan::JoinKind::kLeft; }

  // Collects pairs of one probed batch and hands them to the sink.
  class Pairs {
   public:
    Pairs(const JoinNode& node, const Batch& batch, const BuiltSide& side, const PairSink& sink)
        : node_(node), batch_(batch), side_(side), sink_(sink) {}
    Status add(int32_t probe_row, int32_t build_row) {
      probe_rows_.push_back(probe_row);
      build_rows_.push_back(build_row);
      return probe_rows_.size() >= kPairsAtOnce ? flush() : Status();
    }
    Status flush() {
      size_t done = 0;
      while (done < probe_rows_.size()) {
        const std::span<const int32_t> p(probe_rows_.data() + done, probe_rows_.size() - done);
        const std::span<const int32_t> b(build_rows_.data() + done, node_.emits_pairs() ? p.size() : 0);
        size_t fits = std::min<size_t>(columnar::kBatchRows, columnar::gather_fits(batch_.columns, p, kPairBytes));
        if (node_.emits_pairs()) fits = std::min(fits, columnar::gather_fits(side_.rows().columns, b, kPairBytes));
        Batch out;
        out.rows = static_cast<int64_t>(fits);
        out.schema = node_.op_.schema;
        for (size_t i = 0; i < node_.probe_schema_->size(); ++i) out.columns.push_back(columnar::gather(batch_.columns[i], p.first(fits)));
        if (node_.emits_pairs()) {
          for (uint32_t i : node_.p_.build_columns) out.columns.push_back(columnar::gather_or_null(side_.rows().columns[i], b.first(fits)));
        }
        out.origin = columnar::gather_origin(batch_.origin, p.first(fits));
        RUNINK_RETURN_IF_ERROR(sink_(std::move(out), std::vector<int32_t>(p.begin(), p.begin() + static_cast<int64_t>(fits))));
        done += fits;
      }
      probe_rows_.clear();
      build_rows_.clear();
      return {};
    }

   private:
    const JoinNode& node_;
    const Batch& batch_;
    const BuiltSide& side_;
    const PairSink& sink_;
    std::vector<int32_t> probe_rows_, build_rows_;
  };

  Status join(const Batch& batch, const JoinKeys& keys, const BuiltSide& side, Counts& c, std::vector<PendingReject>* rejects,
              const PairSink& sink, const Piece* piece = nullptr) const {
    Pairs pairs(*this, batch, side, sink);
    Candidates candidates(*this, batch, keys, side);
    for (int64_t r = 0; r < batch.rows; ++r) {
      const auto row = static_cast<int32_t>(r);
      const bool had_partner = piece != nullptr && (*piece->matched)[piece->first + static_cast<size_t>(r)];
      bool found = false;
      if (had_partner && !emits_pairs()) {
        // One partner is enough.
      } else if (p_.residual.valid()) {
        RUNINK_RETURN_IF_ERROR(candidates.move_to(row));
        if (const std::string* wrong = candidates.error()) {
          ++c.rejected;
          rejects->push_back(make_reject(batch, r, {{"expression", "", *wrong}}));
          continue;
        }
        for (;;) {
          const int32_t b = RUNINK_TRY(candidates.next());
          if (b < 0) break;
          found = true;
          if (!emits_pairs()) break;
          ++c.pairs;
          RUNINK_RETURN_IF_ERROR(pairs.add(row, b));
        }
      } else if (!has_null(keys, row)) {
        for (int32_t b = side.first(keys.hashes[static_cast<size_t>(r)], keys.keys[r]); b >= 0; b = side.next(b)) {
          found = true;
          if (!emits_pairs()) break;
          ++c.pairs;
          RUNINK_RETURN_IF_ERROR(pairs.add(row, b));
        }
      }
      if (piece != nullptr && found) (*piece->matched)[piece->first + static_cast<size_t>(r)] = true;
      if (piece != nullptr && !piece->last) continue;
      const bool matched = found || had_partner;
      ++(matched ? c.matched : c.unmatched);
      const bool alone = (p_.kind == plan::JoinKind::kLeft && !matched) || (p_.kind == plan::JoinKind::kSemi && matched) ||
                         (p_.kind == plan::JoinKind::kAnti && !matched);
      if (alone) RUNINK_RETURN_IF_ERROR(pairs.add(row, -1));
    }
    return pairs.flush();
  }
  static bool has_null(const JoinKeys& keys, int32_t row) {
    return !keys.has_null.empty() && keys.has_null[static_cast<size_t>(row)];
  }

  // The built rows that have a probed row's key and fulfil the condition beyond equal keys, row after row. The condition is
  // evaluated for many pairs at once, but never for more than a few thousand: where one row alone has more, they are
  // evaluated twice, first to see whether any fails (then the row is rejected as a whole), then one by one.
  class Candidates {
   public:
    Candidates(const JoinNode& node, const Batch& batch, const JoinKeys& keys, const BuiltSide& side)
        : node_(node), batch_(batch), keys_(keys), side_(side) {
      if (node.p_.residual.valid()) evaluator_.emplace(node.p_.residual);
    }
    // Rows must be visited in order.
    Status move_to(int32_t row) {
      row_ = row;
      error_.clear();
      while (at_ < probe_rows_.size() && probe_rows_[at_] < row) ++at_;
      if (row >= rows_end_) RUNINK_RETURN_IF_ERROR(fill());
      if (const auto bad = errors_.find(row); bad != errors_.end()) error_ = bad->second;
      return {};
    }
    const std::string* error() const { return error_.empty() ? nullptr : &error_; }
    // The next built row that goes with the present one; -1 after the last.
    Result<int32_t> next() {
      for (;;) {
        for (; at_ < probe_rows_.size() && probe_rows_[at_] == row_; ++at_) {
          if (holds_[at_] != 0) return build_rows_[at_++];
        }
        if (rest_ < 0 || rest_of_ != row_) return -1;
        RUNINK_RETURN_IF_ERROR(evaluate_more(row_, kPairsAtOnce));
      }
    }

   private:
    int32_t first_of(int32_t row) const {
      if (has_null(keys_, row)) return -1;
      return side_.first(keys_.hashes[static_cast<size_t>(row)], keys_.keys[row]);
    }
    void clear() {
      probe_rows_.clear();
      build_rows_.clear();
      holds_.clear();
      at_ = 0;
      rest_ = -1;
    }
    // Candidates of the present row and of as many more as come to a few thousand pairs.
    Status fill() {
      clear();
      errors_.clear();
      for (rows_end_ = row_; rows_end_ < batch_.rows && probe_rows_.size() < kPairsAtOnce; ++rows_end_) {
        const size_t before = probe_rows_.size();
        int32_t b = first_of(rows_end_);
        for (; b >= 0 && probe_rows_.size() < before + kPairsAtOnce; b = side_.next(b)) {
          probe_rows_.push_back(rows_end_);
          build_rows_.push_back(b);
        }
        if (b < 0) continue;
        // A row with very many stands alone.
        probe_rows_.resize(before);
        build_rows_.resize(before);
        if (before > 0) break;
        const int32_t row = rows_end_++;
        rest_ = first_of(row);
        rest_of_ = row;
        while (rest_ >= 0 && errors_.empty()) RUNINK_RETURN_IF_ERROR(evaluate_more(row, kPairsAtOnce));
        clear();
        rest_ = errors_.empty() ? first_of(row) : -1;
        return {};
      }
      return evaluate();
    }
    Status evaluate_more(int32_t row, size_t count) {
      const int32_t from = rest_;
      clear();
      rest_ = from;
      for (; rest_ >= 0 && probe_rows_.size() < count; rest_ = side_.next(rest_)) {
        probe_rows_.push_back(row);
        build_rows_.push_back(rest_);
      }
      return evaluate();
    }
    Status evaluate() {
      holds_.assign(probe_rows_.size(), 0);
      for (size_t done = 0; done < probe_rows_.size();) {
        std::span<const int32_t> p(probe_rows_.data() + done, probe_rows_.size() - done);
        std::span<const int32_t> b(build_rows_.data() + done, p.size());
        const size_t fits = std::min(columnar::gather_fits(batch_.columns, p, kPairBytes), columnar::gather_fits(side_.rows().columns, b, kPairBytes));
        p = p.first(fits);
        b = b.first(fits);
        Batch pairs;
        pairs.rows = static_cast<int64_t>(fits);
        for (size_t i = 0; i < node_.probe_schema_->size(); ++i) pairs.columns.push_back(columnar::gather(batch_.columns[i], p));
        for (const auto& column : side_.rows().columns) pairs.columns.push_back(columnar::gather(column, b));
        std::vector<expr::RowError> errors;
        RUNINK_RETURN_IF_ERROR(expr::evaluate_filter(*evaluator_, pairs, node_.eval_context(), holds_.data() + done, errors));
        for (const auto& e : errors) errors_.emplace(p[static_cast<size_t>(e.row)], e.message);
        done += fits;
      }
      return {};
    }

    const JoinNode& node_;
    const Batch& batch_;
    const JoinKeys& keys_;
    const BuiltSide& side_;
    std::optional<expr::Evaluator> evaluator_;
    std::vector<int32_t> probe_rows_, build_rows_;
    std::vector<uint8_t> holds_;
    std::map<int32_t, std::string> errors_;
    std::string error_;
    size_t at_ = 0;
    int32_t row_ = 0, rows_end_ = 0;     // rows before rows_end_ have been looked at
    int32_t rest_ = -1, rest_of_ = -1;   // of one row: built rows still to be evaluated
  };

  Status probe(Batch batch, MorselContext& m) {
    JoinKeys keys;
    RUNINK_RETURN_IF_ERROR(encode_or_reject(&batch, 0, &keys, m));
    return join(batch, keys, side_, counts(m), &m.rejects,
                [&](Batch out, const std::vector<int32_t>&) { return emit(std::move(out), 0, m); });
  }
  // Outside of morsels: pairs go to the sorter, with the ordinals of their probed rows.
  Status join_wide(const Batch& wide, const JoinKeys& keys, const BuiltSide& side, const Piece* piece = nullptr) {
    const uint64_t* ordinals = ordinals_of(wide);
    const Batch batch = remove_ordinals(wide, probe_schema_);
    std::vector<PendingReject> rejects;
    RUNINK_RETURN_IF_ERROR(join(batch, keys, side, tail_counts, &rejects,
                                [&](Batch out, const std::vector<int32_t>& probe_rows) {
                                  std::vector<uint64_t> of_pairs;
                                  for (int32_t r : probe_rows) of_pairs.push_back(ordinals[r]);
                                  return sorter_->add(add_ordinals(std::move(out), out_wide_, of_pairs));
                                }, piece));
    if (!rejects.empty()) {
      return failed_precondition("{}: {}", op_.location.to_string(), rejects[0].rules[0].message)
          .with_hint("the condition of a join that is spilled to disk must not fail; guard it with if(…) or try_cast(…)");
    }
    return {};
  }

  Status check_stop() const {
    const auto* stop = execution_.impl().options.stop;
    if (stop != nullptr && stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
    return {};
  }
  // Where no pairs are asked for, one built row of each key is enough.
  bool one_row_per_key() const { return !emits_pairs() && !p_.residual.valid(); }

  // Built rows of one partition, as many as fit.
  class Loader {
   public:
    Loader(const JoinNode& node, BatchList::Next next, uint64_t memory_max)
        : node_(node), next_(std::move(next)), memory_max_(memory_max) {}
    bool ended() const { return ended_; }
    std::vector<Batch> take() {
      bytes_ = 0;
      return std::move(batches_);
    }
    // Whether rows with different keys are among those loaded, so that dividing can help.
    Result<bool> divisible() const {
      uint64_t only = 0;
      bool any = false;
      for (const auto& b : batches_) {
        JoinKeys keys;
        RUNINK_RETURN_IF_ERROR(node_.encode_quietly(b, 1, &keys));
        for (const uint64_t hash : keys.hashes) {
          if (any && hash != only) return true;
          only = hash;
          any = true;
        }
      }
      return false;
    }
    Result<std::optional<Batch>> next() {
      RUNINK_RETURN_IF_ERROR(node_.check_stop());
      return next_();
    }
    // Loads until memory is full (true) or there are no more.
    Result<bool> load() {
      while (bytes_ < memory_max_) {
        auto batch = RUNINK_TRY(next());
        if (!batch) {
          ended_ = true;
          return false;
        }
        if (node_.one_row_per_key()) {
          *batch = RUNINK_TRY(without_repeats(std::move(*batch)));
          if (batch->rows == 0) continue;
        }
        bytes_ += built_bytes(*batch);
        batches_.push_back(std::move(*batch));
      }
      return true;
    }

   private:
    Result<Batch> without_repeats(Batch batch) {
      JoinKeys keys;
      RUNINK_RETURN_IF_ERROR(node_.encode_quietly(batch, 1, &keys));
      std::vector<uint8_t> keep(static_cast<size_t>(batch.rows), 0);
      for (int64_t r = 0; r < batch.rows; ++r) {
        const std::string_view key = keys.keys[r];
        keep[static_cast<size_t>(r)] = r == 0 || key != keys.keys[r - 1];
        if (r == 0 && key == last_) keep[0] = 0;
      }
      if (batch.rows > 0) last_ = keys.keys[batch.rows - 1];
      return columnar::filter(batch, keep.data());
    }
    const JoinNode& node_;
    BatchList::Next next_;
    const uint64_t memory_max_;
    std::vector<Batch> batches_;
    uint64_t bytes_ = 0;
    bool ended_ = false;
    std::string last_;
  };
  // With what the table over them takes.
  static uint64_t built_bytes(const Batch& batch) { return batch.byte_size() + static_cast<uint64_t>(batch.rows) * kTableBytesPerRow; }

  Status join_partitions(Partitions& build, Partitions& probe, uint64_t* spilled) {
    for (size_t p = 0; p < kPartitions; ++p) {
      RUNINK_RETURN_IF_ERROR(check_stop());
      if (probe.empty(p)) continue;
      Loader loader(*this, build.empty(p) ? nothing() : build.read(p), std::min(share() / 4, kBuiltBytesMost));
      const bool full = RUNINK_TRY(loader.load());
      if (full && build.level() + 1 < kPartitionLevelsMax && RUNINK_TRY(loader.divisible())) {
        RUNINK_RETURN_IF_ERROR(divide(loader, build, probe, p, spilled));
      } else {
        RUNINK_RETURN_IF_ERROR(join_in_pieces(loader, probe, p));
      }
      build.drop(p);
      probe.drop(p);
    }
    return {};
  }
  static BatchList::Next nothing() {
    return []() -> Result<std::optional<Batch>> { return std::optional<Batch>(); };
  }

  // Both sides of a partition go into smaller ones.
  Status divide(Loader& loader, Partitions& build, Partitions& probe, size_t p, uint64_t* spilled) {
    auto build_deeper = new_partitions(build_schema_, build.level() + 1);
    const auto add = [&](const Batch& batch) -> Status {
      JoinKeys keys;
      RUNINK_RETURN_IF_ERROR(encode_quietly(batch, 1, &keys));
      return build_deeper->add(batch, keys.hashes.data());
    };
    for (auto& batch : loader.take()) {
      RUNINK_RETURN_IF_ERROR(add(batch));
      batch = Batch();
    }
    for (;;) {
      auto batch = RUNINK_TRY(loader.next());
      if (!batch) break;
      RUNINK_RETURN_IF_ERROR(add(*batch));
    }
    build.drop(p);
    RUNINK_RETURN_IF_ERROR(build_deeper->finish());
    auto probe_deeper = new_partitions(probe_wide_, probe.level() + 1);
    auto next = probe.read(p);
    for (;;) {
      RUNINK_RETURN_IF_ERROR(check_stop());
      auto wide = RUNINK_TRY(next());
      if (!wide) break;
      JoinKeys keys;
      RUNINK_RETURN_IF_ERROR(encode_quietly(*wide, 0, &keys));
      RUNINK_RETURN_IF_ERROR(probe_deeper->add(*wide, keys.hashes.data()));
    }
    probe.drop(p);
    RUNINK_RETURN_IF_ERROR(probe_deeper->finish());
    *spilled += build_deeper->spilled_bytes() + probe_deeper->spilled_bytes();
    return join_partitions(*build_deeper, *probe_deeper, spilled);
  }

  // What has been loaded is the first piece; most often it is the only one.
  Status join_in_pieces(Loader& loader, Partitions& probe, size_t p) {
    std::vector<bool> matched;
    for (bool first = true;; first = false) {
      BuiltSide side;
      RUNINK_RETURN_IF_ERROR(side.build(loader.take(), build_schema_,
                                        [&](const Batch& b, JoinKeys* k) { return encode_quietly(b, 1, k); }));
      const bool alone = first && loader.ended();
      auto next = loader.ended() ? probe.read(p) : probe.reread(p);
      size_t row = 0;
      for (;;) {
        RUNINK_RETURN_IF_ERROR(check_stop());
        auto wide = RUNINK_TRY(next());
        if (!wide) break;
        JoinKeys keys;
        RUNINK_RETURN_IF_ERROR(encode_quietly(*wide, 0, &keys));
        const Piece piece{&matched, row, loader.ended()};
        row += static_cast<size_t>(wide->rows);
        if (!alone && matched.size() < row) matched.resize(row);
        RUNINK_RETURN_IF_ERROR(join_wide(*wide, keys, side, alone ? nullptr : &piece));
      }
      if (loader.ended()) return {};
      side = BuiltSide();
      (void)RUNINK_TRY(loader.load());
    }
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
