// Spill files: our own batches, on disk for a while, as fast as the disk goes. Used by sort, join, group and spools; not
// a format to publish: a file is read by the process (or the build) that wrote it.
//
// A file begins with magic, version and a hash of the schema; each batch has a header with its sizes and an XXH3
// checksum, verified when read (a mismatch is kDataLoss). The origin of rows is kept (in kept form; one in chunk form is
// materialised on the way, so see materialise_origin() for line numbers).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "data/columnar/batch.h"

namespace runink::columnar {

class SpillWriter {
 public:
  // Writes to the descriptor from its present position; the caller owns it.
  SpillWriter(int fd, SchemaPtr schema);
  ~SpillWriter();
  SpillWriter(SpillWriter&&) noexcept;
  SpillWriter& operator=(SpillWriter&&) noexcept;

  Status write(const Batch& batch, bool lines_known = true);
  // Writes what is still buffered (and the file's head, if there was no batch). Needed before reading.
  Status flush();
  uint64_t bytes_written() const;  // the head included
  uint64_t rows_written() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class SpillReader {
 public:
  // Reads what one writer wrote, from `position` where it began up to `end` or the end of the file, with pread, so that
  // several readers may share a descriptor and several writers' runs may lie in one file. The caller owns it.
  SpillReader(int fd, SchemaPtr schema, uint64_t position = 0, uint64_t end = UINT64_MAX);
  ~SpillReader();
  SpillReader(SpillReader&&) noexcept;
  SpillReader& operator=(SpillReader&&) noexcept;

  // The next batch as it was written, or nothing at the end.
  Result<std::optional<Batch>> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same encoding in memory (spools, tests).
void spill_encode(const Batch& batch, std::string& out, bool lines_known = true);  // appends
Result<Batch> spill_decode(std::string_view bytes, const SchemaPtr& schema, size_t* consumed = nullptr);

}  // namespace runink::columnar
