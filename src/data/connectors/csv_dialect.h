// How a CSV file is written: RFC 4180 unless told otherwise.
#pragma once

#include <string>

namespace runink::connectors {

// delimiter, quote and escape are single ASCII bytes and differ from each other and from CR and LF (see validate).
struct CsvDialect {
  char delimiter = ',';
  char quote = '"';    // 0: quoting is not known, every byte is data
  char escape = 0;     // 0: a quote inside quotes is doubled; else this byte makes the next one literal inside quotes
  bool header = true;  // first record names the columns; without it columns are in the contract's order
  char comment = 0;    // a record that begins with it is skipped (never in the middle of quotes); 0: none
  std::string null_text;  // an unquoted cell with this text is null, besides the empty unquoted cell
  bool trim = false;      // spaces and tabs around unquoted cells are dropped
  bool crlf = false;      // writers end records with CR LF

  bool operator==(const CsvDialect&) const = default;
};

}  // namespace runink::connectors
