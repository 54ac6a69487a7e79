#include "client/local/arrow_batches.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "data/columnar/kernels.h"
#include "data/plan/pii.h"

namespace runink::local {
namespace {

// Reports of morsels that were handed out and not yet read, by chunk. Source and readers share it.
class Reports {
 public:
  void put(const columnar::InputChunk* chunk, engine::ReadReport report) {
    std::lock_guard lock(mutex_);
    reports_[chunk] = std::move(report);
  }
  engine::ReadReport take(const columnar::InputChunk* chunk) {
    std::lock_guard lock(mutex_);
    const auto found = reports_.find(chunk);
    engine::ReadReport report = std::move(found->second);
    reports_.erase(found);
    return report;
  }

 private:
  std::mutex mutex_;
  std::map<const columnar::InputChunk*, engine::ReadReport> reports_;
};

class ArrowReader final : public engine::MorselReader {
 public:
  explicit ArrowReader(std::shared_ptr<Reports> reports) : reports_(std::move(reports)) {}
  Result<engine::ReadReport> read(const engine::Morsel& morsel,
                                  const std::function<Status(columnar::Batch&&)>& emit) override {
    // Messages of other programs may hold any number of rows.
    for (const columnar::Batch& batch : morsel.batches) {
      for (int64_t first = 0; first < batch.rows; first += columnar::kBatchRows) {
        const int64_t rows = std::min(columnar::kBatchRows, batch.rows - first);
        RUNINK_RETURN_IF_ERROR(emit(rows == batch.rows ? columnar::Batch(batch) : columnar::slice(batch, first, rows)));
      }
    }
    return reports_->take(morsel.chunk.get());
  }

 private:
  std::shared_ptr<Reports> reports_;
};

class ArrowBatches final : public engine::BatchSource {
 public:
  ArrowBatches(std::unique_ptr<connectors::ArrowSource> source, columnar::SchemaPtr schema, const plan::Operator& op,
               contract::ContractPtr contract)
      : source_(std::move(source)), schema_(std::move(schema)), op_(op), contract_(std::move(contract)) {}
  Result<std::optional<engine::Morsel>> next() override {
    std::optional<connectors::ArrowPiece> piece = RUNINK_TRY(source_->next());
    if (!piece) return std::optional<engine::Morsel>();
    std::vector<connectors::Reread> again;
    if (!piece->undecodable.empty()) again.push_back(std::move(piece->again));
    reports_->put(piece->chunk.get(), read_report(std::move(piece->report), *piece->chunk, *schema_, op_, contract_,
                                                  &piece->undecodable, &again));
    engine::Morsel morsel{piece->chunk, {}};
    if (piece->batch) morsel.batches.push_back(std::move(*piece->batch));
    return std::optional<engine::Morsel>(std::move(morsel));
  }
  Result<std::unique_ptr<engine::MorselReader>> make_reader() override {
    return std::unique_ptr<engine::MorselReader>(std::make_unique<ArrowReader>(reports_));
  }
  uint64_t bytes_read() const override { return source_->raw_bytes(); }
  uint64_t bytes_total() const override { return source_->raw_size(); }

 private:
  std::unique_ptr<connectors::ArrowSource> source_;
  columnar::SchemaPtr schema_;
  const plan::Operator& op_;
  contract::ContractPtr contract_;
  std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
};

// Whether what stands there may be personal: a value of the field, or in place of a struct that the field is a part of,
// where a text may hold what belongs into any member.
bool holds_pii(const connectors::UndecodableRecord& bad, const columnar::Schema& schema, const plan::Operator& op) {
  const auto is_pii = [&](size_t i) { return i < op.columns.size() && !op.columns[i].pii.empty(); };
  if (bad.struct_parts == 0) return is_pii(static_cast<size_t>(bad.field));
  const std::string prefix = std::string(connectors::struct_name(bad, schema)) + ".";
  for (size_t i = 0; i < schema.size(); ++i) {
    if (is_pii(i) && schema.field(i).name.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

engine::ReadReport read_report(connectors::ChunkReport parsed, const columnar::InputChunk& chunk,
                               const columnar::Schema& schema, const plan::Operator& op,
                               const contract::ContractPtr& contract,
                               std::vector<connectors::ArrowPiece::Undecodable>* arrow,
                               std::vector<connectors::Reread>* again) {
  engine::ReadReport report;
  report.records = parsed.records;
  report.drift = std::move(parsed.drift);
  const auto error_of = [&](const connectors::UndecodableRecord& bad, std::string_view bytes) {
    engine::UndecodableRow::Error error;
    const bool has_field = bad.field >= 0 && static_cast<size_t>(bad.field) < schema.size();
    if (has_field) error.field = schema.field(static_cast<size_t>(bad.field)).name;
    if (contract) {
      const int rule = has_field ? contract->type_rule(bad.field) : contract::Contract::kRecordRule;
      error.rule = contract->rules[static_cast<size_t>(rule)].name;
    } else {
      error.rule = has_field ? error.field + ".type" : "record";
    }
    const bool hide = has_field && holds_pii(bad, schema, op);
    // Where the field cannot be told, or where it ends, what stands there may be of any.
    const bool any = (!has_field || bad.reason == connectors::Undecodable::kSyntax) && plan::reveals_pii(op.columns);
    error.message = connectors::describe(bad, schema, bytes, hide || any);
    if (const size_t at = error.message.rfind(" (byte "); arrow != nullptr && at != std::string::npos) error.message.resize(at);
    return error;
  };
  for (size_t i = 0; again != nullptr && i < again->size(); ++i) report.rest.push_back(std::move((*again)[i].rows));
  for (size_t i = 0; i < parsed.undecodable.size(); ++i) {
    const auto& bad = parsed.undecodable[i];
    engine::UndecodableRow row;
    row.offset = bad.offset;
    row.length = bad.length;
    row.line = bad.line;
    // Of Arrow there is no text in which values would stand at some byte, only the values.
    const auto bytes = [&](size_t error) -> std::string_view {
      return arrow != nullptr ? std::string_view((*arrow)[i].values[error]) : chunk.bytes.substr(bad.offset, bad.length);
    };
    auto error = error_of(bad, bytes(0));
    row.rule = std::move(error.rule);
    row.field = std::move(error.field);
    row.message = std::move(error.message);
    if (again != nullptr) {
      row.rest = i / columnar::kBatchRows;
      auto& found = (*again)[row.rest].records[i % columnar::kBatchRows];
      for (size_t e = 1; e < found.errors.size(); ++e) row.more.push_back(error_of(found.errors[e], bytes(e)));
      row.row = found.row;
      row.unread = std::move(found.unread);
    }
    if (arrow != nullptr) {
      row.text = std::move((*arrow)[i].record);
    }
    report.undecodable.push_back(std::move(row));
  }
  return report;
}

Result<std::unique_ptr<engine::BatchSource>> open_arrow_batches(const connectors::Locator& locator,
                                                                const connectors::ReaderOptions& options,
                                                                const std::shared_ptr<connectors::SourceFiles>& files,
                                                                const StopFlag* stop, const plan::Operator& op,
                                                                contract::ContractPtr contract) {
  auto source = RUNINK_TRY(connectors::open_arrow_source(locator, options, files, stop));
  return std::unique_ptr<engine::BatchSource>(
      std::make_unique<ArrowBatches>(std::move(source), options.schema, op, std::move(contract)));
}

}  // namespace runink::local
