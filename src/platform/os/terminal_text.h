// Data on its way to a terminal.
//
// A terminal obeys control bytes: data could move the cursor, hide lines, or have the terminal type answers. So what a
// command writes of data passes through here where its output is a terminal; to pipes and files it goes as it is.
#pragma once

#include <string>
#include <string_view>

namespace runink::os {

// Of a stream of bytes, piece by piece, what a terminal may be given: UTF-8 text, line breaks and tabs as they are, other
// control characters (C0, DEL, C1) as \u001b, bytes that are not UTF-8 as \x9b. One thread at a time.
class TerminalText {
 public:
  // A character that the piece does not hold whole waits for the next.
  std::string next(std::string_view bytes);
  std::string rest();  // at the end

 private:
  std::string take(std::string_view bytes, bool last);
  std::string waiting_;
};

// Of a whole text.
std::string terminal_text(std::string_view bytes);

}  // namespace runink::os
