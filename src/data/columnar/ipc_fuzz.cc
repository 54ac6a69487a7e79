// Arrow IPC input of any kind: an error or batches whose every value can be shown, keyed, hashed, and written again. Read so
// that what does not fit is told, it gives no fewer batches, and what is told lies in them.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "data/columnar/ipc.h"
#include "data/columnar/row_key.h"
#include "data/columnar/spill.h"
#include "data/columnar/text.h"

using namespace runink;            // NOLINT: one function
using namespace runink::columnar;  // NOLINT

namespace {

size_t read_with_misfits(std::string_view bytes, IpcReadLimits limits) {
  IpcReader reader(
      [&](char* into, size_t size) -> Result<size_t> {
        const size_t count = std::min(size, bytes.size());
        if (count > 0) std::memcpy(into, bytes.data(), count);
        bytes.remove_prefix(count);
        return count;
      },
      limits);
  for (size_t batches = 0;; ++batches) {
    IpcMisfits misfits;
    const auto batch = reader.next(&misfits);
    if (!batch.ok() || !batch->has_value()) return batches;
    std::string text;
    for (size_t i = 0; i < misfits.entries.size(); ++i) {
      const auto& e = misfits.entries[i];
      RUNINK_CHECK(e.row >= 0 && e.row < (*batch)->rows && e.column < (*batch)->columns.size());
      RUNINK_CHECK(i == 0 || misfits.entries[i - 1].row <= e.row);
      RUNINK_CHECK((*batch)->columns[e.column].is_valid(e.row));
      RUNINK_CHECK(is_valid_json(misfits.json(e)));
    }
    for (const Column& column : (*batch)->columns) {
      const FieldText field(column.type);
      for (int64_t row = 0; batches < 50 && row < (*batch)->rows; ++row) {
        text.clear();
        field.append_json(column, row, text);
        RUNINK_CHECK(is_valid_json(text));
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  IpcReadLimits limits;
  limits.message_bytes_max = size_t{8} << 20;
  limits.fields_max = 200;
  limits.rows_max = 100;
  const auto batches = ipc_decode({reinterpret_cast<const char*>(data), size}, limits);
  const size_t told = read_with_misfits({reinterpret_cast<const char*>(data), size}, limits);
  if (!batches.ok()) return 0;
  RUNINK_CHECK(told == batches->size());
  int shown = 0;
  for (const auto& batch : *batches) {
    if (++shown > 50) break;
    RUNINK_CHECK(batch.rows > 0 && batch.columns.size() == batch.schema->size());
    std::string text;
    for (size_t c = 0; c < batch.columns.size(); ++c) {
      const Column& column = batch.columns[c];
      RUNINK_CHECK(column.length == batch.rows && column.type == batch.schema->field(c).type);
      const FieldText field(column.type);
      for (int64_t row = 0; row < batch.rows; ++row) {
        text.clear();
        field.append_json(column, row, text);
        RUNINK_CHECK(is_valid_json(text));
      }
      const Column* const columns[] = {&column};
      RowKeys keys;
      KeyEncoder({{column.type}}).encode(columns, &keys);
      std::vector<uint64_t> hashes(static_cast<size_t>(batch.rows));
      hash_rows(columns, batch.rows, hashes.data());
    }
    std::string spilled;
    spill_encode(batch, spilled);
    RUNINK_CHECK(spill_decode(spilled, batch.schema).ok());
    const auto again = ipc_encode(batch.schema, {batch});
    RUNINK_CHECK(again.ok());
    RUNINK_CHECK(ipc_decode(*again).ok());
  }
  return 0;
}
