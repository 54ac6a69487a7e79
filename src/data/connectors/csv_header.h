// The header of a CSV file, read before anything else of it is: what a sink that adds to the file, or writes the columns
// that its sources have beyond their contracts, must know.
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

// Whether the (unpacked) file holds something and does not end with a line break. A compressed file is read to its end.
Result<bool> lacks_final_line_break(const std::string& path, Compression compression);

}  // namespace runink::connectors
