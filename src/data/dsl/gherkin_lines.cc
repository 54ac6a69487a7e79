#include "data/dsl/gherkin_lines.h"

namespace runink::dsl {
namespace {

unsigned char byte_at(std::string_view text, size_t index) { return static_cast<unsigned char>(text[index]); }

// U+1680, U+2000…200A, U+2028, U+2029, U+202F, U+205F, U+3000, U+FEFF: the white space of three bytes.
bool is_wide_space(unsigned char a, unsigned char b, unsigned char c) {
  if (a == 0xE1) return b == 0x9A && c == 0x80;
  if (a == 0xE2)
    return (b == 0x80 && ((c >= 0x80 && c <= 0x8A) || c == 0xA8 || c == 0xA9 || c == 0xAF)) || (b == 0x81 && c == 0x9F);
  if (a == 0xE3) return b == 0x80 && c == 0x80;
  return a == 0xEF && b == 0xBB && c == 0xBF;
}

bool is_ascii_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Table cells are trimmed of fewer characters than lines: of blanks, tabs, VT, FF, CR, U+0085 and U+00A0.
size_t cell_space_length(std::string_view text) {
  if (text.empty()) return 0;
  const unsigned char c = byte_at(text, 0);
  if (c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r') return 1;
  if (c == 0xC2 && text.size() > 1 && (byte_at(text, 1) == 0x85 || byte_at(text, 1) == 0xA0)) return 2;
  return 0;
}

std::string unescape_cell(std::string_view raw) {
  std::string value;
  value.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      value += raw[i];
      continue;
    }
    ++i;
    if (raw[i] == 'n') {
      value += '\n';
    } else {
      if (raw[i] != '|' && raw[i] != '\\') value += '\\';
      value += raw[i];
    }
  }
  return value;
}

}  // namespace

size_t space_length(std::string_view text) {
  if (text.empty()) return 0;
  const unsigned char c = byte_at(text, 0);
  if (c < 0x80) return is_ascii_space(c) ? 1 : 0;
  if (c == 0xC2) return text.size() > 1 && byte_at(text, 1) == 0xA0 ? 2 : 0;
  return text.size() > 2 && is_wide_space(c, byte_at(text, 1), byte_at(text, 2)) ? 3 : 0;
}

std::string_view trim_left(std::string_view text) {
  while (const size_t length = space_length(text)) text.remove_prefix(length);
  return text;
}

std::string_view trim_right(std::string_view text) {
  while (!text.empty()) {
    const size_t n = text.size();
    if (is_ascii_space(byte_at(text, n - 1))) {
      text.remove_suffix(1);
    } else if (n >= 2 && byte_at(text, n - 2) == 0xC2 && byte_at(text, n - 1) == 0xA0) {
      text.remove_suffix(2);
    } else if (n >= 3 && is_wide_space(byte_at(text, n - 3), byte_at(text, n - 2), byte_at(text, n - 1))) {
      text.remove_suffix(3);
    } else {
      break;
    }
  }
  return text;
}

size_t count_utf16(std::string_view text) {
  size_t units = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80) units += byte >= 0xF0 ? 2 : 1;
  }
  return units;
}

LineReader::LineReader(const SourceText& source) : text_(source.text()) {
  const size_t last_break = text_.rfind('\n');
  const size_t last_line = last_break == std::string_view::npos ? 0 : last_break + 1;
  end_ = trim_left(text_.substr(last_line)).empty() ? last_line : text_.size();
}

Line LineReader::next() {
  Line line;
  line.number = number_ + 1;
  if (position_ >= end_) {
    line.offset = text_.size();
    line.eof = true;
    return line;
  }
  line.offset = position_;
  size_t stop = text_.substr(0, end_).find('\n', position_);
  if (stop == std::string_view::npos) {
    stop = end_;
    position_ = end_;
  } else {
    position_ = stop + 1;
    if (stop > line.offset && text_[stop - 1] == '\r') --stop;
  }
  number_ = line.number;
  line.text = text_.substr(line.offset, stop - line.offset);
  std::string_view rest = line.text;
  while (const size_t length = space_length(rest)) {
    rest.remove_prefix(length);
    ++line.indent;
  }
  line.trimmed = rest;
  return line;
}

Line LineReader::skip_to(size_t offset) {
  Line line = next();
  while (!line.eof && position_ <= offset && position_ < end_) line = next();
  return line;
}

std::vector<TableCell> split_cells(const Line& line) {
  std::vector<TableCell> cells;
  const std::string_view text = line.trimmed;
  size_t start = 0;           // of the cell being read
  uint32_t start_column = 0;  // UTF-16 units before it
  uint32_t column = 0;        // UTF-16 units before `i`
  bool first = true;          // what stands before the first '|' is no cell
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = byte_at(text, i);
    if ((byte & 0xC0) != 0x80) column += byte >= 0xF0 ? 2 : 1;
    if (byte == '\\' && i + 1 < text.size() && byte_at(text, i + 1) < 0x80) {
      ++i;
      ++column;
    } else if (byte == '|') {
      if (!first) {
        std::string_view raw = text.substr(start, i - start);
        uint32_t skipped = 0;
        while (const size_t length = cell_space_length(raw)) {
          raw.remove_prefix(length);
          ++skipped;
        }
        while (!raw.empty()) {
          const size_t n = raw.size();
          if (cell_space_length(raw.substr(n - 1)) == 1) {
            raw.remove_suffix(1);
          } else if (n >= 2 && cell_space_length(raw.substr(n - 2)) == 2) {
            raw.remove_suffix(2);
          } else {
            break;
          }
        }
        TableCell cell;
        cell.value = unescape_cell(raw);
        cell.place = {line.number,
                      line.indent + start_column + 1 + skipped,
                      {line.trimmed_offset() + static_cast<size_t>(raw.data() - text.data()), raw.size()}};
        cells.push_back(std::move(cell));
      }
      first = false;
      start = i + 1;
      start_column = column;
    }
  }
  return cells;
}

}  // namespace runink::dsl
