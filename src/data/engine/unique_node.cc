// Unique: a record stays if none of its values of unique fields (or sets of fields) was taken by an earlier record that
// stayed. What is refused takes none.
//
// The rules of one check decide together, at the first of their operators: were each to decide for itself, a record that
// the second refuses would have taken its value of the first, and the result would depend on the order of the fields. The
// others pass on what stays; the books say of every refused row that it came as far as the first rule that it breaks.
//
// While the values taken fit in memory every row is decided at once. When they no longer fit, a row that no value in
// memory decides wholly is set aside. Whether such a row stays depends on rows set aside before it that have a value in
// common with it, and on nothing else; so at the end
//
//   1. for each rule, the keys set aside are gone through partition by partition, and each row that has a value is
//      linked with the next one that has it;
//   2. the rows are read in input order, together with their links in order. A row stays if none of its values is marked
//      as taken; a value that is taken then is marked at the next row that has it. One bit per row and rule holds that.
//
// (All rows that went out before stand earlier in the input, so the output is in order as a whole.)
//
// Rows that the check before has refused are looked at, too: their letters name the rules whose value is one of those in
// memory.

#include <algorithm>

#include "data/columnar/builder.h"
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

using columnar::TypeId;

// The schema with the rules that a row breaks behind its columns: two bytes for the number of each, so none where it stays.
SchemaPtr with_verdict(const SchemaPtr& schema) {
  auto fields = schema->fields();
  fields.push_back({"", TypeId::kString, false, "", ""});
  return std::make_shared<columnar::Schema>(std::move(fields));
}
void append_rule(std::string& verdict, size_t rule) {
  verdict += static_cast<char>(rule & 0xFF);
  verdict += static_cast<char>(rule >> 8);
}
std::vector<size_t> rules_of(std::string_view verdict) {
  std::vector<size_t> out;
  for (size_t i = 0; i + 1 < verdict.size(); i += 2) {
    out.push_back(static_cast<unsigned char>(verdict[i]) | size_t{static_cast<unsigned char>(verdict[i + 1])} << 8);
  }
  return out;
}

SchemaPtr key_schema() {
  static const SchemaPtr schema = std::make_shared<const columnar::Schema>(
      std::vector<columnar::Field>{{"key", TypeId::kBytes, false, "", ""}, {"", TypeId::kUInt64, false, "", ""}});
  return schema;
}
SchemaPtr link_schema() {
  static const SchemaPtr schema = std::make_shared<const columnar::Schema>(
      std::vector<columnar::Field>{{"from", TypeId::kUInt64, false, "", ""},
                                   {"rule", TypeId::kUInt64, false, "", ""},
                                   {"to", TypeId::kUInt64, false, "", ""}});
  return schema;
}

// Links between rows set aside: from each that has a value of a rule to the next one that has it.
class Links {
 public:
  Links(const std::string& folder, uint64_t memory_bytes_max)
      : sorter_(folder, link_schema(), {{0, false, true}}, memory_bytes_max), builder_(link_schema()) {}
  Status add(uint64_t from, uint64_t rule, uint64_t to) {
    builder_.column(0).append_fixed(from);
    builder_.column(1).append_fixed(rule);
    builder_.column(2).append_fixed(to);
    return ++rows_ < columnar::kBatchRows ? Status() : flush();
  }
  Status finish() {
    RUNINK_RETURN_IF_ERROR(flush());
    read_ = RUNINK_TRY(sorter_.finish());
    return {};
  }
  // After finish(): the next link that begins at `from`; rows are asked for in their order.
  Result<bool> next(uint64_t from, uint64_t* rule, uint64_t* to) {
    while (batch_ && row_ == batch_->rows) {
      batch_ = RUNINK_TRY(read_());
      row_ = 0;
    }
    if (!batch_ || batch_->columns[0].data<uint64_t>()[row_] != from) return false;
    *rule = batch_->columns[1].data<uint64_t>()[row_];
    *to = batch_->columns[2].data<uint64_t>()[row_++];
    return true;
  }
  uint64_t spilled_bytes() const { return sorter_.spilled_bytes(); }

 private:
  Status flush() {
    if (rows_ == 0) return {};
    Batch batch;
    batch.schema = link_schema();
    batch.rows = std::exchange(rows_, 0);
    for (size_t c = 0; c < 3; ++c) batch.columns.push_back(builder_.column(c).finish());
    return sorter_.add(std::move(batch));
  }
  ExternalSorter sorter_;
  columnar::BatchBuilder builder_;
  int64_t rows_ = 0, row_ = 0;
  BatchList::Next read_;
  std::optional<Batch> batch_ = Batch();
};

class UniqueNode final : public Node {
 public:
  // `rules`: the operator itself and those that follow it.
  UniqueNode(const plan::Operator& op, Execution& x, const std::vector<const plan::Operator*>& rules)
      : Node(op, x), wide_(with_verdict(op.schema)) {
    for (const plan::Operator* rule : rules) {
      Rule& r = rules_.emplace_back();
      r.op = rule;
      std::vector<columnar::KeyPart> parts;
      for (const auto& name : std::get<plan::Unique>(rule->parameters).columns) {
        r.columns.push_back(static_cast<size_t>(op.schema->index_of(name)));
        parts.push_back({op.schema->field(r.columns.back()).type, false, true});
      }
      r.encoder = columnar::KeyEncoder(std::move(parts));
    }
  }

  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }

  Status end_of_morsel(MorselContext& m) override {
    auto& held = m.held[op_.id];
    // Keys and hashes are made before the turnstile: that is most of the work.
    std::vector<std::vector<Keys>> keys(held.size());
    for (size_t i = 0; i < held.size(); ++i) keys[i] = encode(held[i].first);
    std::vector<std::vector<uint8_t>> keep(held.size());
    Refused refused = find_refused(m);
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    uint64_t arrived = 0;
    for (size_t i = 0; i < held.size() && status.ok(); ++i) {
      Batch& batch = held[i].first;
      keep[i].assign(static_cast<size_t>(batch.rows), 0);
      std::optional<Batch> kept_form;  // made when the first row is set aside, as its keys
      std::vector<Batch> key_rows;
      for (int64_t r = 0; r < batch.rows && status.ok(); ++r) {
        look_at_refused(refused, arrived++, m);
        switch (decide(keys[i], r)) {
          case Verdict::kStays:
            keep[i][static_cast<size_t>(r)] = 1;
            ++counts(m).kept;
            if (table_bytes() > budget() * 3 / 8) start_setting_aside();
            break;
          case Verdict::kRefused:
            refuse(batch, r, broken_, m);
            break;
          case Verdict::kUndecided:
            if (!kept_form) {
              kept_form = columnar::materialise_origin(batch);
              for (const Keys& of_rule : keys[i]) key_rows.push_back(key_batch(of_rule));
            }
            status = set_aside(*kept_form, keys[i], key_rows, r);
        }
      }
    }
    look_at_refused(refused, UINT64_MAX, m);
    leave();
    RUNINK_RETURN_IF_ERROR(std::move(status));
    for (size_t i = 0; i < held.size(); ++i) {
      RUNINK_RETURN_IF_ERROR(emit(columnar::filter(held[i].first, keep[i].data()), 0, m));
    }
    return {};
  }

  Result<std::unique_ptr<BatchSource>> tail() override {
    for (Rule& rule : rules_) rule.taken.clear();
    if (!aside_) return std::unique_ptr<BatchSource>();
    os::return_freed_memory();
    RUNINK_RETURN_IF_ERROR(flush_rows());
    RUNINK_RETURN_IF_ERROR(aside_->rows.finish());
    for (size_t i = 0; i < rules_.size(); ++i) RUNINK_RETURN_IF_ERROR(link_rows(std::move(rules_[i].keys), i));
    RUNINK_RETURN_IF_ERROR(aside_->links.finish());
    execution_.impl().count_spill(op_, spilled_ + aside_->rows.spilled_bytes() + aside_->links.spilled_bytes());
    return std::unique_ptr<BatchSource>(
        std::make_unique<BatchList>([this, rows = aside_->rows.read()] { return judge_next(rows); }));
  }
  // Rows that are refused come along, so that their letters are written in input order too.
  Status emit_tail(Batch wide, MorselContext& m) override {
    const columnar::Column verdicts = std::move(wide.columns.back());
    Batch batch = remove_ordinals(std::move(wide), op_.schema);
    std::vector<uint8_t> keep(static_cast<size_t>(batch.rows));
    for (int64_t r = 0; r < batch.rows; ++r) {
      const auto broken = rules_of(verdicts.text(r));
      keep[static_cast<size_t>(r)] = broken.empty();
      if (broken.empty()) {
        ++counts(m).kept;
      } else {
        refuse(batch, r, broken, m);
      }
    }
    return emit(columnar::filter(batch, keep.data()), 0, m);
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = kept + rejected", c.total_in(), c.kept + c.rejected);
    sheet.equal("kept = rows out", c.kept, c.total_out());
  }

 private:
  struct Rule {
    const plan::Operator* op = nullptr;
    std::vector<size_t> columns;
    columnar::KeyEncoder encoder;
    KeyTable taken;                    // behind the turnstile, as what follows
    std::unique_ptr<Partitions> keys;  // of rows set aside
  };
  // Of one rule, of the rows of a batch.
  struct Keys {
    columnar::RowKeys keys;
    std::vector<uint64_t> hashes;
    std::vector<uint8_t> exempt;  // a row with a null in its key repeats nothing
    bool is_exempt(int64_t row) const { return !exempt.empty() && exempt[static_cast<size_t>(row)]; }
    uint64_t hash(int64_t row) const { return hashes[static_cast<size_t>(row)]; }
  };
  struct Aside {
    Aside(const std::string& folder, const SchemaPtr& schema, uint64_t memory)
        : collecting(schema), rows(folder, schema, memory), links(folder, memory) {}
    RowCollector collecting;
    RowQueue rows;
    uint64_t count = 0;
    Links links;
    std::vector<bool> taken;  // per row and rule: the value is taken already
    uint64_t judged = 0;
  };
  enum class Verdict { kStays, kRefused, kUndecided };

  uint64_t budget() const { return execution_.impl().memory_share * rules_.size(); }
  uint64_t table_bytes() const {
    uint64_t bytes = 0;
    for (const Rule& rule : rules_) bytes += rule.taken.memory_bytes();  // parts of a table double when it grows
    return bytes;
  }

  std::vector<Keys> encode(const Batch& batch) const {
    std::vector<Keys> out(rules_.size());
    for (size_t i = 0; i < rules_.size(); ++i) {
      Keys& keys = out[i];
      std::vector<const columnar::Column*> columns;
      for (const size_t c : rules_[i].columns) columns.push_back(&batch.columns[c]);
      rules_[i].encoder.encode(columns, &keys.keys);
      keys.hashes.resize(static_cast<size_t>(batch.rows));
      for (int64_t r = 0; r < batch.rows; ++r) keys.hashes[static_cast<size_t>(r)] = columnar::hash_bytes(keys.keys[r]);
      for (const auto* column : columns) {
        if (!column->may_have_nulls()) continue;
        keys.exempt.resize(static_cast<size_t>(batch.rows));
        for (int64_t r = 0; r < batch.rows; ++r) keys.exempt[static_cast<size_t>(r)] |= column->is_null(r);
      }
    }
    return out;
  }
  bool is_taken(size_t rule, const Keys& keys, int64_t row) const {
    return rules_[rule].taken.find(keys.hash(row), keys.keys[row]) != KeyTable::kAbsent;
  }
  // Leaves the rules that are known to be broken in broken_. A row that stays takes its values.
  Verdict decide(const std::vector<Keys>& keys, int64_t row) {
    broken_.clear();
    bool open = false;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (keys[i].is_exempt(row)) continue;
      if (is_taken(i, keys[i], row)) {
        broken_.push_back(i);
      } else {
        open = true;
      }
    }
    if (aside_) return broken_.empty() || open ? Verdict::kUndecided : Verdict::kRefused;  // none goes before those aside
    if (!broken_.empty()) return Verdict::kRefused;
    for (size_t i = 0; i < rules_.size(); ++i) {
      bool inserted = false;
      if (!keys[i].is_exempt(row)) rules_[i].taken.insert(keys[i].hash(row), keys[i].keys[row], &inserted);
    }
    return Verdict::kStays;
  }

  // `broken` is not empty. As though each rule had judged in its turn: the first of them has refused the row.
  void refuse(const Batch& batch, int64_t row, const std::vector<size_t>& broken, MorselContext& m) const {
    for (size_t i = 0; i < broken[0]; ++i) {
      Counts& before = m.counts[rules_[i].op->id];
      Counts& after = m.counts[rules_[i + 1].op->id];
      if (i == 0) ++before.kept;
      ++before.out[0];
      ++after.sent[0];
      ++after.in[0];
    }
    std::vector<RejectedRecord::Rule> rules;
    for (const size_t i : broken) rules.push_back(broken_rule(i));
    PendingReject letter = make_reject(batch, row, std::move(rules));
    letter.op = rules_[broken[0]].op->id;
    ++m.counts[letter.op].rejected;
    m.rejects.push_back(std::move(letter));
  }
  RejectedRecord::Rule broken_rule(size_t rule) const {
    const auto& unique = std::get<plan::Unique>(rules_[rule].op->parameters);
    std::string columns = fmt::format("{}", fmt::join(unique.columns, ", "));
    std::string message = fmt::format("{} repeats the value of an earlier record", columns);
    return {unique.rule, std::move(columns), std::move(message), {}};
  }

  // Rows that were refused before they came here, in their order among those that came.
  struct Refused {
    std::vector<size_t> letters;  // among the morsel's rejects
    std::vector<size_t> part;     // of each: where its keys are
    std::vector<int64_t> row;
    std::vector<std::vector<Keys>> keys;
    size_t next = 0;
  };
  Refused find_refused(const MorselContext& m) const {
    Refused out;
    for (size_t i = 0; i < m.rejects.size(); ++i) {
      if (m.rejects[i].next_unique == op_.id) out.letters.push_back(i);
    }
    std::stable_sort(out.letters.begin(), out.letters.end(),
                     [&](size_t a, size_t b) { return m.rejects[a].before < m.rejects[b].before; });
    for (size_t i = 0; i < out.letters.size();) {
      const auto& batch = m.rejects[out.letters[i]].batch;
      std::vector<int32_t> rows;
      for (; i < out.letters.size() && m.rejects[out.letters[i]].batch == batch; ++i) {
        out.part.push_back(out.keys.size());
        out.row.push_back(static_cast<int64_t>(rows.size()));
        rows.push_back(static_cast<int32_t>(m.rejects[out.letters[i]].batch_row));
      }
      Batch chosen;
      chosen.rows = static_cast<int64_t>(rows.size());
      for (const auto& column : batch->columns) chosen.columns.push_back(columnar::gather(column, rows));
      out.keys.push_back(encode(chosen));
    }
    return out;
  }
  void look_at_refused(Refused& refused, uint64_t arrived, MorselContext& m) const {
    for (; refused.next < refused.letters.size(); ++refused.next) {
      PendingReject& letter = m.rejects[refused.letters[refused.next]];
      if (letter.before > arrived) return;
      const auto& keys = refused.keys[refused.part[refused.next]];
      const int64_t row = refused.row[refused.next];
      for (size_t i = 0; i < rules_.size(); ++i) {
        if (!keys[i].is_exempt(row) && is_taken(i, keys[i], row)) letter.rules.push_back(broken_rule(i));
      }
      letter.next_unique = PendingReject::kNobody;
      letter.batch.reset();
    }
  }

  // ---- rows set aside

  void start_setting_aside() {
    const std::string& folder = execution_.impl().options.temp_folder;
    aside_ = std::make_unique<Aside>(folder, op_.schema, budget() / 8);
    for (Rule& rule : rules_) {
      rule.keys = std::make_unique<Partitions>(folder, key_schema(), 0, budget() / 8 / rules_.size());
    }
  }
  Status set_aside(const Batch& batch, const std::vector<Keys>& keys, std::vector<Batch>& key_rows, int64_t row) {
    const uint64_t number = aside_->count++;
    aside_->taken.resize(aside_->count * rules_.size());
    for (const size_t i : broken_) aside_->taken[number * rules_.size() + i] = true;
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (keys[i].is_exempt(row) || aside_->taken[number * rules_.size() + i]) continue;
      reinterpret_cast<uint64_t*>(key_rows[i].columns[1].values->data())[row] = number;
      RUNINK_RETURN_IF_ERROR(rules_[i].keys->add_row(key_rows[i], row, keys[i].hash(row)));
    }
    aside_->collecting.append(batch, row, 1);
    const bool full = aside_->collecting.rows() >= columnar::kBatchRows || aside_->collecting.bytes() > budget() / 16;
    return full ? flush_rows() : Status();
  }
  // The keys of a batch as rows to be set aside; the numbers of the rows are put in one by one.
  static Batch key_batch(const Keys& keys) {
    columnar::ColumnBuilder text(TypeId::kBytes, keys.keys.rows());
    for (int64_t r = 0; r < keys.keys.rows(); ++r) text.append_text(keys.keys[r]);
    Batch out;
    out.schema = key_schema();
    out.rows = keys.keys.rows();
    out.columns = {text.finish(), columnar::make_fixed_column(TypeId::kUInt64, out.rows)};
    return out;
  }
  Status flush_rows() {
    return aside_->collecting.rows() == 0 ? Status() : aside_->rows.add(aside_->collecting.finish());
  }

  // Links the rows of each partition; one with too many keys is divided again.
  Status link_rows(std::unique_ptr<Partitions> partitions, size_t rule) {
    RUNINK_RETURN_IF_ERROR(partitions->finish());
    spilled_ += partitions->spilled_bytes();
    for (size_t p = 0; p < kPartitions; ++p) {
      if (partitions->empty(p)) continue;
      KeyTable table;
      std::vector<uint64_t> last;  // of each key: the row that had it last
      std::unique_ptr<Partitions> deeper;
      auto next = partitions->read(p);
      for (;;) {
        auto batch = RUNINK_TRY(next());
        if (!batch) break;
        if (execution_.impl().options.stop != nullptr && execution_.impl().options.stop->requested()) {
          return cancelled("interrupted").with_kind("run.interrupted");
        }
        for (int64_t r = 0; r < batch->rows; ++r) {
          const std::string_view key = batch->columns[0].text(r);
          const uint64_t hash = columnar::hash_bytes(key), row = ordinals_of(*batch)[r];
          const uint32_t found = table.find(hash, key);
          if (found != KeyTable::kAbsent) {
            RUNINK_RETURN_IF_ERROR(aside_->links.add(last[found], rule, row));
            last[found] = row;
          } else if (deeper) {
            RUNINK_RETURN_IF_ERROR(deeper->add_row(*batch, r, hash));
          } else {
            bool inserted = false;
            table.insert(hash, key, &inserted);
            last.push_back(row);
            if (table.memory_bytes() + last.capacity() * 8 > budget() * 3 / 8 && partitions->level() + 1 < kPartitionLevelsMax) {
              deeper = std::make_unique<Partitions>(execution_.impl().options.temp_folder, key_schema(),
                                                    partitions->level() + 1, budget() / 8);
            }
          }
        }
      }
      partitions->drop(p);
      table.clear();
      if (deeper) RUNINK_RETURN_IF_ERROR(link_rows(std::move(deeper), rule));
    }
    return {};
  }

  // The next rows set aside, each with what it breaks.
  Result<std::optional<Batch>> judge_next(const BatchList::Next& rows) {
    auto batch = RUNINK_TRY(rows());
    if (!batch) return std::optional<Batch>();
    columnar::ColumnBuilder verdicts(TypeId::kString, batch->rows);
    std::string verdict;
    for (int64_t r = 0; r < batch->rows; ++r) {
      const uint64_t number = aside_->judged++;
      verdict.clear();
      for (size_t i = 0; i < rules_.size(); ++i) {
        if (aside_->taken[number * rules_.size() + i]) append_rule(verdict, i);
      }
      verdicts.append_text(verdict);
      for (uint64_t rule = 0, to = 0; RUNINK_TRY(aside_->links.next(number, &rule, &to));) {
        const bool taken = verdict.empty() || aside_->taken[number * rules_.size() + rule];
        aside_->taken[to * rules_.size() + rule] = taken;
      }
    }
    batch->columns.push_back(verdicts.finish());
    batch->schema = wide_;
    return batch;
  }

  SchemaPtr wide_;
  std::vector<Rule> rules_;
  std::vector<size_t> broken_;    // behind the turnstile: see decide()
  std::unique_ptr<Aside> aside_;  // behind the turnstile
  uint64_t spilled_ = 0;
};

// A rule behind the first: that one has judged for it.
class JudgedNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch batch, uint32_t, MorselContext& m) override { return emit(std::move(batch), 0, m); }
};

// The rule right behind `op`, where nothing else takes its rows; null if there is none.
const plan::Operator* rule_behind(const plan::ScenarioPlan& scenario, const plan::Operator& op) {
  const plan::Operator* found = nullptr;
  size_t readers = 0;
  for (const auto& other : scenario.operators) {
    for (const auto& input : other.inputs) {
      if (input.from != op.id) continue;
      ++readers;
      if (std::holds_alternative<plan::Unique>(other.parameters)) found = &other;
    }
  }
  return readers == 1 ? found : nullptr;
}

}  // namespace

std::unique_ptr<Node> make_unique_node(const plan::Operator& op, Execution& x) {
  const plan::ScenarioPlan& scenario = *x.impl().scenario;
  const plan::Operator& before = scenario.operators[op.inputs[0].from];
  if (std::holds_alternative<plan::Unique>(before.parameters) && rule_behind(scenario, before) == &op) {
    return std::make_unique<JudgedNode>(op, x);
  }
  std::vector<const plan::Operator*> rules;
  for (const plan::Operator* rule = &op; rule != nullptr; rule = rule_behind(scenario, *rule)) rules.push_back(rule);
  return std::make_unique<UniqueNode>(op, x, rules);
}

}  // namespace runink::engine
