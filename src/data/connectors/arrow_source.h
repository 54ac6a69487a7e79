// ArrowSource: an Arrow IPC stream or file as a source of batches in the contract's columns.
//
// Columns are matched by name, struct fields flattened to dotted names; a column that the file lacks is null, or an error
// where it is required. Where a type differs only casts that lose nothing are made: between integers, from integers and
// float32 to float64, to decimals with room, text to enum, uuid, json or (with `coerce`) any type that reads the text,
// a date to a timestamp. Any other difference is an error that names the column and both types. A value that such a cast
// cannot take (300 for int8, an unknown label) makes its row undecodable, and so does one that no text format could say
// (NaN, an infinity, a year outside 0001 to 9999), a time finer than a microsecond, and text that is not UTF-8, where the
// contract names the column or leaves it open. Of columns that are not read it does not matter.
//
// Rows have no original bytes. Their origin has a record number where text has a byte offset, counted in the file from 0,
// and a length of 0; what stands in for the bytes of an undecodable one is its JSON.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/columnar/batch.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/source.h"

namespace runink::connectors {

struct ArrowPiece {
  std::optional<columnar::Batch> batch;  // nothing if no row was decodable; with origin if the options say so
  ChunkReport report;                    // offset and line of an undecodable record: its number in the piece
  struct Undecodable {
    std::string record;               // all its columns, as JSON; what does not fit as IpcMisfits has it
    std::vector<std::string> values;  // those that could not be taken, as JSON, in the order of `again`'s errors
  };
  std::vector<Undecodable> undecodable;  // one each, in the order of the report
  Reread again;                          // all that is wrong with them, and their other fields
  ChunkPtr chunk;                        // position: records of the file before it; its bytes mean nothing
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
