#include "platform/os/terminal_text.h"

#include <gtest/gtest.h>

namespace runink::os {
namespace {

TEST(TerminalText, ControlCharactersAreEscaped) {
  EXPECT_EQ(terminal_text("a\x1b[31mb\x07\x7f"), "a\\u001b[31mb\\u0007\\u007f");
  EXPECT_EQ(terminal_text("\xc2\x9b" "31m"), "\\u009b31m") << "C1 is a control sequence, too";
  EXPECT_EQ(terminal_text("\x9b" "31m \xff \xc0\xaf"), "\\x9b31m \\xff \\xc0\\xaf") << "no UTF-8: a terminal may take it for C1";
  EXPECT_EQ(terminal_text("1,\xc3\xa9\t\xe2\x82\xac\r\n2,x\ry\n"), "1,\xc3\xa9\t\xe2\x82\xac\r\n2,x\\u000dy\n");
  EXPECT_EQ(terminal_text("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(terminal_text("end\r"), "end\\u000d");
}

TEST(TerminalText, PiecesMayCutACharacter) {
  const std::string text = "\xc2\x9b\xe2\x82\xac\r\n\x1b[0m\xf0\x9f\x99\x82\xc2";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    TerminalText terminal;
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece) out += terminal.next(text.substr(at, piece));
    EXPECT_EQ(out + terminal.rest(), terminal_text(text)) << piece;
  }
}

}  // namespace
}  // namespace runink::os
