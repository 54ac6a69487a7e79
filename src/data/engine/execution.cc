#include "data/engine/execution.h"

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "data/columnar/kernels.h"
#include "data/contract/redact.h"
#include "data/engine/execution_impl.h"
#include "data/engine/observer.h"

namespace runink::engine {

// ---- line numbers ---------------------------------------------------------------------------------------------------

void LineNumbers::publish(uint64_t sequence, std::shared_ptr<const columnar::InputChunk> chunk) {
  std::lock_guard lock(mutex_);
  waiting_.emplace(sequence, std::move(chunk));
}
void LineNumbers::resolve(uint64_t sequence) {
  std::lock_guard lock(mutex_);
  while (!waiting_.empty() && waiting_.begin()->first <= sequence) {
    const auto& chunk = *waiting_.begin()->second;
    if (chunk.source != source_) {
      source_ = chunk.source;
      next_line_ = chunk.first_line > 0 ? chunk.first_line : 1;
    }
    chunk.first_line = next_line_;
    next_line_ += chunk.line_count;
    waiting_.erase(waiting_.begin());
  }
}
void LineNumbers::reset() {
  std::lock_guard lock(mutex_);
  waiting_.clear();
  source_ = UINT32_MAX;
  next_line_ = 1;
}

// ---- creation -------------------------------------------------------------------------------------------------------

Execution::Execution() : impl_(std::make_unique<Impl>()) {}
Execution::~Execution() = default;
const ExecutionReport& Execution::report() const { return impl_->report; }
const Progress& Execution::progress() const { return impl_->progress; }
const std::map<std::string, std::string>& Execution::outputs() const { return impl_->outputs; }

bool ExecutionReport::rules_hold() const {
  return std::all_of(rules.begin(), rules.end(), [](const RuleResult& r) { return r.passed || r.warn_only; });
}

Result<std::unique_ptr<Execution>> Execution::create(const plan::ScenarioPlan& scenario, ExecutionOptions options,
                                                     IoFactory& factory, DeadLetterSink& dead_letters) {
  std::unique_ptr<Execution> execution(new Execution());
  Impl& x = *execution->impl_;
  x.scenario = &scenario;
  x.options = std::move(options);
  x.options.threads = std::max(1u, x.options.threads);
  x.factory = &factory;
  x.dead_letters = &dead_letters;
  x.eval.now_micros = x.options.now_micros;
  x.eval.key = x.options.key;
  x.fault_pending = x.options.fault.where != Fault::Where::kNone;
  x.needed = needed_columns(scenario);
  x.samples = std::vector<Sample>(scenario.operators.size());

  uint64_t holders = 0;
  for (const auto& op : scenario.operators) {
    const auto& p = op.parameters;
    holders += std::holds_alternative<plan::Sort>(p) || std::holds_alternative<plan::Join>(p) ||
               std::holds_alternative<plan::Group>(p) || std::holds_alternative<plan::Unique>(p) ||
               std::holds_alternative<plan::Deduplicate>(p) || std::holds_alternative<plan::Union>(p);
  }
  x.keeps_origin.assign(scenario.operators.size(), false);
  for (size_t i = scenario.operators.size(); i-- > 0;) {
    const auto& op = scenario.operators[i];
    const auto& p = op.parameters;
    const auto* sink = std::get_if<plan::Sink>(&p);
    const bool uses = std::holds_alternative<plan::Check>(p) || std::holds_alternative<plan::Unique>(p) ||
                      std::holds_alternative<plan::Derive>(p) || std::holds_alternative<plan::Filter>(p) ||
                      std::holds_alternative<plan::Split>(p) || std::holds_alternative<plan::Join>(p) ||
                      std::holds_alternative<plan::Group>(p) || std::holds_alternative<plan::Program>(p) ||
                      (sink != nullptr && sink->verbatim_columns > 0);
    const bool passes = x.keeps_origin[i] && !std::holds_alternative<plan::Group>(p) && !std::holds_alternative<plan::Program>(p);
    for (const auto& input : op.inputs) {
      if (uses || passes) x.keeps_origin[input.from] = true;
    }
  }
  x.memory_share = std::max<uint64_t>(x.options.memory_budget_bytes / std::max<uint64_t>(1, holders), 256 << 10);

  RUNINK_RETURN_IF_ERROR(make_observers(x));
  for (const auto& op : scenario.operators) {
    RUNINK_CHECK(op.id == x.nodes.size());
    auto node = create_node(op, *execution);
    if (!node.ok()) return std::move(node).status().with_context(fmt::format("step \"{}\"", op.name));
    x.nodes.push_back(std::move(*node));
    x.nodes.back()->input_done.assign(op.inputs.size(), false);
    x.nodes.back()->edges.resize(x.nodes.back()->ports());
    for (uint32_t i = 0; i < op.inputs.size(); ++i) {
      auto& ports = x.nodes[op.inputs[i].from]->edges;
      RUNINK_CHECK(op.inputs[i].port < ports.size());
      ports[op.inputs[i].port].push_back({x.nodes.back().get(), i});
    }
  }
  x.totals.resize(x.nodes.size());
  return execution;
}

// ---- pipelines ------------------------------------------------------------------------------------------------------

void Execution::Impl::fail(uint64_t sequence, Status status) {
  {
    std::lock_guard lock(failure_mutex);
    // The failure of the earliest morsel is told, so that the message does not depend on timing. That a worker was
    // stopped at a turnstile is only the consequence of another failure.
    const bool consequence = status.kind() == "run.stopped";
    if (failure.ok() || (sequence < failure_sequence && !consequence)) {
      failure = std::move(status);
      failure_sequence = sequence;
    }
  }
  failed = true;
  for (auto& node : nodes) node->stop();
  if (running != nullptr) running->dead_letters.stop();
}

namespace {
MorselContext make_context(const Execution::Impl& x, uint32_t worker) {
  MorselContext m;
  m.worker = worker;
  m.counts.resize(x.nodes.size());
  m.held.resize(x.nodes.size());
  m.ends.resize(x.nodes.size());
  for (size_t i = 0; i < x.nodes.size(); ++i) {
    m.local.emplace_back(nullptr, [](void*) {});
    m.counts[i].in.resize(x.nodes[i]->op().inputs.size());
    m.counts[i].sent.resize(x.nodes[i]->op().inputs.size());
    m.counts[i].out.resize(x.nodes[i]->ports());
  }
  return m;
}
}  // namespace

Status Execution::Impl::run_pipeline(Node& root, BatchSource& source) {
  PipelineState pipeline;
  pipeline.root = &root;
  pipeline.source = &source;
  pipeline.base_sequence = next_base_sequence;
  pipeline.expected_ends.assign(nodes.size(), 0);
  std::vector<bool> reached(nodes.size(), false);
  reached[root.op().id] = true;
  // Operators stand after their inputs, so one pass in order finds all nodes that rows reach, in topological order.
  for (auto& node : nodes) {
    const auto id = node->op().id;
    if (!reached[id]) continue;
    if (node.get() != &root) {
      pipeline.order.push_back(node.get());
      node->reset_turnstile();
      bool passes = false;
      const auto& inputs = node->op().inputs;
      for (uint32_t i = 0; i < inputs.size(); ++i) {
        const bool fed = inputs[i].from == root.op().id ||
                         (pipeline.expected_ends[inputs[i].from] > 0 && reached[inputs[i].from]);
        // A node whose rows do not stream on is in the pipeline, but nothing behind it is.
        passes = passes || (fed && node->streams(i));
      }
      if (!passes) continue;
    }
    for (const auto& port : node->edges) {
      for (const auto& edge : port) {
        reached[edge.target->op().id] = true;
        ++pipeline.expected_ends[edge.target->op().id];
      }
    }
  }
  running = &pipeline;
  progress.bytes_total += source.bytes_total();

  std::vector<MorselContext> contexts;
  for (uint32_t w = 0; w < options.threads; ++w) {
    contexts.push_back(make_context(*this, w));
    contexts.back().pipeline = &pipeline;
  }
  {
    std::vector<std::jthread> workers;
    for (uint32_t w = 1; w < options.threads; ++w) {
      workers.emplace_back([this, &pipeline, w, &contexts] { (void)status_of(work(pipeline, contexts[w])); });
    }
    (void)status_of(work(pipeline, contexts[0]));
  }
  running = nullptr;
  next_base_sequence = pipeline.base_sequence + pipeline.next_sequence;
  for (auto& m : contexts) {
    for (size_t i = 0; i < nodes.size(); ++i) totals[i].add(m.counts[i]);
  }
  std::lock_guard lock(failure_mutex);
  return failure;
}

Status Execution::Impl::work(PipelineState& pipeline, MorselContext& m) {
  auto reader = pipeline.source->make_reader();
  if (!reader.ok()) {
    fail(0, std::move(reader).status());
    return {};
  }
  for (;;) {
    Morsel morsel;
    {
      std::lock_guard lock(pipeline.source_mutex);
      if (failed || pipeline.ended) return {};
      if (options.stop != nullptr && options.stop->requested()) {
        fail(pipeline.next_sequence, cancelled("interrupted").with_kind("run.interrupted"));
        return {};
      }
      if (pipeline.root->satisfied()) {
        pipeline.ended = true;
        return {};
      }
      const uint64_t before = pipeline.source->bytes_read();
      auto next = pipeline.source->next();
      if (!next.ok()) {
        fail(pipeline.next_sequence, std::move(next).status().with_context(
                                         fmt::format("step \"{}\"", pipeline.root->op().name)));
        return {};
      }
      if (!next->has_value()) {
        pipeline.ended = true;
        return {};
      }
      morsel = std::move(**next);
      m.sequence = pipeline.next_sequence++;
      m.ordinal = (pipeline.base_sequence + m.sequence) * kOrdinalsPerMorsel;
      progress.bytes_read += pipeline.source->bytes_read() - before;
    }
    if (Status status = process(pipeline, morsel, **reader, m); !status.ok()) {
      fail(m.sequence, std::move(status));
      return {};
    }
  }
}

Status Execution::Impl::process(PipelineState& pipeline, const Morsel& morsel, MorselReader& reader, MorselContext& m) {
  Node& root = *pipeline.root;
  Counts& counts = m.counts[root.op().id];
  const bool is_source = root.op().inputs.empty();
  uint64_t entered = 0;
  ReadReport read = RUNINK_TRY(reader.read(morsel, [&](Batch&& batch) {
    entered += static_cast<uint64_t>(batch.rows);
    return is_source ? root.emit(std::move(batch), 0, m) : root.emit_tail(std::move(batch), m);
  }));
  if (is_source) {
    counts.read += read.records;
    counts.undecodable += read.undecodable.size();
    counts.rejected += read.undecodable.size();
    progress.records += entered + read.undecodable.size();
  }
  if (morsel.chunk) pipeline.lines.publish(m.sequence, morsel.chunk);
  for (auto& bad : read.undecodable) {
    PendingReject reject;
    reject.op = root.op().id;
    reject.chunk = morsel.chunk;
    reject.offset = bad.offset;
    reject.length = bad.length;
    reject.line = bad.line;
    reject.rules.push_back({std::move(bad.rule), std::move(bad.field), std::move(bad.message)});
    m.rejects.push_back(std::move(reject));
  }
  if (!read.drift.empty()) {
    std::lock_guard lock(failure_mutex);
    for (auto& [name, count] : read.drift) report.drift[name] += count;
  }
  // All rows have been pushed: what stands behind turnstiles happens now, in topological order.
  for (Node* node : pipeline.order) {
    RUNINK_RETURN_IF_ERROR(node->end_of_morsel(m).with_context(fmt::format("step \"{}\"", node->op().name)));
    m.held[node->op().id].clear();
  }
  return write_rejects(pipeline, m);
}

Status Execution::Impl::write_rejects(PipelineState& pipeline, MorselContext& m) {
  if (!pipeline.dead_letters.enter(m.sequence)) return {};
  struct Leave {
    Turnstile& t;
    ~Leave() { t.leave(); }
  } leave{pipeline.dead_letters};
  pipeline.lines.resolve(m.sequence);
  RUNINK_RETURN_IF_ERROR(observe_morsel(*this, m.sequence));
  if (m.rejects.empty()) return {};
  const auto position = [](const PendingReject& r) -> uint64_t {
    if (r.chunk) return r.chunk->position + r.offset;
    return r.origin ? r.origin->position(r.row) : UINT64_MAX;
  };
  std::stable_sort(m.rejects.begin(), m.rejects.end(),
                   [&](const auto& a, const auto& b) { return position(a) < position(b); });
  for (const auto& r : m.rejects) {
    RejectedRecord record;
    record.step = nodes[r.op]->op().name;
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
      record.bytes = r.text;
    }
    RUNINK_RETURN_IF_ERROR(dead_letters->write(record).with_context("write dead letters"));
    for (const auto& rule : r.rules) ++report.rejected_by_rule[rule.field.empty() ? rule.rule : rule.rule];
    if (report.first_rejects.size() < 5 && !r.rules.empty()) {
      report.first_rejects.push_back(r.rules[0].message);
    }
  }
  progress.rejected += m.rejects.size();
  m.rejects.clear();
  return {};
}

// ---- order of pipelines -----------------------------------------------------------------------------------------------

// Any order of ready roots is correct (unions and joins hold back rows that come too early); a root that makes nobody
// hold rows back is better: every join it reaches has its built side, every union the inputs before.
Node* Execution::Impl::choose_root() {
  Node* first = nullptr;
  for (auto& root : nodes) {
    if (!root->ready_root) continue;
    if (first == nullptr) first = root.get();
    bool good = true;
    std::vector<bool> reached(nodes.size(), false);
    reached[root->op().id] = true;
    for (auto& node : nodes) {
      if (!reached[node->op().id]) continue;
      const auto& inputs = node->op().inputs;
      bool passes = node.get() == root.get();
      if (!passes) {
        for (uint32_t i = 0; i < inputs.size(); ++i) {
          if (!reached[inputs[i].from]) continue;
          if (node->streams(i)) passes = true;
          if (std::holds_alternative<plan::Join>(node->op().parameters) && i == 0 && !node->input_done[1]) good = false;
          if (std::holds_alternative<plan::Union>(node->op().parameters)) {
            for (uint32_t k = 0; k < i; ++k) good = good && (node->input_done[k] || reached[inputs[k].from]);
          }
        }
      }
      if (!passes) continue;
      for (const auto& port : node->edges) {
        for (const auto& edge : port) reached[edge.target->op().id] = true;
      }
    }
    if (good) return root.get();
  }
  return first;
}

// The node's inputs are all complete: its last rows become a root of their own, else it is complete and so may be others.
Status Execution::Impl::complete_node(Node& node) {
  if (node.done || node.ready_root) return {};
  const std::string context = fmt::format("step \"{}\"", node.op().name);
  if (node.root_source == nullptr) {
    node.root_source = RUNINK_TRY_CONTEXT(node.tail(), context);
    if (node.root_source != nullptr) {
      node.ready_root = true;
      return {};
    }
  }
  RUNINK_RETURN_IF_ERROR(node.complete().with_context(context));
  node.done = true;
  for (const auto& port : node.edges) {
    for (const auto& edge : port) {
      if (edge.target->input_done[edge.input]) continue;
      edge.target->input_done[edge.input] = true;
      RUNINK_RETURN_IF_ERROR(edge.target->input_complete(edge.input).with_context(
          fmt::format("step \"{}\"", edge.target->op().name)));
      const auto& all = edge.target->input_done;
      if (std::all_of(all.begin(), all.end(), [](bool b) { return b; })) {
        RUNINK_RETURN_IF_ERROR(complete_node(*edge.target));
      }
    }
  }
  return {};
}

Status Execution::run() {
  Impl& x = *impl_;
  Status status;
  for (auto& node : x.nodes) {
    if (!node->op().inputs.empty()) continue;
    // A source is ready; a sink of dead letters has neither inputs nor rows.
    node->ready_root = node->root_source != nullptr;
    node->done = !node->ready_root;
  }
  while (status.ok()) {
    Node* root = x.choose_root();
    if (root == nullptr) break;
    root->ready_root = false;
    status = x.run_pipeline(*root, *root->root_source);
    if (!status.ok()) break;
    status = x.complete_node(*root);
  }
  if (status.ok()) {
    for (const auto& node : x.nodes) RUNINK_CHECK(node->done);
    status = x.evaluate_rules();
  }
  x.make_report();
  if (!status.ok()) return status;
  for (const auto& b : x.report.balances) {
    if (!b.holds()) {
      return internal_error("step \"{}\" does not balance: {} ({} against {}); nothing is published", b.step, b.equation,
                            b.left, b.right)
          .with_kind("run.balance")
          .with_hint("this is a defect of Runink or of a custom step; please report it with the plan of this run");
    }
  }
  return {};
}

void Execution::Impl::make_report() {
  for (auto& node : nodes) {
    const auto& op = node->op();
    Counts c = totals[op.id];
    c.add(node->tail_counts);
    c.in.resize(op.inputs.size());
    c.sent.resize(op.inputs.size());
    c.out.resize(node->ports());
    OperatorReport r;
    r.bytes = node->bytes();
    r.id = op.id;
    r.name = op.name;
    r.kind = plan::kind_name(op.parameters);
    r.rows_in = c.total_in();
    r.rows_out = c.out;
    r.rejected = c.rejected;
    r.dropped = c.dropped;
    r.sample = samples[op.id].rows(op.checkpoint ? UINT64_MAX : options.sample_rows);
    if (const auto it = spilled.find(op.id); it != spilled.end()) r.spilled_bytes = it->second;
    report.spilled_bytes += r.spilled_bytes;
    report.records_rejected += c.rejected;
    if (std::holds_alternative<plan::Source>(op.parameters) || std::holds_alternative<plan::ScenarioInput>(op.parameters)) {
      report.records_read += c.read;
      report.undecodable += c.undecodable;
    }
    report.operators.push_back(std::move(r));
    if (failed) continue;  // a run that ended early has nothing to balance
    BalanceSheet sheet(&report.balances, op);
    for (uint32_t i = 0; i < op.inputs.size(); ++i) {
      sheet.equal(fmt::format("rows sent by \"{}\" = rows received", nodes[op.inputs[i].from]->op().name), c.sent[i], c.in[i]);
    }
    node->balance(c, sheet);
  }
  for (const auto& v : scenario->valid) {
    report.records_valid += v.port < totals[v.from].out.size() ? totals[v.from].out[v.port] : 0;
  }
}

void Execution::Impl::note(std::string text) {
  std::lock_guard lock(failure_mutex);
  report.notes.push_back(std::move(text));
}

void Execution::Impl::count_spill(const plan::Operator& op, uint64_t bytes) {
  std::lock_guard lock(spill_mutex);
  spilled[op.id] += bytes;
}

}  // namespace runink::engine
