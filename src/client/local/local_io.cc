#include "client/local/local_io.h"

#include <algorithm>
#include <filesystem>

#include "client/local/append_target.h"
#include "client/local/arrow_batches.h"
#include "client/local/missing_file.h"
#include "client/local/placed_error.h"
#include "client/local/step_process.h"
#include "data/columnar/open_column.h"
#include "data/columnar/spill.h"
#include "data/connectors/csv_header.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/record_writer.h"
#include "data/contract/redact.h"
#include "data/engine/held_rows.h"
#include "data/plan/pii.h"
#include "platform/os/file.h"

namespace runink::local {

using connectors::Locator;

connectors::CsvDialect csv_dialect(const plan::Dialect& d, const Locator& locator) {
  connectors::CsvDialect out;
  out.delimiter = d.delimiter == ',' ? locator.delimiter : d.delimiter;
  out.quote = d.quote;
  out.escape = d.escape;
  out.header = d.header;
  out.comment = d.comment;
  out.null_text = d.null_text;
  out.trim = d.trim;
  out.crlf = d.crlf;
  return out;
}

namespace {
connectors::LocatorOptions locator_options(const std::string& root, const std::vector<std::string>& exec,
                                           const std::string& format, const std::string& compression) {
  connectors::LocatorOptions options;
  options.project_root = root;
  options.format = format;
  options.compression = compression;
  if (!exec.empty()) options.exec = "exec";  // the words are set below: they are split already
  return options;
}
}  // namespace

Result<Locator> source_locator(const plan::Source& source, const std::string& root) {
  const auto options = locator_options(root, source.exec, source.format, source.compression);
  Locator locator = RUNINK_TRY(connectors::parse_source_locator(source.exec.empty() ? source.locator : "", options));
  if (!source.exec.empty()) {
    locator.command = source.exec;
    locator.text = source.locator;
  }
  return locator;
}
Result<Locator> sink_locator(const plan::Sink& sink, const std::string& root) {
  const auto options = locator_options(root, sink.exec, sink.format, sink.compression);
  Locator locator = RUNINK_TRY(connectors::parse_sink_locator(sink.exec.empty() ? sink.locator : "", options));
  if (!sink.exec.empty()) {
    locator.command = sink.exec;
    locator.text = sink.locator;
  }
  return locator;
}

LocalIo::LocalIo(const plan::ScenarioPlan& scenario, LocalIoOptions options)
    : scenario_(scenario), options_(std::move(options)), files_(std::make_shared<connectors::SourceFiles>()) {}
LocalIo::~LocalIo() = default;

// ---- sources ----------------------------------------------------------------------------------------------------------

namespace {

class ChunkReader final : public engine::MorselReader {
 public:
  ChunkReader(std::unique_ptr<connectors::RecordReader> reader, const plan::Operator& op, contract::ContractPtr contract)
      : reader_(std::move(reader)), op_(op), contract_(std::move(contract)) {}
  Result<engine::ReadReport> read(const engine::Morsel& morsel,
                                  const std::function<Status(columnar::Batch&&)>& emit) override {
    auto parsed = RUNINK_TRY(reader_->parse(morsel.chunk, emit));
    std::vector<connectors::Reread> again;
    const std::span<const connectors::UndecodableRecord> bad = parsed.undecodable;
    for (size_t at = 0; at < bad.size(); at += columnar::kBatchRows) {
      again.push_back(RUNINK_TRY(reader_->reread(morsel.chunk, bad.subspan(at, std::min<size_t>(columnar::kBatchRows, bad.size() - at)))));
    }
    return read_report(std::move(parsed), *morsel.chunk, *reader_->output_schema(), op_, contract_, nullptr, &again);
  }

 private:
  std::unique_ptr<connectors::RecordReader> reader_;
  const plan::Operator& op_;
  contract::ContractPtr contract_;  // null: the source has none
};

class ChunkBatchSource final : public engine::BatchSource {
 public:
  ChunkBatchSource(std::unique_ptr<connectors::ChunkSource> chunks, connectors::ReaderOptions reader, const plan::Operator& op,
                   contract::ContractPtr contract)
      : chunks_(std::move(chunks)), reader_(std::move(reader)), op_(op), contract_(std::move(contract)) {}
  Result<std::optional<engine::Morsel>> next() override {
    auto chunk = RUNINK_TRY(chunks_->next());
    if (!chunk) return std::optional<engine::Morsel>();
    return std::optional<engine::Morsel>(engine::Morsel{std::move(chunk), {}});
  }
  Result<std::unique_ptr<engine::MorselReader>> make_reader() override {
    auto reader = RUNINK_TRY(connectors::make_record_reader(reader_));
    return std::unique_ptr<engine::MorselReader>(
        std::make_unique<ChunkReader>(std::move(reader), op_, contract_));
  }
  uint64_t bytes_read() const override { return chunks_->raw_bytes(); }
  uint64_t bytes_total() const override { return chunks_->raw_size(); }

 private:
  std::unique_ptr<connectors::ChunkSource> chunks_;
  connectors::ReaderOptions reader_;
  const plan::Operator& op_;
  contract::ContractPtr contract_;
};

Status not_opened(Status status, const plan::Operator& op, const plan::Source& source, const std::string& root) {
  if (status.code() == Code::kNotFound && source.exec.empty()) {
    const auto locator = source_locator(source, root);
    const bool one_file = locator.ok() && locator->kind == connectors::LocatorKind::kPath && !locator->is_glob;
    if (one_file && !os::exists(locator->path)) status = missing_file(source.locator, locator->path, root);
  }
  return at_place(std::move(status), op.location, root, source.locator);
}

}  // namespace

Result<std::unique_ptr<engine::BatchSource>> LocalIo::open_source(const plan::Operator& op, const std::vector<bool>& needed) {
  const auto replaced = options_.source_paths.find(op.id);
  if (const auto* input = std::get_if<plan::ScenarioInput>(&op.parameters); input != nullptr && replaced == options_.source_paths.end()) {
    auto fd = std::make_shared<os::Fd>(RUNINK_TRY(options_.openings != nullptr ? options_.openings->open_rows(op) : open_rows(op)));
    auto reader = std::make_shared<columnar::SpillReader>(fd->get(), op.schema);
    return std::unique_ptr<engine::BatchSource>(
        std::make_unique<engine::BatchList>([fd, reader] { return reader->next(); }));
  }
  plan::Source source;
  source.format = "ndjson";
  if (const auto* given = std::get_if<plan::Source>(&op.parameters)) source = *given;
  source = replaced_source(op.id, std::move(source));
  auto opened = open_records(op, source, needed);
  if (opened.ok() || replaced != options_.source_paths.end()) return opened;
  if (options_.openings != nullptr) return options_.openings->source_failed(op, std::move(opened).status());
  return not_opened(std::move(opened).status(), op, source, options_.project_root);
}

Result<os::Fd> LocalIo::open_rows(const plan::Operator& op) const {
  const auto& input = std::get<plan::ScenarioInput>(op.parameters);
  const auto rows = options_.scenario_rows.find(input.scenario + "\n" + input.output);
  if (rows == options_.scenario_rows.end()) return internal_error("the rows of scenario \"{}\" are not there", input.scenario);
  return os::open_file(rows->second);
}

Result<Locator> LocalIo::locator_of(const plan::Operator& op, const plan::Source& source) const {
  Locator locator = RUNINK_TRY(source_locator(source, options_.project_root));
  locator.words = words_of(op, plan::reveals_pii(op.columns));
  if (options_.openings != nullptr) locator.inputs = RUNINK_TRY(options_.openings->open_inputs(op));
  return locator;
}

Status LocalIo::source_failed(const plan::Operator& op, Status status) const {
  return not_opened(std::move(status), op, std::get<plan::Source>(op.parameters), options_.project_root);
}

plan::Source LocalIo::replaced_source(plan::OperatorId id, plan::Source source) const {
  const auto replaced = options_.source_paths.find(id);
  if (replaced == options_.source_paths.end()) return source;
  source.locator = "file://" + replaced->second;
  source.exec.clear();
  source.compression.clear();
  if (source.format == "arrow" && replaced->second.ends_with(".ndjson")) source.format = "ndjson";  // its letters are JSON
  return source;
}

Result<std::unique_ptr<engine::BatchSource>> LocalIo::open_records(const plan::Operator& op, const plan::Source& source,
                                                                   const std::vector<bool>& needed) {
  const Locator locator = RUNINK_TRY(locator_of(op, source));
  connectors::ChunkOptions chunk_options;
  chunk_options.format = locator.format;
  chunk_options.csv = csv_dialect(source.dialect, locator);
  chunk_options.stop = &stop_;
  if (options_.chunk_bytes > 0) chunk_options.chunk_bytes = options_.chunk_bytes;
  if (options_.max_record_bytes > 0) chunk_options.max_record_bytes = options_.max_record_bytes;
  connectors::ReaderOptions reader;
  reader.format = locator.format;
  reader.csv = chunk_options.csv;
  reader.files = files_;
  std::vector<columnar::Field> fields = op.schema->fields();
  reader.open = source.open && !fields.empty() && fields.back().name == connectors::kOpenColumn;
  if (reader.open) fields.pop_back();
  reader.schema = std::make_shared<columnar::Schema>(std::move(fields));
  for (size_t c = 0; c < reader.schema->size(); ++c) {
    connectors::FieldOptions field;
    field.needed = c >= needed.size() || needed[c];
    if (source.contract && c < source.contract->fields.size()) {
      const auto& rule = source.contract->fields[c];
      field.required = rule.required;
      field.coerce = rule.coerce;
      field.default_value = rule.default_value;
    }
    reader.fields.push_back(std::move(field));
  }
  reader.holds_pii = plan::reveals_pii(op.columns);
  if (locator.format == connectors::DataFormat::kArrow) {
    return open_arrow_batches(locator, reader, files_, &stop_, op, source.contract);
  }
  auto chunks = RUNINK_TRY(connectors::open_chunk_source(locator, chunk_options, files_));
  return std::unique_ptr<engine::BatchSource>(std::make_unique<ChunkBatchSource>(std::move(chunks), std::move(reader), op, source.contract));
}

// ---- sinks --------------------------------------------------------------------------------------------------------------

namespace {

// A file of the run's set of outputs, which publishes it.
class SetOutput final : public connectors::OutputFile {
 public:
  explicit SetOutput(os::AtomicFile* file) : file_(file) { name_ = file->target(); }
  Status write(std::string_view bytes) override { return file_->write(bytes); }
  Status finish(bool) override { return {}; }
  Status publish() override { return internal_error("{} is published with the others of its run", name_); }
  void discard() override {}
  uint64_t bytes_written() const override { return file_->bytes_written(); }
  bool atomic() const override { return true; }
  os::AtomicFile* atomic_file() override { return file_; }

 private:
  os::AtomicFile* file_;  // owned by the set
};

class FileBatchSink final : public engine::BatchSink {
 public:
  FileBatchSink(uint64_t* bytes_told, connectors::WriterOptions writer, connectors::Compression compression,
                std::unique_ptr<connectors::OutputFile> output)
      : bytes_told_(bytes_told), writer_(std::move(writer)), compression_(compression), output_(std::move(output)) {}

  Status begin(const AppendTarget& present) {
    edge_ = RUNINK_TRY(connectors::make_record_writer(writer_));
    columnar::Buffer out;
    if (!present.has_records) RUNINK_RETURN_IF_ERROR(edge_->begin(out));
    if (!present.before.empty()) RUNINK_RETURN_IF_ERROR(connectors::compress(compression_, present.before, before_));
    return write_compressed(out);
  }
  Result<std::unique_ptr<engine::SinkFormatter>> make_formatter() override {
    auto formatter = std::make_unique<Formatter>();
    formatter->compression = compression_;
    formatter->writer = RUNINK_TRY(connectors::make_record_writer(writer_));
    return std::unique_ptr<engine::SinkFormatter>(std::move(formatter));
  }
  Status write(std::string_view bytes) override {
    if (before_.size() > 0) {
      RUNINK_RETURN_IF_ERROR(output_->write(before_.view()));
      before_.resize(0);
    }
    Status status = output_->write(bytes);
    if (!output_->atomic()) tell();  // what a pipe has taken stays taken, whatever comes now
    return status;
  }
  Status finish() override {
    columnar::Buffer out;
    RUNINK_RETURN_IF_ERROR(edge_->end(out));
    RUNINK_RETURN_IF_ERROR(write_compressed(out));
    RUNINK_RETURN_IF_ERROR(output_->finish());
    tell();
    return {};
  }
  uint64_t bytes_written() const override { return output_->bytes_written(); }

 private:
  struct Formatter final : engine::SinkFormatter {
    std::unique_ptr<connectors::RecordWriter> writer;
    connectors::Compression compression = connectors::Compression::kNone;
    columnar::Buffer compressed;
    Status append(const columnar::Batch& batch, columnar::Buffer& out) override { return writer->append(batch, out); }
    Status end_of_morsel(columnar::Buffer& out) override {
      if (compression == connectors::Compression::kNone) return {};
      compressed.resize(0);
      RUNINK_RETURN_IF_ERROR(connectors::compress(compression, out.view(), compressed));
      std::swap(out, compressed);
      return {};
    }
  };
  Status write_compressed(const columnar::Buffer& out) {
    if (out.size() == 0) return {};
    if (compression_ == connectors::Compression::kNone) return write(out.view());
    columnar::Buffer packed;
    RUNINK_RETURN_IF_ERROR(connectors::compress(compression_, out.view(), packed));
    return write(packed.view());
  }
  void tell() {
    if (bytes_told_ != nullptr) *bytes_told_ = output_->bytes_written();
  }

  uint64_t* bytes_told_;  // may be null
  connectors::WriterOptions writer_;
  connectors::Compression compression_;
  std::unique_ptr<connectors::OutputFile> output_;
  std::unique_ptr<connectors::RecordWriter> edge_;  // writes what stands before and after all records
  columnar::Buffer before_;                         // what ends the last record of the file added to
};

Result<ledger::PublishMode> publish_mode(const std::string& mode) {
  if (mode == "append") return ledger::PublishMode::kAppend;
  if (mode == "fail") return ledger::PublishMode::kFail;
  if (mode.empty() || mode == "replace") return ledger::PublishMode::kReplace;
  return invalid_argument("a sink's mode is replace, append or fail, not \"{}\"", mode);
}
}  // namespace

Result<std::vector<std::string>> LocalIo::open_names(const plan::Operator& op) const {
  std::vector<std::string> out;
  const plan::Operator& from = scenario_.operators[op.inputs[0].from];
  const int open = from.schema == nullptr ? -1 : columnar::open_column(*from.schema);
  if (open < 0) return out;
  for (const auto& origin : from.columns[static_cast<size_t>(open)].lineage) {
    const plan::Operator& at = scenario_.operators[origin.source];
    const auto* read = std::get_if<plan::Source>(&at.parameters);
    const plan::Source source = read == nullptr ? plan::Source() : replaced_source(at.id, *read);
    if (source.format != "csv") {
      return failed_precondition("{}: fields that a contract leaves open have no columns in a CSV file", op.location.to_string())
          .with_hint("say which fields are written (`only fields … are kept`), or write ndjson");
    }
    if (!source.dialect.header) continue;  // cells beyond the contract's are an error
    const Locator locator = RUNINK_TRY(source_locator(source, options_.project_root));
    const auto dialect = csv_dialect(source.dialect, locator);
    for (const std::string& file : RUNINK_TRY(connectors::expand(locator))) {
      for (std::string& name : RUNINK_TRY(connectors::read_csv_header(file, locator.compression, dialect))) {
        const bool known = columnar::is_inside_own(*at.schema, name) || std::find(out.begin(), out.end(), name) != out.end();
        if (!known) out.push_back(std::move(name));
      }
    }
  }
  return out;
}

plan::Sink LocalIo::replaced_sink(const plan::Operator& op) const {
  plan::Sink sink = std::get<plan::Sink>(op.parameters);
  if (const auto replaced = options_.sink_paths.find(op.id); replaced != options_.sink_paths.end()) {
    sink.locator = "file://" + replaced->second;
    sink.exec.clear();
    sink.compression.clear();
    sink.mode = "replace";
  }
  return sink;
}

connectors::WriterOptions LocalIo::writer_options(const plan::Sink& sink, const Locator& locator, const columnar::SchemaPtr& input) const {
  connectors::WriterOptions writer;
  writer.format = locator.format;
  writer.schema = input;
  writer.csv = csv_dialect(sink.dialect, locator);
  writer.verbatim_prefix_columns = sink.verbatim_columns;
  return writer;
}

bool LocalIo::is_plain_target(const plan::Operator& op) const {
  const auto locator = sink_locator(replaced_sink(op), options_.project_root);
  if (!locator.ok() || locator->kind != connectors::LocatorKind::kPath) return false;
  const auto there = os::file_info(locator->path);
  return there.ok() ? there->regular() : there.status().code() == Code::kNotFound;
}

Result<OpenedSink> LocalIo::open_target(const plan::Operator& op, const columnar::SchemaPtr& input) {
  const plan::Sink sink = replaced_sink(op);
  Locator locator = RUNINK_TRY(sink_locator(sink, options_.project_root));
  OpenedSink out;
  if (locator.format == connectors::DataFormat::kCsv) out.open_names = RUNINK_TRY(open_names(op));
  SinkState state;
  state.op = op.id;
  state.name = sink.name;
  state.format = std::string(connectors::format_name(locator.format));
  if (locator.kind == connectors::LocatorKind::kPath) {
    state.target = locator.path;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(locator.path).parent_path(), error);
    const auto mode = RUNINK_TRY(publish_mode(sink.mode));
    if (mode == ledger::PublishMode::kAppend) {
      connectors::WriterOptions writer = writer_options(sink, locator, input);
      writer.open_names = out.open_names;
      auto looked = look_at_append_target(locator, writer);
      if (!looked.ok()) return at_place(std::move(looked).status(), op.location, options_.project_root, sink.locator);
      out.present = std::move(*looked);
    }
    out.output = std::make_unique<SetOutput>(RUNINK_TRY(options_.outputs->open(locator.path, mode)));
  } else {
    state.target = locator.kind == connectors::LocatorKind::kStandard ? "-" : locator.text;
    state.atomic = false;
    locator.words = words_of(op, options_.reveal && plan::receives_pii(scenario_, op));
    connectors::OutputOptions output;
    output.stop = &stop_;
    out.output = RUNINK_TRY(connectors::open_output(locator, output));
  }
  sinks_.push_back(std::move(state));
  return out;
}

void LocalIo::count_sink_bytes(plan::OperatorId op, uint64_t bytes) {
  for (SinkState& sink : sinks_) {
    if (sink.op == op) sink.bytes = bytes;
  }
}

Result<std::unique_ptr<engine::BatchSink>> LocalIo::open_sink(const plan::Operator& op, const columnar::SchemaPtr& input) {
  const bool here = options_.openings == nullptr;
  OpenedSink opened = RUNINK_TRY(here ? open_target(op, input) : options_.openings->open_sink(op));
  const plan::Sink sink = replaced_sink(op);
  const Locator locator = RUNINK_TRY(sink_locator(sink, options_.project_root));
  connectors::WriterOptions writer = writer_options(sink, locator, input);
  writer.open_names = std::move(opened.open_names);
  writer.csv.crlf = opened.present.crlf.value_or(writer.csv.crlf);
  uint64_t* told = here ? &sinks_.back().bytes : nullptr;
  auto out = std::make_unique<FileBatchSink>(told, std::move(writer), locator.compression, std::move(opened.output));
  RUNINK_RETURN_IF_ERROR(out->begin(opened.present));
  return std::unique_ptr<engine::BatchSink>(std::move(out));
}

StepOptions LocalIo::step_options(const plan::Operator& op) {
  StepOptions options;
  options.project_root = options_.project_root;
  options.runi_slice = options_.runi_slice;
  options.stop = &stop_;
  options.temp_folder = options_.temp_folder;
  options.words = words_of(op, plan::receives_pii(scenario_, op));
  return options;
}

Result<std::unique_ptr<engine::StepProcess>> LocalIo::start_step(const plan::Operator& op, const columnar::SchemaPtr& input) {
  if (const auto recorded = options_.step_answers.find(op.id); recorded != options_.step_answers.end()) {
    return replay_step(op, recorded->second);
  }
  const StepOptions options = step_options(op);
  if (options_.openings == nullptr) return start_step_process(op, input, options);
  return drive_step(op, input, options, RUNINK_TRY(options_.openings->start_step(op)));
}

connectors::ProgramWords LocalIo::words_of(const plan::Operator& op, bool are_private) const {
  if (!are_private || options_.words_folder.empty()) return {are_private, ""};
  return {true, fmt::format("{}/step-{}.stderr", options_.words_folder, op.id)};
}

// ---- dead letters -------------------------------------------------------------------------------------------------------

ledger::DeadLetterOrigin letter_origin(const plan::ScenarioPlan& scenario) {
  const contract::Contract* contract = nullptr;
  for (const auto& op : scenario.operators) {
    const auto* check = std::get_if<plan::Check>(&op.parameters);
    if (check != nullptr && contract == nullptr) contract = check->contract.get();
  }
  for (const auto& op : scenario.operators) {
    const auto* source = std::get_if<plan::Source>(&op.parameters);
    if (source != nullptr && contract == nullptr) contract = source->contract.get();
  }
  ledger::DeadLetterOrigin origin;
  origin.pii = plan::pii_names(scenario);
  if (contract == nullptr) return origin;
  origin.contract = contract->name;
  origin.contract_hash = contract->hash;
  // The contract speaks for a name as long as that is the field wherever it stands in the scenario.
  std::erase_if(origin.pii, [&](const std::string& name) {
    const int column = contract->column_of(name);
    const auto mask = column < 0 ? std::nullopt : contract::mask_of(contract->fields[static_cast<size_t>(column)]);
    if (!mask) return false;
    const auto differs = [&](const plan::ColumnInfo& c) {
      return c.field.name == name && !c.pii.empty() && plan::shown_mask(c) != contract::mask_name(*mask);
    };
    return std::none_of(scenario.operators.begin(), scenario.operators.end(), [&](const auto& op) {
      return std::any_of(op.columns.begin(), op.columns.end(), differs);
    });
  });
  return origin;
}

struct DeadLetterChannel::RejectedSink {
  SinkState state;
  std::vector<std::string> rules;
  os::AtomicFile* file = nullptr;
  std::string before;  // what ends the last line of the file added to
  std::string buffer;
};

DeadLetterChannel::DeadLetterChannel() = default;
DeadLetterChannel::~DeadLetterChannel() = default;

Result<std::unique_ptr<DeadLetterChannel>> DeadLetterChannel::open(const plan::ScenarioPlan& scenario, Options options) {
  std::unique_ptr<DeadLetterChannel> channel(new DeadLetterChannel());
  channel->options_ = std::move(options);
  auto& o = channel->options_;
  channel->encoder_ = std::make_unique<ledger::DeadLetterEncoder>(o.origin);
  channel->name_ = scenario.name;
  for (const auto& op : scenario.operators) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr || !sink->rejected || sink->locator.empty()) continue;
    auto out = std::make_unique<RejectedSink>();
    out->state.op = op.id;
    out->state.name = sink->name;
    out->state.format = "ndjson";
    out->state.rejected = true;
    out->rules = sink->rules;
    plan::Sink plain = *sink;
    if (const auto replaced = o.sink_paths.find(op.id); replaced != o.sink_paths.end()) plain.locator = "file://" + replaced->second;
    plain.format = "ndjson";
    const Locator locator = RUNINK_TRY(sink_locator(plain, o.project_root));
    if (locator.kind != connectors::LocatorKind::kPath) {
      return invalid_argument("{}: dead letters hold original bytes; they are written to a file only, not to {}",
                              op.location.to_string(), sink->locator);
    }
    out->state.target = locator.path;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(locator.path).parent_path(), error);
    const auto mode = RUNINK_TRY(publish_mode(sink->mode));
    if (mode == ledger::PublishMode::kAppend) {
      out->before = RUNINK_TRY(look_at_append_target(locator, {})).before;
    }
    out->file = RUNINK_TRY(o.outputs->open(locator.path, mode, 0600));
    channel->sinks_.push_back(std::move(out));
  }
  return channel;
}

std::string DeadLetterChannel::source_name(uint32_t source) const {
  if (source == engine::kNoSource || options_.files == nullptr || source >= options_.files->size()) return "";
  std::string name = options_.files->file(source).name;
  // Names from the project root, so that a letter means the same wherever the project lies.
  const std::string prefix = options_.project_root + "/";
  if (name.starts_with(prefix)) name.erase(0, prefix.size());
  return name;
}

Status DeadLetterChannel::write(const engine::RejectedRecord& record) {
  std::vector<ledger::BrokenRuleView> rules;
  for (const auto& r : *record.rules) rules.push_back({r.rule, r.field, r.message, r.words});
  const std::string source = source_name(record.source);
  ledger::DeadLetterView letter;
  letter.record = record.bytes;
  letter.source = source;
  letter.offset = record.offset;
  letter.line = static_cast<int64_t>(record.line);
  letter.rules = rules.data();
  letter.rule_count = rules.size();
  ++letters_;
  for (const auto& r : *record.rules) {
    auto& reason = reasons_[r.rule];
    if (reason.records++ == 0) {
      reason.field = r.field;
      reason.message = source.empty() ? r.message : fmt::format("{}:{}: {}", source, record.line, r.message);
    }
  }
  if (options_.tee) options_.tee(letter, record.step);
  if (options_.store != nullptr) {
    if (!writer_) {
      writer_ = RUNINK_TRY(options_.store->create(options_.origin, name_));
      store_path_ = writer_->path();
    }
    RUNINK_RETURN_IF_ERROR(writer_->append(letter, record.step));
  }
  line_.clear();
  for (auto& sink : sinks_) {
    const bool wanted = sink->rules.empty() || std::any_of(rules.begin(), rules.end(), [&](const auto& r) {
                          return std::find(sink->rules.begin(), sink->rules.end(), r.rule) != sink->rules.end();
                        });
    if (!wanted) continue;
    if (line_.empty()) encoder_->encode(letter, record.step, &line_);
    sink->buffer += sink->before;
    sink->before.clear();
    sink->buffer += line_;
    ++sink->state.letters;
    if (sink->buffer.size() > (64u << 10)) {
      RUNINK_RETURN_IF_ERROR(sink->file->write(sink->buffer));
      sink->buffer.clear();
    }
  }
  return {};
}

Status DeadLetterChannel::finish() {
  for (auto& sink : sinks_) {
    if (!sink->buffer.empty()) RUNINK_RETURN_IF_ERROR(sink->file->write(sink->buffer));
    sink->buffer.clear();
    sink->state.bytes = sink->file->bytes_written();
  }
  return writer_ ? writer_->finish() : Status();
}

std::vector<SinkState> DeadLetterChannel::sinks() const {
  std::vector<SinkState> out;
  for (const auto& s : sinks_) out.push_back(s->state);
  return out;
}

}  // namespace runink::local
