#include "data/connectors/csv_header.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "data/connectors/csv_reader.h"
#include "data/connectors/source.h"
#include "platform/os/file.h"

namespace runink::connectors {

Result<std::vector<std::string>> read_csv_header(const std::string& path, Compression compression,
                                                 const CsvDialect& dialect) {
  RUNINK_RETURN_IF_ERROR(validate(dialect));
  ChunkOptions options;
  options.format = DataFormat::kCsv;
  options.csv = dialect;
  options.csv.header = true;
  options.chunk_bytes = size_t{64} << 10;
  auto files = std::make_shared<SourceFiles>();
  auto chunks =
      make_memory_chunk_source(path, RUNINK_TRY(open_file_source(path, compression)), options, files);
  std::vector<std::string> out;
  if (RUNINK_TRY(chunks->next()) == nullptr) return out;
  std::string_view header = files->file(0).header;
  while (!header.empty() && (header.back() == '\n' || header.back() == '\r')) header.remove_suffix(1);
  if (header.empty()) return out;
  std::vector<CsvCell> cells;
  std::string scratch;
  if (const auto fault = split_csv_record(header, options.csv, files->file(0).lone_cr, scratch, &cells)) {
    return invalid_argument("{}: its first line cannot be read as CSV: {}", path, undecodable_name(fault->reason));
  }
  for (const CsvCell& cell : cells) out.emplace_back(trim(cell.text));
  return out;
}

Result<CsvEnding> read_csv_ending(const std::string& path, Compression compression, const CsvDialect& dialect) {
  RUNINK_RETURN_IF_ERROR(validate(dialect));
  ChunkOptions options;
  options.format = DataFormat::kCsv;
  options.csv = dialect;
  options.csv.header = false;
  auto files = std::make_shared<SourceFiles>();
  auto chunks = make_memory_chunk_source(path, RUNINK_TRY(open_file_source(path, compression)), options, files);
  CsvEnding out;
  ChunkPtr last;
  uint64_t line = 1;  // of the last chunk
  for (;;) {
    ChunkPtr next = RUNINK_TRY(chunks->next());
    if (next == nullptr) break;
    if (last != nullptr) line += static_cast<uint64_t>(std::count(last->bytes.begin(), last->bytes.end(), '\n'));
    last = std::move(next);
    if (out.any_break) continue;
    const CsvRecord first = next_csv_record(last->bytes, dialect, files->file(0).lone_cr);
    out.any_break = first.break_length > 0;
    out.crlf = first.break_length == 2;
  }
  if (last == nullptr || last->bytes.empty()) return out;
  // Chunks end where records do, so only the last one can end elsewhere.
  CsvRecord record;
  std::string_view rest = last->bytes;
  for (; !rest.empty(); rest.remove_prefix(record.length + record.break_length)) {
    record = next_csv_record(rest, dialect, files->file(0).lone_cr);
    if (!record.open_quote) continue;
    const size_t at = static_cast<size_t>(rest.data() - last->bytes.data()) + record.quote_at;
    out.open_quote = true;
    out.open_line = line + static_cast<uint64_t>(std::count(last->bytes.begin(), last->bytes.begin() + at, '\n'));
  }
  out.final_break = record.break_length > 0;
  return out;
}

Result<bool> lacks_final_line_break(const std::string& path, Compression compression) {
  char last = '\n';
  if (compression == Compression::kNone) {
    const os::Fd fd = RUNINK_TRY(os::open_file(path));
    const uint64_t size = RUNINK_TRY(os::file_info(fd)).size;
    if (size == 0) return false;
    if (::pread(fd.get(), &last, 1, static_cast<off_t>(size - 1)) != 1) return from_errno(errno, "read " + path);
    return last != '\n';
  }
  auto bytes = RUNINK_TRY(open_file_source(path, compression));
  std::string buffer(size_t{256} << 10, '\0');
  while (true) {
    const size_t got = RUNINK_TRY(bytes->read(buffer.data(), buffer.size()));
    if (got > 0) last = buffer[got - 1];
    if (got < buffer.size()) return last != '\n';
  }
}

}  // namespace runink::connectors
