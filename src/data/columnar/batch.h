// Batch: some rows as columns, with where each row came from.
//
// A batch has at most kBatchRows rows (a reader may make fewer). It is a value; moving it is cheap. Batches of one edge
// share one Schema object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/columnar/column.h"

namespace runink::columnar {

inline constexpr int64_t kBatchRows = 2048;

// A piece of a source's bytes that rows point into: the unit of parallel work ("morsel"). It lives as long as any batch
// refers to it.
struct InputChunk {
  uint32_t source = 0;          // index of the source file in the run (see SourceNames of the engine)
  uint64_t sequence = 0;        // order among all chunks of the pipeline
  uint64_t position = 0;        // byte offset of the first byte in the (decompressed) source
  std::string_view bytes;       // followed by at least 64 readable bytes
  std::shared_ptr<void> owner;  // keeps `bytes` alive
  // Line number of the first byte, counted from 1. Known only once all chunks before this one have been parsed, so it
  // is set, and may be read, only in code that runs in chunk order (behind a turnstile).
  mutable uint64_t first_line = 0;
  mutable uint64_t line_count = 0;  // line breaks in `bytes`, set by the reader
};

// Per row: which bytes it was read from. Rows made by grouping have no origin. Two forms: a view into a chunk
// (`chunk` set; offsets are relative to it; lines are counted from 0 inside the chunk), or materialised by an operator
// that outlives chunks, such as sort (`chunk` empty; bytes are kept in `kept`, positions and lines are absolute).
struct RowOrigin {
  std::shared_ptr<const InputChunk> chunk;
  std::vector<uint32_t> offset;   // into chunk->bytes or `kept`
  std::vector<uint32_t> length;   // of the record without its line break
  std::vector<uint32_t> line;     // relative line (chunk form)
  // One flag per row: the record's text holds exactly the schema's fields, in order, once each, nothing else, so a sink
  // may copy the text instead of formatting the columns. Empty means none do.
  std::vector<uint8_t> verbatim;

  std::vector<uint32_t> source_of;      // materialised form only
  std::vector<uint64_t> position_of;
  std::vector<uint64_t> line_of;
  std::string kept;

  size_t rows() const { return offset.size(); }
  std::string_view bytes(int64_t row) const {
    const auto r = static_cast<size_t>(row);
    const std::string_view all = chunk ? chunk->bytes : std::string_view(kept);
    return all.substr(offset[r], length[r]);
  }
  uint32_t source(int64_t row) const { return chunk ? chunk->source : source_of[static_cast<size_t>(row)]; }
  uint64_t position(int64_t row) const {
    const auto r = static_cast<size_t>(row);
    return chunk ? chunk->position + offset[r] : position_of[r];
  }
  // In chunk form only behind a turnstile (see InputChunk::first_line).
  uint64_t line_number(int64_t row) const {
    const auto r = static_cast<size_t>(row);
    return chunk ? chunk->first_line + line[r] : line_of[r];
  }
};
using RowOriginPtr = std::shared_ptr<const RowOrigin>;

struct Batch {
  SchemaPtr schema;
  int64_t rows = 0;
  std::vector<Column> columns;  // one per schema field
  RowOriginPtr origin;          // may be null

  size_t byte_size() const {
    size_t total = sizeof(Batch);
    for (const auto& c : columns) total += c.byte_size();
    return total;
  }
};

}  // namespace runink::columnar
