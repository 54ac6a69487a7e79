#include "data/connectors/record_reader.h"

#include "data/connectors/csv_reader.h"
#include "data/connectors/ndjson_reader.h"

namespace runink::connectors {

Result<std::unique_ptr<RecordReader>> make_record_reader(const ReaderOptions& options) {
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
