// Where CSV records end. One exact machine decides; a vector path answers the common case for it (hot.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "data/connectors/csv_dialect.h"

namespace runink::connectors {

Status validate(const CsvDialect& dialect);

// A quote opens only where a cell begins (after blanks, if the dialect trims); inside quotes a quote closes unless it
// is doubled or escaped; anything after the closing quote, up to the delimiter, is as in an unquoted cell. A line that
// begins with the comment byte ends at its line break whatever it holds.
struct CsvRecord {
  size_t length = 0;        // of the record without its line break
  size_t break_length = 0;  // 0: the text ended first
  bool open_quote = false;  // and it did so inside quotes, which began at quote_at
  size_t quote_at = 0;
};
// The record at the beginning of `text`. A CR LF at the very end counts as whole; `lone_cr` makes a CR a line break.
CsvRecord next_csv_record(std::string_view text, const CsvDialect& dialect, bool lone_cr);

// The end of the last complete record in `text`, which begins at the start of one; 0 if there is none.
size_t last_csv_border(std::string_view text, const CsvDialect& dialect, bool lone_cr);

// Whether the file that begins with `text` ends its records with a lone CR: its first line break outside quotes
// decides. Nothing if that cannot be known yet (more is to come, unless `whole`).
std::optional<bool> uses_lone_cr(std::string_view text, const CsvDialect& dialect, bool whole);

}  // namespace runink::connectors
