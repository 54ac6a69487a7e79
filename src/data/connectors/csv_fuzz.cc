// Fuzz target: any bytes as CSV, the first two choosing the dialect. The hot loops, the general code and any cutting
// into chunks must agree, and what is read must be written so that it reads back the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "data/connectors/reading_for_test.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace runink;
  using namespace runink::connectors;
  using columnar::DataType;
  using columnar::TypeId;
  ReaderOptions options =
      reader_options({make_field("id", TypeId::kInt32), make_field("name", TypeId::kString),
                      make_field("ratio", TypeId::kFloat64), make_field("note", DataType::decimal(9, 2))},
                     DataFormat::kCsv);
  const unsigned choice = size > 0 ? data[0] : 255;
  if (choice < 16) {
    options.csv.header = (choice & 1) == 0;
    options.csv.trim = (choice & 2) != 0;
    if ((choice & 4) != 0) options.csv.escape = '\\';
    if ((choice & 8) != 0) options.csv.comment = '#';
    ++data;
    --size;
  }
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ReadBack general = read_back(text, options, 1 << 19, &no_loops());
  const hot::Loops* levels[3];
  const size_t count = hot::all_loops(levels, 3);
  for (size_t i = 0; i < count; ++i) {
    if (!read_back(text, options, 1 << 19, levels[i]).same_data(general)) std::abort();
  }
  if (!read_back(text, options, 1 + size % 97).same_data(general)) std::abort();
  if (general.error.empty() && general.records != general.rows.size() + general.bad.size()) std::abort();
  WriterOptions writing;
  writing.format = DataFormat::kCsv;
  writing.schema = options.schema;
  writing.csv = options.csv;
  auto writer = make_record_writer(writing);
  if (!writer.ok()) std::abort();
  columnar::Buffer out;
  if (!writer.value()->begin(out).ok()) std::abort();
  for (const auto& batch : general.batches) {
    if (!writer.value()->append(batch, out).ok()) std::abort();
  }
  const ReadBack second = read_back(std::string(out.view()), options);
  if (second.rows != general.rows) std::abort();
  return 0;
}
