// Lines of a feature file, cut and measured as the official parser does it: white space is that of JavaScript (it
// counts a byte order mark and no-break spaces), lines end at LF or CRLF, a last line of nothing but white space is
// none. A detail of the parser, not for use outside this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/dsl/gherkin.h"

namespace runink::dsl {

// Bytes of the white space character at the start of `text`; 0 if there is none.
size_t space_length(std::string_view text);
std::string_view trim_left(std::string_view text);
std::string_view trim_right(std::string_view text);
inline std::string_view trim_both(std::string_view text) { return trim_right(trim_left(text)); }
size_t count_utf16(std::string_view text);

struct Line {
  std::string_view text;     // whole, without its line break
  std::string_view trimmed;  // without leading white space
  uint32_t indent = 0;       // white space characters before it
  uint32_t number = 0;       // 1-based; at the end of the text, one more than the last line
  size_t offset = 0;         // of `text` in the source
  bool eof = false;

  bool empty() const { return trimmed.empty(); }
  bool starts_with(std::string_view prefix) const { return trimmed.substr(0, prefix.size()) == prefix; }
  size_t trimmed_offset() const { return offset + (text.size() - trimmed.size()); }
  // Of the trimmed line, without trailing white space.
  Place place() const { return {number, indent + 1, {trimmed_offset(), trim_right(trimmed).size()}}; }
};

class LineReader {
 public:
  explicit LineReader(const SourceText& source);

  Line next();  // past the end: `eof` again and again
  // The line that holds the byte at `offset`, which is at or after the last line read; reading goes on after it.
  Line skip_to(size_t offset);

 private:
  std::string_view text_;
  size_t end_ = 0;       // where the lines end: before the last one if that is all white space
  size_t position_ = 0;  // of the next line
  uint32_t number_ = 0;  // of the last line read
};

// The cells of a line that starts with '|'. What follows the last '|' is none.
std::vector<TableCell> split_cells(const Line& line);

}  // namespace runink::dsl
