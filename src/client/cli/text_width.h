// Text measured, cut and wrapped by the columns it takes on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace runink::cli {

// Columns that text takes on a terminal (wide characters count two, combining marks none).
int display_width(std::string_view text);
// Cut to at most `width` columns, the last one then being "…".
std::string cut_to_width(std::string_view text, int width);
std::string pad_to_width(std::string_view text, int width, bool right = false);
// Wrapped at spaces; each line indented. Existing line breaks start a new line.
std::string wrap_text(std::string_view text, int width, int indent);

}  // namespace runink::cli
