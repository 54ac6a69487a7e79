#include "data/connectors/record_reader.h"

#include <algorithm>

#include "data/connectors/csv_reader.h"
#include "data/connectors/ndjson_reader.h"

namespace runink::connectors {

namespace {

// Puts the open column where the schema wants it.
class OpenColumnReader final : public RecordReader {
 public:
  OpenColumnReader(std::unique_ptr<RecordReader> reader, columnar::SchemaPtr schema, size_t at)
      : reader_(std::move(reader)), schema_(std::move(schema)), at_(at) {}
  Result<ChunkReport> parse(const ChunkPtr& chunk, const BatchCallback& callback) override {
    ChunkReport report = RUNINK_TRY(reader_->parse(chunk, [&](columnar::Batch&& batch) {
      batch.schema = schema_;
      std::rotate(batch.columns.begin() + static_cast<long>(at_), batch.columns.end() - 1, batch.columns.end());
      return callback(std::move(batch));
    }));
    for (auto& bad : report.undecodable) move_behind(&bad.field);
    return report;
  }
  Result<Reread> reread(const ChunkPtr& chunk, std::span<const UndecodableRecord> bad) override {
    Reread out = RUNINK_TRY(reader_->reread(chunk, bad));
    if (out.rows.rows > 0) {
      out.rows.schema = schema_;
      std::rotate(out.rows.columns.begin() + static_cast<long>(at_), out.rows.columns.end() - 1, out.rows.columns.end());
    }
    for (auto& record : out.records) {
      for (int32_t& column : record.unread) move_behind(&column);
      for (auto& bad : record.errors) move_behind(&bad.field);
    }
    return out;
  }
  const columnar::SchemaPtr& output_schema() const override { return schema_; }

 private:
  void move_behind(int32_t* column) const { *column += *column >= static_cast<int32_t>(at_) ? 1 : 0; }

  std::unique_ptr<RecordReader> reader_;
  columnar::SchemaPtr schema_;
  size_t at_;
};

}  // namespace

Result<std::unique_ptr<RecordReader>> make_record_reader(const ReaderOptions& options) {
  if (const int open = columnar::open_column(*options.schema); open >= 0) {
    const auto at = static_cast<size_t>(open);
    ReaderOptions inner = options;
    std::vector<columnar::Field> fields = options.schema->fields();
    fields.erase(fields.begin() + open);
    if (at < inner.fields.size()) inner.fields.erase(inner.fields.begin() + open);
    inner.schema = std::make_shared<const columnar::Schema>(std::move(fields));
    inner.open = true;
    return std::unique_ptr<RecordReader>(
        new OpenColumnReader(RUNINK_TRY(make_record_reader(inner)), options.schema, at));
  }
  switch (options.format) {
    case DataFormat::kNdjson:
      return std::unique_ptr<RecordReader>(RUNINK_TRY(NdjsonReader::make(options)));
    case DataFormat::kCsv:
      return std::unique_ptr<RecordReader>(RUNINK_TRY(CsvReader::make(options)));
    case DataFormat::kArrow:
      break;
  }
  return invalid_argument("Arrow streams are read by open_arrow_source");
}

}  // namespace runink::connectors
