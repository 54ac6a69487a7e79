// Sources: bytes of files, standard input and programs, cut into chunks at record borders.
//
// ByteSource reads one stream of (decompressed) bytes. ChunkSource reads an ordered list of them and hands out numbered
// chunks to any number of workers. Where chunks begin and end depends on the bytes only, never on threads or timing; but
// where a pipe's writer pauses, the records that are there go on their way (`tail -f log | runi run …`).
//
// A regular file's size and modification time when opened are its contract: when the end is reached and either has
// changed, reading fails with kDataLoss ("changed while it was read"), since records may be torn or mixed.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "data/columnar/batch.h"
#include "data/connectors/csv_dialect.h"
#include "data/connectors/locator.h"

namespace runink::connectors {

using columnar::InputChunk;
using ChunkPtr = std::shared_ptr<const InputChunk>;

// One thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills the buffer as far as there are bytes: fewer than `size` only at the end (then again 0).
  virtual Result<size_t> read(char* buffer, size_t size) = 0;
  // Like read, but where a pipe's writer pauses it returns what is there, at least one byte, and sets `paused`.
  virtual Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) {
    *paused = false;
    return read(buffer, size);
  }
  // What has been read of the underlying file or pipe (before decompression), for progress.
  virtual uint64_t raw_bytes() const = 0;
  // Its size, 0 where that cannot be known.
  virtual uint64_t raw_size() const { return 0; }
};

// Errors name the path: kNotFound, kPermissionDenied, kInvalidArgument for a folder. `stop` (may be null) ends a wait
// for a pipe with kCancelled, kind "run.interrupted".
Result<std::unique_ptr<ByteSource>> open_file_source(const std::string& path, Compression compression,
                                                     const StopFlag* stop = nullptr);
// Takes over descriptor 0 (which stays open).
Result<std::unique_ptr<ByteSource>> open_standard_input(Compression compression, const StopFlag* stop = nullptr);
// The same with the compression recognised by its first bytes, whatever the name says; "-" is standard input.
Result<std::unique_ptr<ByteSource>> open_unpacked(const std::string& path, const StopFlag* stop = nullptr);
// Started at once, in a process group of its own; ended with all its children when the source is destroyed. Reading to
// the end fails if the program failed (exit code other than 0, signal), with its last lines of standard error.
Result<std::unique_ptr<ByteSource>> open_program(const std::vector<std::string>& command,
                                                 const std::string& working_directory, Compression compression,
                                                 const StopFlag* stop = nullptr, const ProgramWords& words = {});
// The bytes given, for tests; `piece` is the most that one internal read delivers.
std::unique_ptr<ByteSource> make_memory_source(std::string bytes, Compression compression = Compression::kNone,
                                               size_t piece = SIZE_MAX);
// The compression is recognised by its magic bytes where a caller has no extension to go by.
Compression detect_compression(std::string_view first_bytes);

// What is known of one file of a ChunkSource. Set before the first chunk of the file is handed out, then constant.
struct SourceFile {
  std::string name;            // path, "-" or the command line
  uint64_t data_position = 0;  // offset of the first byte after a byte order mark
  std::string header;          // CSV: the header record with its line break
  bool lone_cr = false;        // CSV: records end with a lone CR in this file
};

// The files of all sources of a run, so that one number (InputChunk::source) names a file. Thread-safe; entries never
// move.
class SourceFiles {
 public:
  uint32_t add(std::string name);
  const SourceFile& file(uint32_t source) const;
  SourceFile& mutable_file(uint32_t source);
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<SourceFile>> files_;
};

struct ChunkOptions {
  DataFormat format = DataFormat::kNdjson;
  CsvDialect csv;
  size_t chunk_bytes = size_t{512} << 10;       // aim; a chunk grows for a longer record
  size_t max_record_bytes = size_t{128} << 20;  // a longer record fails the source, naming its offset
  const StopFlag* stop = nullptr;               // requested: next() returns kCancelled, kind "run.interrupted"
};

// Every record ends where the text format says (NDJSON: LF; CSV: LF, CRLF, or lone CR where the file uses that, outside
// quotes; Arrow: one record batch with the dictionaries it needs per chunk). A chunk never spans two files. The last
// record of a file needs no line break. A UTF-8 byte order mark is skipped; UTF-16 and UTF-32 are refused by name.
//
// For chunks of a file after the first, InputChunk::first_line is 0 until code that runs in chunk order sets it to the
// first_line + line_count of the chunk before; for the first it is 1.
class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  // Thread-safe. Null at the end. After an error every call returns that error.
  virtual Result<ChunkPtr> next() = 0;
  virtual uint64_t raw_bytes() const = 0;      // read so far, before decompression; thread-safe
  virtual uint64_t raw_size() const = 0;       // of all files; 0 where it cannot be known
  virtual uint64_t decoded_bytes() const = 0;  // read so far, after decompression; thread-safe
};

// Opens the first file at once (so that a missing file is said before anything runs) and starts the program, if it is
// one, in the calling thread. Adds the files to `files`.
Result<std::unique_ptr<ChunkSource>> open_chunk_source(const Locator& locator, const ChunkOptions& options,
                                                       std::shared_ptr<SourceFiles> files);
// Over given bytes, as one file; for tests, golden cases and scenarios that feed each other.
std::unique_ptr<ChunkSource> make_memory_chunk_source(std::string name, std::unique_ptr<ByteSource> bytes,
                                                      const ChunkOptions& options, std::shared_ptr<SourceFiles> files);

}  // namespace runink::connectors
