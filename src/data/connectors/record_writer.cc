#include "data/connectors/record_writer.h"

#include <zlib.h>
#include <zstd.h>

#include <memory>

#include "data/connectors/arrow_writer.h"
#include "data/connectors/csv_writer.h"
#include "data/connectors/ndjson_writer.h"

namespace runink::connectors {

Result<std::unique_ptr<RecordWriter>> make_record_writer(const WriterOptions& options) {
  switch (options.format) {
    case DataFormat::kNdjson:
      RUNINK_RETURN_IF_ERROR(NdjsonWriter::check_names(*options.schema));
      return std::unique_ptr<RecordWriter>(RUNINK_TRY(NdjsonWriter::make(options)));
    case DataFormat::kCsv:
      return std::unique_ptr<RecordWriter>(RUNINK_TRY(CsvWriter::make(options)));
    case DataFormat::kArrow:
      return std::unique_ptr<RecordWriter>(new ArrowWriter(options.schema));
  }
  return internal_error("unknown data format");
}

Status append_json_record(const columnar::Batch& batch, int64_t row, std::string& out) {
  WriterOptions options;
  options.schema = batch.schema;
  auto writer = RUNINK_TRY(NdjsonWriter::make(options));
  columnar::Buffer buffer;
  RUNINK_RETURN_IF_ERROR(writer->append_rows(batch, row, row + 1, buffer));
  out += buffer.view().substr(0, buffer.size() - 1);
  return Status();
}

namespace {

Status gzip(std::string_view bytes, columnar::Buffer& out, int level) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16;
  if (deflateInit2(&stream, level == 0 ? 6 : level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return internal_error("gzip could not be set up");
  }
  const size_t at = out.size();
  // zlib counts in unsigned int; pieces are far below that, whole ones are cut.
  constexpr size_t kStep = size_t{1} << 30;
  size_t taken = 0, written = 0;
  int result = Z_OK;
  out.resize(at + deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64);
  const size_t room = out.size() - at;
  while (result == Z_OK) {
    const size_t in = std::min(kStep, bytes.size() - taken), space = std::min(kStep, room - written);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + taken));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = out.data() + at + written;
    stream.avail_out = static_cast<uInt>(space);
    result = deflate(&stream, taken + in == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    taken += in - stream.avail_in;
    written += space - stream.avail_out;
    if (result == Z_BUF_ERROR) break;
  }
  deflateEnd(&stream);
  if (result != Z_STREAM_END) {
    out.resize(at);
    return internal_error("gzip failed with {}", result);
  }
  out.resize(at + written);
  return Status();
}

Status zstd(std::string_view bytes, columnar::Buffer& out, int level) {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  thread_local std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  const size_t at = out.size();
  const size_t bound = ZSTD_compressBound(bytes.size());
  out.resize(at + bound);
  const size_t size =
      ZSTD_compressCCtx(context.get(), out.data() + at, bound, bytes.data(), bytes.size(), level == 0 ? 3 : level);
  if (ZSTD_isError(size)) {
    out.resize(at);
    return internal_error("zstd: {}", ZSTD_getErrorName(size));
  }
  out.resize(at + size);
  return Status();
}

}  // namespace

Status compress(Compression compression, std::string_view bytes, columnar::Buffer& out, int level) {
  switch (compression) {
    case Compression::kNone:
      out.append(bytes.data(), bytes.size());
      return Status();
    case Compression::kGzip:
      return gzip(bytes, out, level);
    case Compression::kZstd:
      return zstd(bytes, out, level);
  }
  return internal_error("unknown compression");
}

}  // namespace runink::connectors
