// ArrowSource: an Arrow IPC stream or file as a source of batches in the contract's columns.
//
// Columns are matched by name, struct fields flattened to dotted names. Where a type differs only casts that cannot
// lose anything are made: to wider integers, from integers and float32 to float64, to decimals with room, text to enum,
// uuid, json or (with `coerce`) any type that reads the text. Any other difference is an error that names both types.
// Values that such a cast cannot take (an unknown label) make their row undecodable.
//
// Rows have no original bytes: the undecodable ones are rendered as JSON into `chunk`, which has only those.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "data/columnar/batch.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/source.h"

namespace runink::connectors {

struct ArrowPiece {
  std::optional<columnar::Batch> batch;  // nothing if no row was decodable; no origin
  ChunkReport report;
  ChunkPtr chunk;  // what the report's offsets point into; line counts records of the file from 0
};

// Reading is serial (one thread at a time); decoding an Arrow message is little more than checking it.
class ArrowSource {
 public:
  virtual ~ArrowSource() = default;
  virtual Result<std::optional<ArrowPiece>> next() = 0;
  virtual uint64_t raw_bytes() const = 0;
  virtual uint64_t raw_size() const = 0;
};

Result<std::unique_ptr<ArrowSource>> open_arrow_source(const Locator& locator, const ReaderOptions& options,
                                                       std::shared_ptr<SourceFiles> files,
                                                       const StopFlag* stop = nullptr);
std::unique_ptr<ArrowSource> make_memory_arrow_source(std::string name, std::unique_ptr<ByteSource> bytes,
                                                      const ReaderOptions& options, std::shared_ptr<SourceFiles> files);

}  // namespace runink::connectors
