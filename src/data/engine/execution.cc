#include "data/engine/execution.h"

#include <algorithm>

#include "base/text.h"
#include "data/engine/execution_impl.h"
#include "data/engine/observer.h"

namespace runink::engine {

// ---- creation -------------------------------------------------------------------------------------------------------

Execution::Execution() : impl_(std::make_unique<Impl>()) {}
Execution::~Execution() = default;
const ExecutionReport& Execution::report() const { return impl_->report; }
const Progress& Execution::progress() const { return impl_->progress; }
const std::map<std::string, std::string>& Execution::outputs() const { return impl_->outputs; }

bool ExecutionReport::rules_hold() const {
  return std::all_of(rules.begin(), rules.end(), [](const RuleResult& r) { return r.passed || r.warn_only; });
}

uint64_t row_holders(const plan::ScenarioPlan& scenario) {
  uint64_t holders = 0;
  for (const auto& op : scenario.operators) {
    const auto& p = op.parameters;
    holders += std::holds_alternative<plan::Sort>(p) || std::holds_alternative<plan::Join>(p) ||
               std::holds_alternative<plan::Group>(p) || std::holds_alternative<plan::Unique>(p) ||
               std::holds_alternative<plan::Deduplicate>(p) || std::holds_alternative<plan::Union>(p);
  }
  return std::max<uint64_t>(1, holders);
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
  x.memory_share = std::max<uint64_t>(x.options.memory_budget_bytes / row_holders(scenario), 256 << 10);

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

// ---- order of pipelines -----------------------------------------------------------------------------------------------
//
// Roots that are ready run one after the other. A custom step's answers come while it is being fed, so its pipeline starts
// together with the one that feeds it, as its companion, with workers of its own: provided that nothing else has to run
// before either has ended, and that both use no node in common. Then
//
//   * a companion ends soon after its step has been sent all. What has to run until then is what feeds it: rows that nodes
//     of the feeding pipeline held back (their tails);
//   * whoever waits, waits for something further on: who feeds a step for the step to read; the step for its answers to be
//     taken; workers behind it for the sinks. So nothing waits in a circle.

// Any order of ready roots is correct (unions and joins hold back rows that come too early); a root that makes nobody
// hold rows back is better.
Node* Execution::Impl::choose_root() {
  Node* first = nullptr;
  for (auto& root : nodes) {
    if (!root->ready_root) continue;
    const Reach reach = reach_of(*root);
    const auto feeds = [&](const auto& companion) { return reach.reached[companion->root->op().id]; };
    if (!companions.empty() && std::none_of(companions.begin(), companions.end(), feeds)) continue;
    if (first == nullptr) first = root.get();
    if (reach.unhindered) return root.get();
  }
  return first;
}

Status Execution::Impl::run_pipeline(Node& root) {
  root.ready_root = false;
  auto pipeline = start_pipeline(root, *root.root_source, reach_of(root));
  if (Status status = start_companions(*pipeline); !status.ok()) fail(nullptr, 0, std::move(status));
  start_workers(*pipeline, 1);
  work(*pipeline, pipeline->contexts[0]);
  Status status = finish_pipeline(*pipeline);
  Status letters = write_waiting_letters(*pipeline);
  RUNINK_RETURN_IF_ERROR(std::move(status));
  RUNINK_RETURN_IF_ERROR(std::move(letters));
  return complete_node(root);
}

// The pipelines behind custom steps that `feeding` sends rows to, where they can run at the same time.
Status Execution::Impl::start_companions(const PipelineState& feeding) {
  // Nodes that will have had all their rows, but for tails, when `feeding` has ended.
  std::vector<bool> completes(nodes.size(), false);
  completes[feeding.root->op().id] = true;
  for (Node* node : feeding.order) {
    const auto& inputs = node->op().inputs;
    bool all = true;
    for (uint32_t i = 0; i < inputs.size(); ++i) {
      all = all && (node->input_done[i] || (feeding.reach.emits[inputs[i].from] && completes[inputs[i].from]));
    }
    completes[node->op().id] = all;
  }
  for (Node* node : feeding.order) {
    const auto id = node->op().id;
    if (!completes[id] || feeding.reach.emits[id] || node->early || node->root_source != nullptr) continue;
    Reach reach = reach_of(*node);
    bool alone = reach.unhindered;
    for (const PipelineState* other : running) {
      for (size_t i = 0; i < nodes.size() && alone; ++i) alone = i == id || !reach.reached[i] || !other->reach.reached[i];
    }
    if (!alone) continue;
    node->root_source = RUNINK_TRY_CONTEXT(node->early_rows(), fmt::format("step \"{}\"", node->op().name));
    if (node->root_source == nullptr) continue;
    node->early = true;
    companions.push_back(start_pipeline(*node, *node->root_source, std::move(reach)));
    PipelineState& companion = *companions.back();
    start_workers(companion, 0);
    RUNINK_RETURN_IF_ERROR(start_companions(companion));
  }
  return {};
}

// The step has been sent all: its pipeline ends by itself.
Status Execution::Impl::finish_companion(Node& step) {
  const auto at = std::find_if(companions.begin(), companions.end(), [&](const auto& c) { return c->root == &step; });
  RUNINK_CHECK(at != companions.end());
  RUNINK_RETURN_IF_ERROR(finish_pipeline(**at));
  RUNINK_RETURN_IF_ERROR(write_waiting_letters(**at));
  companions.erase(at);
  input_ended.erase(std::find(input_ended.begin(), input_ended.end(), &step));
  step.early = false;
  RUNINK_RETURN_IF_ERROR(complete_node(step));
  for (const auto& edge : std::exchange(postponed, {})) RUNINK_RETURN_IF_ERROR(complete_input(edge));
  return {};
}

// The node's inputs are all complete: its last rows become a root of their own, else it is complete and so may be others.
Status Execution::Impl::complete_node(Node& node) {
  if (node.done || node.ready_root) return {};
  const std::string context = fmt::format("step \"{}\"", node.op().name);
  if (node.early) {
    RUNINK_RETURN_IF_ERROR(node.end_of_input().with_context(context));
    input_ended.push_back(&node);
    return {};
  }
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
    for (const auto& edge : port) RUNINK_RETURN_IF_ERROR(complete_input(edge));
  }
  return {};
}

Status Execution::Impl::complete_input(const Node::Edge& edge) {
  Node& target = *edge.target;
  if (target.input_done[edge.input]) return {};
  for (const auto& companion : companions) {
    // Workers look at what this changes.
    if (companion->root != &target && companion->reach.reached[target.op().id]) {
      postponed.push_back(edge);
      return {};
    }
  }
  target.input_done[edge.input] = true;
  RUNINK_RETURN_IF_ERROR(target.input_complete(edge.input).with_context(fmt::format("step \"{}\"", target.op().name)));
  const auto& all = target.input_done;
  return std::all_of(all.begin(), all.end(), [](bool b) { return b; }) ? complete_node(target) : Status();
}

// The run has failed: everything ends. Letters written until then stay.
void Execution::Impl::abandon() {
  for (const auto& companion : companions) (void)status_of(finish_pipeline(*companion));
  for (const auto& companion : companions) (void)status_of(write_waiting_letters(*companion));
  companions.clear();
  for (const auto& node : nodes) {
    if (LetterQueue* letters = node->refused(); letters != nullptr) {
      (void)status_of(letters->drain([this](uint32_t op, const RejectedRecord& r) { return write_letter(op, r); }));
    }
  }
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
  for (auto& node : x.nodes) node->begin();
  while (status.ok()) {
    if (!x.input_ended.empty()) {
      // In the order of the plan, because dead letters are written then.
      status = x.finish_companion(**std::min_element(x.input_ended.begin(), x.input_ended.end(), [](Node* a, Node* b) {
        return a->op().id < b->op().id;
      }));
    } else if (Node* root = x.choose_root(); root != nullptr) {
      status = x.run_pipeline(*root);
    } else if (!x.companions.empty()) {
      status = internal_error("nothing feeds step \"{}\"", x.companions[0]->root->op().name);
    } else {
      break;
    }
  }
  if (!status.ok()) {
    x.fail(nullptr, 0, std::move(status));
    x.abandon();
    status = x.failure;
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

namespace {
// Where records come to an end that no step rejected: of the flow, and of each branch that is only written.
std::set<std::pair<plan::OperatorId, uint32_t>> flow_ends(const plan::ScenarioPlan& scenario) {
  std::set<std::pair<plan::OperatorId, uint32_t>> ends, go_on;
  for (const auto& op : scenario.operators) {
    const bool last = std::holds_alternative<plan::Sink>(op.parameters) || std::holds_alternative<plan::Output>(op.parameters);
    for (const auto& input : op.inputs) (last ? ends : go_on).emplace(input.from, input.port);
  }
  for (const auto& both : go_on) ends.erase(both);
  for (const auto& v : scenario.valid) ends.emplace(v.from, v.port);
  return ends;
}
}  // namespace

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
  report.records_valid += valid_records(*scenario, report.operators);
}

uint64_t valid_records(const plan::ScenarioPlan& scenario, const std::vector<OperatorReport>& operators) {
  uint64_t valid = 0;
  for (const auto& [from, port] : flow_ends(scenario)) {
    if (from >= operators.size()) continue;
    const auto& out = operators[from].rows_out;
    valid += port < out.size() ? out[port] : 0;
  }
  return valid;
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
