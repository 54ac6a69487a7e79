#include "base/diagnostic.h"

#include <gtest/gtest.h>

namespace runink {
namespace {

TEST(Diagnostic, ShowsLineColumnAndHelp) {
  SourceText text("features/a.dsl", "Feature: x\n  Whén recrds are checked\n");
  Diagnostics all;
  const size_t at = text.text().find("recrds");
  all.error(text, {at, 6}, "dsl.word", "unknown word").help.push_back("did you mean \"records\"?");
  EXPECT_EQ(all.list()[0].render(),
            "features/a.dsl:2:8: error: unknown word\n"
            "     2 |   Whén recrds are checked\n"
            "       |        ^~~~~~\n"
            "  help: did you mean \"records\"?");
  EXPECT_EQ(all.to_status().message(), "features/a.dsl:2:8: unknown word");
  EXPECT_EQ(all.to_status().kind(), "dsl.word");
}

TEST(Diagnostic, ControlBytesNeverReachTheTerminal) {
  SourceText text("a", "x\x1b[31mred\n");
  Diagnostics all;
  all.error(text, {1, 1}, "c", "bad \x07");
  const std::string shown = all.render();
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);
  EXPECT_EQ(shown.find('\x07'), std::string::npos);
}

TEST(SourceText, PositionsAtTheEdges) {
  SourceText text("a", "ab\r\ncd");
  EXPECT_EQ(text.line(1), "ab");
  EXPECT_EQ(text.line(2), "cd");
  EXPECT_EQ(text.position(6).line, 2u);
  EXPECT_EQ(text.position(6).column, 3u);
  EXPECT_EQ(text.position(99).line, 2u);
}

}  // namespace
}  // namespace runink
