#include "client/cli/text_width.h"

#include <utf8proc.h>

#include "base/text.h"

namespace runink::cli {
namespace {

// Decodes one code point; an invalid byte is taken alone and is one column wide, as U+FFFD would be.
size_t next_code_point(std::string_view text, size_t offset, int* width) {
  utf8proc_int32_t code_point = -1;
  utf8proc_ssize_t length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + offset),
                                             static_cast<utf8proc_ssize_t>(text.size() - offset), &code_point);
  if (length <= 0) {
    *width = 1;
    return 1;
  }
  *width = utf8proc_charwidth(code_point);
  return static_cast<size_t>(length);
}

}  // namespace

int display_width(std::string_view text) {
  int total = 0, width = 0;
  for (size_t i = 0; i < text.size();) {
    i += next_code_point(text, i, &width);
    total += width;
  }
  return total;
}

std::string cut_to_width(std::string_view text, int width) {
  if (display_width(text) <= width) return std::string(text);
  if (width <= 0) return "";
  int total = 0, one = 0;
  size_t i = 0;
  while (i < text.size()) {
    size_t length = next_code_point(text, i, &one);
    if (total + one > width - 1) break;
    total += one;
    i += length;
  }
  return std::string(text.substr(0, i)) + "…";
}

std::string pad_to_width(std::string_view text, int width, bool right) {
  int missing = width - display_width(text);
  std::string spaces(missing > 0 ? static_cast<size_t>(missing) : 0, ' ');
  return right ? spaces + std::string(text) : std::string(text) + spaces;
}

std::string wrap_text(std::string_view text, int width, int indent) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  std::string out;
  for (std::string_view line : split(text, '\n')) {
    if (trim(line).empty()) {
      out += "\n";
      continue;
    }
    // A line that is indented is an example: kept as it is.
    if (line[0] == ' ') {
      out += margin + std::string(line) + "\n";
      continue;
    }
    std::string current;
    for (std::string_view word : split(line, ' ')) {
      if (word.empty()) continue;
      if (!current.empty() && indent + display_width(current) + 1 + display_width(word) > width) {
        out += margin + current + "\n";
        current.clear();
      }
      if (!current.empty()) current += ' ';
      current += word;
    }
    out += margin + current + "\n";
  }
  return out;
}

}  // namespace runink::cli
