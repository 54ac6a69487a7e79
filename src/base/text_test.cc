#include "base/text.h"

#include <gtest/gtest.h>

namespace runink {
namespace {

TEST(Text, Utf8) {
  EXPECT_TRUE(is_valid_utf8("aé€😀"));
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));      // a surrogate
  EXPECT_FALSE(is_valid_utf8("\xC0\xAF"));          // overlong
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  for (size_t at = 0; at < 40; ++at) {  // wherever it stands among blocks of ASCII
    std::string text(40, 'a');
    text[at] = '\xFF';
    EXPECT_FALSE(is_valid_utf8(text)) << at;
    EXPECT_TRUE(is_valid_utf8(std::string(at, 'a') + "é" + std::string(40 - at, 'a'))) << at;
  }
  EXPECT_EQ(count_code_points("aé€😀"), 4u);
  EXPECT_EQ(code_point_slice("aé€😀", 1, 2), "é€");
}

TEST(Text, Quoting) {
  EXPECT_EQ(json_quote("a\"b\\\n\x01"), "\"a\\\"b\\\\\\n\\u0001\"");
  EXPECT_EQ(escape_control("a\x1b[0m\n\xff"), "a\\x1b[0m\\n\\xff");
}

TEST(Text, Quantities) {
  uint64_t bytes = 0;
  EXPECT_TRUE(parse_bytes("512Mi", &bytes));
  EXPECT_EQ(bytes, 536870912u);
  EXPECT_TRUE(parse_bytes("2 GB", &bytes));
  EXPECT_EQ(bytes, 2000000000u);
  EXPECT_FALSE(parse_bytes("12 parsecs", &bytes));
  EXPECT_FALSE(parse_bytes("-1", &bytes));
  int64_t micros = 0;
  EXPECT_TRUE(parse_duration_micros("2h30m", &micros));
  EXPECT_EQ(micros, 9'000'000'000);
  EXPECT_FALSE(parse_duration_micros("5", &micros));
  EXPECT_EQ(human_bytes(1234567), "1.23 MB");
  EXPECT_EQ(human_count(1234567), "1,234,567");
}

}  // namespace
}  // namespace runink
