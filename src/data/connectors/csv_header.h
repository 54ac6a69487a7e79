// The header of a CSV file, and how the file ends: what a sink that adds to it, or writes the columns that its sources
// have beyond their contracts, must know before.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "data/connectors/csv_dialect.h"
#include "data/connectors/locator.h"

namespace runink::connectors {

// The cells of the first record (blank lines and comments left out), whether the dialect says that it is a header or not;
// none where the file holds no record. Errors are those of opening, reading and decompressing, and of a record that is
// not CSV in this dialect.
Result<std::vector<std::string>> read_csv_header(const std::string& path, Compression compression,
                                                 const CsvDialect& dialect);

// How the records of a file end.
struct CsvEnding {
  bool open_quote = false;   // the last one ends inside quotes, which began at open_line (from 1)
  uint64_t open_line = 0;
  bool final_break = true;   // a line break stands behind the last record, or there is none
  bool any_break = false;    // some record has a line break behind it,
  bool crlf = false;         // and the first of these has CR LF
};
// Reads the whole file. Errors are those of opening, reading and decompressing, and of a record that is too long.
Result<CsvEnding> read_csv_ending(const std::string& path, Compression compression, const CsvDialect& dialect);

// Whether the (unpacked) file holds something and does not end with a line feed. A compressed file is read to its end.
Result<bool> lacks_final_line_break(const std::string& path, Compression compression);

}  // namespace runink::connectors
