#include "data/engine/node.h"

#include <algorithm>

#include "base/text.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"
#include "data/columnar/value.h"
#include "data/contract/redact.h"
#include "data/engine/execution_impl.h"
#include "data/engine/observer.h"
#include "data/engine/record_json.h"
#include "data/plan/pii.h"

namespace runink::engine {

void Counts::add(const Counts& o) {
  const auto add_up = [](std::vector<uint64_t>& to, const std::vector<uint64_t>& from) {
    if (to.size() < from.size()) to.resize(from.size());
    for (size_t i = 0; i < from.size(); ++i) to[i] += from[i];
  };
  add_up(in, o.in);
  add_up(sent, o.sent);
  add_up(out, o.out);
  add_up(branch, o.branch);
  rejected += o.rejected;
  for (const auto& [reason, count] : o.dropped) dropped[reason] += count;
  read += o.read;
  undecodable += o.undecodable;
  kept += o.kept;
  matched += o.matched;
  unmatched += o.unmatched;
  pairs += o.pairs;
  grouped += o.grouped;
  written += o.written;
  nanos += o.nanos;
}
namespace {
uint64_t sum(const std::vector<uint64_t>& v) {
  uint64_t total = 0;
  for (auto x : v) total += x;
  return total;
}
}  // namespace
uint64_t Counts::total_in() const { return sum(in); }
uint64_t Counts::total_out() const { return sum(out); }
uint64_t Counts::total_dropped() const {
  uint64_t total = 0;
  for (const auto& [reason, count] : dropped) total += count;
  return total;
}

void BalanceSheet::equal(const std::string& equation, uint64_t left, uint64_t right) {
  lines_->push_back({op_.id, op_.name, equation, left, right});
}

Node::Node(const plan::Operator& op, Execution& execution) : op_(op), execution_(execution) {}

// Row-wise operators: whatever comes in goes out, is rejected, or is dropped for a reason that has a name.
void Node::balance(const Counts& c, BalanceSheet& sheet) const {
  sheet.equal("rows in = rows out + rejected + dropped", c.total_in(), c.total_out() + c.rejected + c.total_dropped());
}

bool Node::satisfied() const {
  bool any = false;
  for (const auto& port : edges) {
    for (const auto& edge : port) {
      any = true;
      if (!edge.target->satisfied()) return false;
    }
  }
  return any;
}

const expr::EvalContext& Node::eval_context() const { return execution_.impl().eval; }

Status Node::enter(MorselContext& m) {
  if (!turnstile_.enter(m.sequence)) return cancelled("another part of the run failed").with_kind("run.stopped");
  m.pipeline->lines.resolve(m.sequence);
  return {};
}

namespace {
Batch without_last_row(const Batch& batch) {
  return columnar::slice(batch, 0, batch.rows - 1);
}
}  // namespace

Status Node::emit(Batch batch, uint32_t port, MorselContext& m) {
  if (batch.rows == 0) return {};
  auto& x = execution_.impl();
  if (__builtin_expect(x.fault_pending.load(std::memory_order_relaxed), 0) && x.options.fault.op == op_.id &&
      x.options.fault.where == Fault::Where::kInside && x.fault_pending.exchange(false)) {
    batch = without_last_row(batch);
    if (batch.rows == 0) return {};
  }
  Counts& c = counts(m);
  c.out[port] += static_cast<uint64_t>(batch.rows);
  if (port == 0) {
    if (op_.tap) {
      x.samples[op_.id].offer(op_, batch, m.sequence, x.needed[op_.id], op_.checkpoint ? UINT64_MAX : x.options.sample_rows);
    }
    if (!x.observers[op_.id].empty()) RUNINK_RETURN_IF_ERROR(observe(x, op_.id, batch, m));
  }
  const auto& targets = edges[port];
  for (size_t i = 0; i < targets.size(); ++i) {
    Node& target = *targets[i].target;
    m.counts[target.op_.id].sent[targets[i].input] += static_cast<uint64_t>(batch.rows);
    const bool last = i + 1 == targets.size();
    RUNINK_RETURN_IF_ERROR(target.deliver(last ? std::move(batch) : batch, targets[i].input, m));
  }
  return {};
}

Status Node::deliver(Batch batch, uint32_t input, MorselContext& m) {
  auto& x = execution_.impl();
  if (__builtin_expect(x.fault_pending.load(std::memory_order_relaxed), 0) && x.options.fault.op == op_.id) {
    const auto where = x.options.fault.where;
    // An operator without outputs loses its row on the way in, after counting it.
    const bool terminal = std::holds_alternative<plan::Sink>(op_.parameters) ||
                          std::holds_alternative<plan::Output>(op_.parameters) ||
                          std::holds_alternative<plan::Group>(op_.parameters);
    if (where == Fault::Where::kOnEdge && x.fault_pending.exchange(false)) {
      batch = without_last_row(batch);
    } else if (where == Fault::Where::kInside && terminal && x.fault_pending.exchange(false)) {
      counts(m).in[input] += 1;
      batch = without_last_row(batch);
    }
    if (batch.rows == 0) return {};
  }
  counts(m).in[input] += static_cast<uint64_t>(batch.rows);
  Status status = receive(std::move(batch), input, m);
  if (!status.ok() && status.context().empty()) {
    return std::move(status).with_context(fmt::format("step \"{}\"", op_.name));
  }
  return status;
}

void Node::reject(const Batch& batch, int64_t row, std::vector<RejectedRecord::Rule> rules, MorselContext& m) const {
  ++counts(m).rejected;
  m.rejects.push_back(make_reject(batch, row, std::move(rules)));
}
RejectedRecord record_of(const PendingReject& r) {
  RejectedRecord record;
  record.rules = &r.rules;
  if (r.chunk) {
    record.source = r.chunk->source;
    record.offset = static_cast<int64_t>(r.chunk->position + r.offset);
    record.line = r.chunk->first_line + r.line;
    record.bytes = r.chunk->bytes.substr(r.offset, r.length);
  } else if (r.origin) {
    record.source = r.origin->source(r.row);
    record.offset = static_cast<int64_t>(r.origin->position(r.row));
    record.line = r.origin->line_number(r.row);
    record.bytes = r.origin->bytes(r.row);
  } else {
    record.source = kNoSource;
  }
  if (!r.text.empty()) record.bytes = r.text;
  return record;
}
PendingReject Node::make_reject(const Batch& batch, int64_t row, std::vector<RejectedRecord::Rule> rules) const {
  PendingReject r;
  r.op = op_.id;
  r.rules = std::move(rules);
  if (batch.origin) {
    r.origin = batch.origin;
    r.row = row;
  }
  // A computed row has no original bytes, nor has one of an Arrow file: what is kept is its content at this step.
  if (!batch.origin || batch.origin->length[static_cast<size_t>(row)] == 0) r.text = record_json(batch, row);
  return r;
}

const Node* Node::next_unique() const {
  for (const auto& edge : edges[0]) {
    if (std::holds_alternative<plan::Unique>(edge.target->op_.parameters)) return edge.target;
  }
  return nullptr;
}
uint64_t Node::rows_for(const Node& next, const MorselContext& m) const {
  uint64_t rows = 0;
  for (const auto& [batch, input] : m.held[next.op_.id]) rows += static_cast<uint64_t>(batch.rows);
  return rows;
}

Batch Node::reject_errors(Batch batch, const std::vector<expr::RowError>& errors, std::string_view field,
                          MorselContext& m) const {
  if (errors.empty()) return batch;
  std::map<int64_t, std::vector<RejectedRecord::Rule>> by_row;
  for (const auto& e : errors) by_row[e.row].push_back({"expression", std::string(field), e.message});
  std::vector<uint8_t> keep(static_cast<size_t>(batch.rows), 1);
  for (auto& [row, rules] : by_row) {
    keep[static_cast<size_t>(row)] = 0;
    reject(batch, row, std::move(rules), m);
  }
  return columnar::filter(batch, keep.data());
}

// ---- samples --------------------------------------------------------------------------------------------------------

namespace {
// The bytes of a value, about.
size_t value_bytes(const columnar::Column& column, int64_t row) {
  if (column.type.is_text()) return column.text(row).size();
  if (column.type.id() != columnar::TypeId::kList) return 16;
  const int32_t* o = column.offset_data();
  const columnar::Column& elements = column.children[0];
  const auto count = static_cast<size_t>(o[row + 1] - o[row]);
  if (!elements.type.is_text()) return count * 16;
  return count * 16 + static_cast<size_t>(elements.offset_data()[o[row + 1]] - elements.offset_data()[o[row]]);
}
}  // namespace

std::string row_json(const plan::Operator& op, const Batch& batch, int64_t row, const std::vector<bool>* live,
                     bool raw, size_t value_bytes_max) {
  std::string out = "{";
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    if (live != nullptr && c < live->size() && !(*live)[c]) continue;
    const auto& field = batch.schema->field(c);
    if (out.size() > 1) out += ',';
    append_json_quoted(out, field.name);
    out += ':';
    const auto& column = batch.columns[c];
    const std::string shown = raw ? "" : c < op.columns.size() ? plan::shown_mask(op.columns[c]) : "all";
    if (column.is_null(row)) {
      out += "null";
    } else if (const size_t bytes = value_bytes(column, row); bytes > value_bytes_max) {
      append_json_quoted(out, fmt::format("… ({} bytes)", bytes));
    } else if (!shown.empty()) {
      auto mask = contract::parse_mask(shown);
      if (mask.ok() && mask->method == contract::MaskMethod::kNull) {
        out += "null";
        continue;
      }
      std::string text;
      columnar::append_value_text(column, row, field, text);
      append_json_quoted(out, contract::mask_text(mask.ok() ? *mask : contract::Mask{}, text, contract::MaskKey{}));
    } else if (!field.format.empty()) {
      std::string text;
      columnar::append_value_text(column, row, field, text);
      append_json_quoted(out, text);
    } else {
      columnar::append_value_json(column.type, columnar::value_at(column, row), out);
    }
  }
  return out + "}";
}

namespace {
constexpr size_t kSampleValueBytes = 64 << 10;
}

void Sample::offer(const plan::Operator& op, const Batch& batch, uint64_t sequence, const std::vector<bool>& live,
                   uint64_t rows_max) {
  if (rows_max == 0 || sequence > last_needed_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  auto& rows = by_sequence_[sequence];
  // A sample is to be looked at: a huge value is only said to be one. What a checkpoint keeps is compared, so it is whole.
  const size_t value_bytes_max = op.checkpoint ? SIZE_MAX : kSampleValueBytes;
  for (int64_t r = 0; r < batch.rows && rows.size() < rows_max; ++r) {
    rows.push_back(row_json(op, batch, r, &live, /*raw=*/false, value_bytes_max));
  }
  if (rows_max == UINT64_MAX) return;
  // Once the morsels up to this one hold enough rows, later ones are not needed.
  uint64_t total = 0;
  for (auto it = by_sequence_.begin(); it != by_sequence_.end(); ++it) {
    total += it->second.size();
    if (total >= rows_max) {
      last_needed_.store(it->first, std::memory_order_relaxed);
      by_sequence_.erase(std::next(it), by_sequence_.end());
      break;
    }
  }
}
std::vector<std::string> Sample::rows(uint64_t rows_max) const {
  std::vector<std::string> out;
  for (const auto& [sequence, rows] : by_sequence_) {
    for (const auto& r : rows) {
      if (out.size() < rows_max) out.push_back(r);
    }
  }
  return out;
}

Result<std::unique_ptr<Node>> create_node(const plan::Operator& op, Execution& execution) {
  return std::visit(
      [&](const auto& p) -> Result<std::unique_ptr<Node>> {
        using P = std::decay_t<decltype(p)>;
        if constexpr (std::is_same_v<P, plan::Source> || std::is_same_v<P, plan::ScenarioInput>) {
          return make_source_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Check>) {
          return make_check_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Filter>) {
          return make_filter_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Derive>) {
          return make_derive_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Project>) {
          return make_project_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Unique>) {
          return make_unique_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Deduplicate>) {
          return make_distinct_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Sort>) {
          return make_sort_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Limit>) {
          return make_limit_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Sample>) {
          return make_sample_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Union>) {
          return make_union_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Split>) {
          return make_split_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Join>) {
          return make_join_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Group>) {
          return make_group_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Program>) {
          return make_program_node(op, execution);
        } else if constexpr (std::is_same_v<P, plan::Sink>) {
          return make_sink_node(op, execution);
        } else {
          return make_output_node(op, execution);
        }
      },
      op.parameters);
}

}  // namespace runink::engine
