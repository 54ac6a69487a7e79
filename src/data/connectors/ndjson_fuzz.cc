// Fuzz target: any bytes as NDJSON. The hot loops, the general code and any cutting into chunks must agree; what is
// read must be written so that it reads back the same; every byte is in a record, a bad record, or blank.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "data/connectors/reading_for_test.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace runink;
  using namespace runink::connectors;
  using columnar::DataType;
  using columnar::TypeId;
  static const ReaderOptions options = [] {
    ReaderOptions made = reader_options(
        {make_field("date", TypeId::kTimestamp, "%Y/%m/%d %H:%M"), make_field("delay", TypeId::kInt16),
         make_field("ratio", TypeId::kFloat64), make_field("origin", TypeId::kString),
         make_field("tags", DataType::list(TypeId::kString)), make_field("billing.city", TypeId::kString),
         make_field("ok", TypeId::kBool), make_field("any", TypeId::kJson)});
    made.fields[1].coerce = true;
    made.open = true;
    return made;
  }();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ReadBack general = read_back(text, options, 1 << 19, &no_loops());
  const hot::Loops* levels[3];
  const size_t count = hot::all_loops(levels, 3);
  for (size_t i = 0; i < count; ++i) {
    if (!read_back(text, options, 1 << 19, levels[i]).same_data(general)) std::abort();
  }
  if (!read_back(text, options, 1 + size % 97).same_data(general)) std::abort();
  if (general.records != general.rows.size() + general.bad.size()) std::abort();
  std::string again;
  for (const std::string& row : general.rows) again += row + "\n";
  const ReadBack second = read_back(again, options);
  if (second.rows != general.rows) std::abort();
  return 0;
}
