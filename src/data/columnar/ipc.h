// Arrow IPC streams (https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc):
// how batches leave for and arrive from other programs, and pass between slices. Little endian, metadata version 5.
//
// How our types appear (and are recognised again):
//   bool, integers, floats, decimal(p,s) → decimal128, string → utf8, bytes → binary, date → date32, list, struct, null
//   time → time64[us]    timestamp → timestamp[us, UTC]    duration → duration[us]
//   json → utf8 with extension "arrow.json"                uuid → fixed_size_binary(16) with extension "arrow.uuid"
//   enum → dictionary<int32, utf8>, labels also in the field's metadata "runink.enum" (a JSON array)
//   Field::format and zone → field metadata "runink.format", "runink.zone"
//
// The reader also takes what other writers make: large_utf8, large_binary, large_list, fixed_size_list, fixed_size_binary
// (bytes), map (list of key/value structs), timestamps in s, ms, ns (ns that are no whole microseconds do not fit),
// date64, time32, time64[ns], durations in other units, dictionaries of any type with any index (without "runink.enum"
// they come out as plain values), zstd and lz4 compressed buffers, and the file format. A timestamp without a time zone
// is taken as UTC. What it cannot represent (float16, decimal256, intervals, unions, run-end encoding, views) is an error
// that names the field.
//
// Input is untrusted: every offset and length is checked against the message, text is checked to be UTF-8, sizes and
// nesting are bounded.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "data/columnar/batch.h"

namespace runink::columnar {

// Takes the next bytes of the stream, in order.
using IpcSink = std::function<Status(std::string_view)>;
// Reads up to `size` bytes to `into`; how many it read; 0 is the end.
using IpcPull = std::function<Result<size_t>(char* into, size_t size)>;

struct IpcWriteOptions {
  bool zstd = false;  // compress buffers
};

class IpcWriter {
 public:
  IpcWriter(SchemaPtr schema, IpcSink sink, IpcWriteOptions options = {});
  ~IpcWriter();
  IpcWriter(IpcWriter&&) noexcept;
  IpcWriter& operator=(IpcWriter&&) noexcept;

  // Schema and dictionaries. Written by itself before the first batch, or by finish(), if not called.
  Status write_schema();
  Status write_batch(const Batch& batch);  // of the writer's schema
  Status finish();                         // the end-of-stream mark

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct IpcReadLimits {
  size_t message_bytes_max = size_t{1} << 30;  // of one message (after decompression as well)
  int depth_max = 16;                          // nesting of types
  size_t fields_max = 10000;
  int64_t rows_max = kBatchRows;               // larger record batches are cut into several
};

// Values of a batch that our types cannot hold, or that no text format could say again: for readers that refuse a record
// for them and not the stream. Something harmless stands in the batch in their place.
struct IpcMisfits {
  enum class Why : uint8_t {
    kNotUtf8,
    kNotJson,     // text of the extension arrow.json
    kTooFine,     // finer than a microsecond (of a date: than a day)
    kOutOfRange,  // a year outside 0001 to 9999, no time of day, more digits than the type has
    kNotFinite,   // NaN and the infinities
    kNoLabel,     // of an enum
  };
  struct Entry {
    int64_t raw = 0;  // by `why`: a count of the stream's own unit, the sign of an infinity, or a place in `texts`
    int32_t row = 0;
    uint32_t column = 0;
    Why why = Why::kNotUtf8;
    bool in_texts = false;
    bool in_list = false;  // an element, or a part of one, of the list that the column holds
  };
  std::vector<Entry> entries;  // by row, then column
  std::vector<std::string> texts;  // JSON
  // The value in JSON, such that no reader takes it for a value of the column: "NaN", the count, {"base64":"…"}.
  std::string json(const Entry& entry) const;
};

class IpcReader {
 public:
  explicit IpcReader(IpcPull pull, IpcReadLimits limits = {});
  ~IpcReader();
  IpcReader(IpcReader&&) noexcept;
  IpcReader& operator=(IpcReader&&) noexcept;

  // Reads as far as the schema. May be called again.
  Result<SchemaPtr> schema();
  // The next batch (never of 0 rows), or nothing at the end. A stream that ends without its end mark between two
  // messages is complete, as the format has it; inside a message it is kDataLoss.
  // A value that does not fit is an error (without the value), or, where `misfits` is not null, one of these; then so are
  // values of floats and times that only text formats cannot say.
  Result<std::optional<Batch>> next(IpcMisfits* misfits = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// In memory.
Result<std::string> ipc_encode(const SchemaPtr& schema, const std::vector<Batch>& batches, IpcWriteOptions options = {});
Result<std::vector<Batch>> ipc_decode(std::string_view bytes, IpcReadLimits limits = {});

}  // namespace runink::columnar
