// A pipeline while it runs: workers take morsels, push them through the nodes behind the root, and write dead letters.

#include <algorithm>
#include <thread>

#include "base/text.h"
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

// ---- start and end ---------------------------------------------------------------------------------------------------

// Operators stand after their inputs, so one pass in order finds all nodes that rows reach.
Reach Execution::Impl::reach_of(const Node& root) const {
  Reach reach;
  reach.reached.assign(nodes.size(), false);
  reach.emits.assign(nodes.size(), false);
  reach.reached[root.op().id] = true;
  for (const auto& node : nodes) {
    const auto id = node->op().id;
    if (!reach.reached[id]) continue;
    bool passes = node.get() == &root;
    const auto& inputs = node->op().inputs;
    for (uint32_t i = 0; i < inputs.size() && node.get() != &root; ++i) {
      if (!reach.emits[inputs[i].from]) continue;
      passes = passes || node->streams(i);
      if (std::holds_alternative<plan::Join>(node->op().parameters) && i == 0) {
        reach.unhindered = reach.unhindered && node->input_done[1];
      }
      if (std::holds_alternative<plan::Union>(node->op().parameters)) {
        for (uint32_t k = 0; k < i; ++k) {
          reach.unhindered = reach.unhindered && (node->input_done[k] || reach.emits[inputs[k].from]);
        }
      }
    }
    if (!passes) continue;
    reach.emits[id] = true;
    for (const auto& port : node->edges) {
      for (const auto& edge : port) reach.reached[edge.target->op().id] = true;
    }
  }
  return reach;
}

namespace {
MorselContext make_context(const Execution::Impl& x, uint32_t worker) {
  MorselContext m;
  m.worker = worker;
  m.counts.resize(x.nodes.size());
  m.held.resize(x.nodes.size());
  for (size_t i = 0; i < x.nodes.size(); ++i) {
    m.local.emplace_back(nullptr, [](void*) {});
    m.counts[i].in.resize(x.nodes[i]->op().inputs.size());
    m.counts[i].sent.resize(x.nodes[i]->op().inputs.size());
    m.counts[i].out.resize(x.nodes[i]->ports());
  }
  return m;
}
}  // namespace

std::unique_ptr<PipelineState> Execution::Impl::start_pipeline(Node& root, BatchSource& source, Reach reach) {
  auto pipeline = std::make_unique<PipelineState>();
  pipeline->root = &root;
  pipeline->source = &source;
  pipeline->base_sequence = next_base_sequence;
  pipeline->reach = std::move(reach);
  for (const auto& node : nodes) {
    if (node.get() == &root || !pipeline->reach.reached[node->op().id]) continue;
    pipeline->order.push_back(node.get());
    node->reset_turnstile();
  }
  // What a step refused is known only when it has ended, and comes before the letters of what stands behind it.
  if (std::holds_alternative<plan::Program>(root.op().parameters)) pipeline->letters.emplace(options.temp_folder);
  progress.bytes_total += source.bytes_total();
  for (uint32_t w = 0; w < options.threads; ++w) {
    pipeline->contexts.push_back(make_context(*this, w));
    pipeline->contexts.back().pipeline = pipeline.get();
  }
  std::lock_guard lock(failure_mutex);
  running.push_back(pipeline.get());
  if (failed) pipeline->dead_letters.stop();
  return pipeline;
}

void Execution::Impl::start_workers(PipelineState& pipeline, uint32_t first) {
  for (uint32_t w = first; w < options.threads; ++w) {
    pipeline.workers.emplace_back([this, &pipeline, w] { work(pipeline, pipeline.contexts[w]); });
  }
}

// Waits for its workers.
Status Execution::Impl::finish_pipeline(PipelineState& pipeline) {
  for (auto& worker : pipeline.workers) worker.join();
  pipeline.workers.clear();
  // Pipelines that run at the same time have no node in common, so their ordinals need not differ.
  next_base_sequence = std::max(next_base_sequence, pipeline.base_sequence + pipeline.next_sequence);
  for (const auto& m : pipeline.contexts) {
    for (size_t i = 0; i < nodes.size(); ++i) totals[i].add(m.counts[i]);
  }
  pipeline.contexts.clear();
  std::lock_guard lock(failure_mutex);
  std::erase(running, &pipeline);
  return failure;
}

void Execution::Impl::fail(const PipelineState* pipeline, uint64_t sequence, Status status) {
  {
    std::lock_guard lock(failure_mutex);
    // That somebody was stopped is only the consequence of another failure, or of a request.
    const bool requested = options.stop != nullptr && options.stop->requested();
    const bool consequence = status.kind() == "run.stopped" || (status.kind() == "run.interrupted" && !requested);
    // Of a pipeline the failure of the earliest morsel is told, so that the message does not depend on timing.
    const bool earlier = pipeline != nullptr && pipeline == failure_pipeline && sequence < failure_sequence &&
                         failure.kind() != "run.interrupted";
    if (failure.ok() || (!consequence && (earlier || failure.kind() == "run.stopped"))) {
      failure = std::move(status);
      failure_pipeline = pipeline;
      failure_sequence = sequence;
    }
    failed = true;
    for (PipelineState* p : running) p->dead_letters.stop();
  }
  factory->stop();
  for (auto& node : nodes) node->stop();
}

// ---- work ------------------------------------------------------------------------------------------------------------

void Execution::Impl::work(PipelineState& pipeline, MorselContext& m) {
  auto reader = pipeline.source->make_reader();
  if (!reader.ok()) {
    fail(&pipeline, 0, std::move(reader).status());
    return;
  }
  for (;;) {
    Morsel morsel;
    {
      std::lock_guard lock(pipeline.source_mutex);
      if (failed || pipeline.ended) return;
      if (options.stop != nullptr && options.stop->requested()) {
        fail(&pipeline, pipeline.next_sequence, cancelled("interrupted").with_kind("run.interrupted"));
        return;
      }
      if (pipeline.root->satisfied()) {
        pipeline.ended = true;
        return;
      }
      const uint64_t before = pipeline.source->bytes_read();
      auto next = pipeline.source->next();
      if (!next.ok()) {
        fail(&pipeline, pipeline.next_sequence,
             std::move(next).status().with_context(fmt::format("step \"{}\"", pipeline.root->op().name)));
        return;
      }
      if (!next->has_value()) {
        pipeline.ended = true;
        return;
      }
      morsel = std::move(**next);
      m.sequence = pipeline.next_sequence++;
      m.ordinal = (pipeline.base_sequence + m.sequence) * kOrdinalsPerMorsel;
      progress.bytes_read += pipeline.source->bytes_read() - before;
    }
    if (Status status = process(pipeline, morsel, **reader, m); !status.ok()) {
      fail(&pipeline, m.sequence, std::move(status));
      return;
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
  if (is_source && !read.rest.empty()) {
    for (const auto& edge : root.edges[0]) RUNINK_RETURN_IF_ERROR(edge.target->judge_rest(read, m));
  }
  for (auto& bad : read.undecodable) {
    PendingReject reject;
    reject.op = root.op().id;
    reject.chunk = morsel.chunk;
    reject.offset = bad.offset;
    reject.length = bad.length;
    reject.line = bad.line;
    reject.text = std::move(bad.text);
    reject.rules.push_back({std::move(bad.rule), std::move(bad.field), std::move(bad.message)});
    for (auto& e : bad.more) reject.rules.push_back({std::move(e.rule), std::move(e.field), std::move(e.message)});
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
  RUNINK_RETURN_IF_ERROR(observe_morsel(*this, pipeline, m.sequence));
  if (m.rejects.empty()) return {};
  const auto position = [](const PendingReject& r) -> uint64_t {
    if (r.chunk) return r.chunk->position + r.offset;
    return r.origin ? r.origin->position(r.row) : UINT64_MAX;
  };
  std::stable_sort(m.rejects.begin(), m.rejects.end(),
                   [&](const auto& a, const auto& b) { return position(a) < position(b); });
  for (const auto& r : m.rejects) {
    RUNINK_RETURN_IF_ERROR(pipeline.letters ? pipeline.letters->add(r.op, record_of(r))
                                            : write_letter(r.op, record_of(r)));
  }
  progress.rejected += m.rejects.size();
  m.rejects.clear();
  return {};
}

// In the order of letters; by a worker whose turn it is, while no other pipeline writes, or between pipelines.
Status Execution::Impl::write_letter(uint32_t op, RejectedRecord record) {
  record.step = nodes[op]->op().name;
  RUNINK_RETURN_IF_ERROR(dead_letters->write(record).with_context("write dead letters"));
  for (const auto& rule : *record.rules) ++report.rejected_by_rule[rule.rule];
  if (report.first_rejects.size() < 5 && !record.rules->empty())
    report.first_rejects.push_back(record.rules->front().message);
  return {};
}

// Of a pipeline that has ended: first what its step refused, then what was rejected behind it.
Status Execution::Impl::write_waiting_letters(PipelineState& pipeline) {
  if (!pipeline.letters) return {};
  const auto write = [this](uint32_t op, const RejectedRecord& record) { return write_letter(op, record); };
  if (LetterQueue* refused = pipeline.root->refused(); refused != nullptr)
    RUNINK_RETURN_IF_ERROR(refused->drain(write));
  return pipeline.letters->drain(write);
}

}  // namespace runink::engine
