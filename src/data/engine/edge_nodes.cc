// Where rows enter and leave: sources, sinks, and the typed rows that another scenario reads.

#include "data/columnar/kernels.h"
#include "data/columnar/spill.h"
#include "data/contract/redact.h"
#include "data/engine/execution_impl.h"
#include "data/engine/node.h"
#include "platform/os/file.h"

namespace runink::engine {

namespace {

class SourceNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch, uint32_t, MorselContext&) override { return internal_error("a source has no input"); }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("records read = entered + undecodable", c.read, c.total_out() + c.undecodable);
  }
  uint64_t bytes() const override { return root_source ? root_source->bytes_read() : 0; }
  bool satisfied() const override {
    const auto* input = std::get_if<plan::ScenarioInput>(&op_.parameters);
    return (input == nullptr || !input->to_the_end) && Node::satisfied();
  }
};

// Masks what the plan says, formats in the worker, writes in morsel order.
class SinkNode final : public Node {
 public:
  SinkNode(const plan::Operator& op, Execution& x) : Node(op, x) {}

  Status open() {
    auto& x = execution_.impl();
    const auto& p = std::get<plan::Sink>(op_.parameters);
    const auto& from = x.scenario->operators[op_.inputs[0].from];
    columnar::SchemaPtr schema = from.schema;
    std::vector<columnar::Field> fields = schema->fields();
    for (size_t c = 0; c < fields.size() && c < p.masks.size(); ++c) {
      if (p.masks[c].empty() || x.options.reveal) continue;
      contract::Mask mask = RUNINK_TRY(contract::parse_mask(p.masks[c]));
      fields[c].type = contract::masked_type(fields[c].type, mask);
      fields[c].nullable = true;
      masks_.emplace_back(c, mask);
    }
    key_.bytes = x.options.key;
    schema_ = masks_.empty() ? schema : std::make_shared<columnar::Schema>(std::move(fields));
    sink_ = RUNINK_TRY(x.factory->open_sink(op_, schema_));
    return {};
  }

  Status receive(Batch batch, uint32_t, MorselContext& m) override {
    auto& local = this->local<Local>(m, [] { return Local{}; });
    if (!local.formatter) local.formatter = RUNINK_TRY(sink_->make_formatter());
    counts(m).written += static_cast<uint64_t>(batch.rows);
    if (!masks_.empty()) {
      for (const auto& [column, mask] : masks_) {
        batch.columns[column] = contract::mask_column(batch.columns[column], batch.schema->field(column), mask, key_);
      }
      // Raw bytes would show what is masked; where none are written, rows still know which record they are of.
      if (std::get<plan::Sink>(op_.parameters).verbatim_columns > 0) batch.origin.reset();
    }
    batch.schema = schema_;
    return local.formatter->append(batch, local.bytes);
  }
  Status end_of_morsel(MorselContext& m) override {
    auto& local = this->local<Local>(m, [] { return Local{}; });
    if (local.bytes.size() > 0) RUNINK_RETURN_IF_ERROR(local.formatter->end_of_morsel(local.bytes));
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status = local.bytes.size() > 0 ? sink_->write(local.bytes.view()) : Status();
    leave();
    // What a huge record took is given back.
    if (local.bytes.capacity() > kKeepBytes) local.bytes = columnar::Buffer();
    local.bytes.resize(0);
    return status;
  }
  Status complete() override { return sink_->finish(); }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = rows written", c.total_in(), c.written);
  }
  bool satisfied() const override { return false; }
  uint64_t bytes() const override { return sink_->bytes_written(); }

 private:
  static constexpr size_t kKeepBytes = size_t{8} << 20;
  struct Local {
    std::unique_ptr<SinkFormatter> formatter;
    columnar::Buffer bytes;
  };
  columnar::SchemaPtr schema_;
  std::vector<std::pair<size_t, contract::Mask>> masks_;
  contract::MaskKey key_;
  std::unique_ptr<BatchSink> sink_;
};

// Dead letters reach their sinks through the DeadLetterSink; this node only stands for it in the plan.
class RejectedSinkNode final : public Node {
 public:
  using Node::Node;
  Status receive(Batch, uint32_t, MorselContext&) override { return internal_error("a sink of dead letters has no input"); }
  void balance(const Counts&, BalanceSheet&) const override {}
  bool satisfied() const override { return false; }
};

// A spill file of the temp folder.
class RowsFile final : public RowsSink {
 public:
  static Result<std::unique_ptr<RowsFile>> create(const std::string& path, SchemaPtr schema) {
    os::Fd file = RUNINK_TRY(os::open_file(path, os::OpenMode::kTruncate, 0600));
    return std::unique_ptr<RowsFile>(new RowsFile(std::move(file), std::move(schema)));
  }
  Status write(const Batch& batch) override { return writer_.write(batch); }
  Status finish() override { return writer_.flush(); }

 private:
  RowsFile(os::Fd file, SchemaPtr schema) : file_(std::move(file)), writer_(file_.get(), std::move(schema)) {}
  os::Fd file_;
  columnar::SpillWriter writer_;
};

// Keeps rows for other scenarios, or hands them to the next stage.
class OutputNode final : public Node {
 public:
  OutputNode(const plan::Operator& op, Execution& x, std::unique_ptr<RowsSink> rows)
      : Node(op, x), elsewhere_(rows != nullptr), rows_(std::move(rows)) {}

  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    counts(m).written += static_cast<uint64_t>(batch.rows);
    if (!spools()) return {};
    batch.origin.reset();
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }
  Status end_of_morsel(MorselContext& m) override {
    if (!spools()) return {};
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status = open();
    for (auto& [batch, input] : m.held[op_.id]) {
      if (status.ok()) status = rows_->write(batch);
    }
    leave();
    return status;
  }
  Status complete() override {
    if (!spools()) return {};
    RUNINK_RETURN_IF_ERROR(open());
    RUNINK_RETURN_IF_ERROR(rows_->finish());
    if (!elsewhere_) execution_.impl().outputs[std::get<plan::Output>(op_.parameters).name] = path();
    return {};
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = rows kept for other scenarios", c.total_in(), c.written);
  }
  bool satisfied() const override { return false; }

 private:
  bool spools() const { return std::get<plan::Output>(op_.parameters).spool; }
  std::string path() const { return execution_.impl().options.temp_folder + fmt::format("/output-{}.rows", op_.id); }
  Status open() {
    if (rows_) return {};
    const auto& operators = execution_.impl().scenario->operators;
    rows_ = RUNINK_TRY(RowsFile::create(path(), operators[op_.inputs[0].from].schema));
    return {};
  }

  const bool elsewhere_;
  std::unique_ptr<RowsSink> rows_;
};

}  // namespace

Result<std::unique_ptr<Node>> make_source_node(const plan::Operator& op, Execution& execution) {
  auto& x = execution.impl();
  auto node = std::make_unique<SourceNode>(op, execution);
  node->root_source = RUNINK_TRY(x.factory->open_source(op, x.needed[op.id]));
  return std::unique_ptr<Node>(std::move(node));
}
Result<std::unique_ptr<Node>> make_sink_node(const plan::Operator& op, Execution& execution) {
  if (std::get<plan::Sink>(op.parameters).rejected) {
    return std::unique_ptr<Node>(std::make_unique<RejectedSinkNode>(op, execution));
  }
  auto node = std::make_unique<SinkNode>(op, execution);
  RUNINK_RETURN_IF_ERROR(node->open());
  return std::unique_ptr<Node>(std::move(node));
}
Result<std::unique_ptr<Node>> make_output_node(const plan::Operator& op, Execution& execution) {
  std::unique_ptr<RowsSink> rows;
  if (std::get<plan::Output>(op.parameters).spool) {
    rows = RUNINK_TRY(execution.impl().factory->open_output(op));
  }
  return std::unique_ptr<Node>(std::make_unique<OutputNode>(op, execution, std::move(rows)));
}

}  // namespace runink::engine
