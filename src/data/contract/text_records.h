// Records of plain NDJSON and CSV text, one at a time, for inference and redaction. Internal: runs read files through
// the connectors, which are fast and careful; this reads samples.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::contract {

// Reads up to `size` bytes to `into`: fewer only at the end.
using ByteReader = std::function<Result<size_t>(char* into, size_t size)>;

Result<ByteReader> read_plain_file(const std::string& path);

class RecordFile {
 public:
  // `quoted`: line breaks inside "…" do not end a record (CSV).
  static Result<RecordFile> open(const std::string& path, bool quoted);
  // Records of any bytes; `name` is what messages call them.
  static Result<RecordFile> read(std::string name, ByteReader bytes, bool quoted);

  // The next record without its line break (LF or CRLF; a byte order mark is dropped); false at the end. A record over
  // 256 MiB is kResourceExhausted.
  Result<bool> next(std::string& record);
  uint64_t line() const { return line_; }  // of the record last read, counted from 1

 private:
  Status fill();
  std::string path_;
  ByteReader bytes_;
  std::string buffer_;
  size_t at_ = 0;
  bool quoted_ = false, ended_ = false;
  uint64_t line_ = 0, next_line_ = 1;
};

struct CsvCell {
  std::string text;
  bool quoted = false;
  size_t begin = 0, end = 0;  // its bytes in the record, quotes included
};
// False when quotes do not match.
bool split_csv(std::string_view record, char separator, std::vector<CsvCell>& cells);

}  // namespace runink::contract
