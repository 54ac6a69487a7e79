#include "platform/net/bytes.h"

#include <gtest/gtest.h>

namespace runink::net {
namespace {

TEST(BytesTest, NumbersComeBack) {
  for (uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{16383}, uint64_t{16384},
                         uint64_t{1} << 62, uint64_t{1} << 63, UINT64_MAX}) {
    std::string out;
    put_number(out, value);
    ByteReader reader(out);
    EXPECT_EQ(reader.number(), value);
    EXPECT_TRUE(reader.at_end());
    for (size_t cut = 0; cut < out.size(); ++cut) {
      ByteReader part(std::string_view(out).substr(0, cut));
      EXPECT_EQ(part.number(), 0u);
      EXPECT_TRUE(part.failed());
    }
  }
}

TEST(BytesTest, OneNumberHasOneSpelling) {
  for (std::string_view wrong : {std::string_view("\x80\x00", 2), std::string_view("\xff\x80\x00", 3),
                                 std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
                                 std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11)}) {
    ByteReader reader(wrong);
    (void)reader.number();
    EXPECT_TRUE(reader.failed());
    EXPECT_FALSE(reader.at_end());
  }
}

TEST(BytesTest, StringsStayWithinLimitAndBytes) {
  std::string out;
  put_bytes(out, "hello");
  put_bytes(out, "");
  ByteReader reader(out);
  EXPECT_EQ(reader.bytes(5), "hello");
  EXPECT_EQ(reader.bytes(5), "");
  EXPECT_TRUE(reader.at_end());
  ByteReader strict(out);
  EXPECT_EQ(strict.bytes(4), "");
  EXPECT_TRUE(strict.failed());
  std::string lying;
  put_number(lying, UINT64_MAX);
  lying += "abc";
  ByteReader long_one(lying);
  EXPECT_EQ(long_one.bytes(SIZE_MAX), "");
  EXPECT_TRUE(long_one.failed());
  EXPECT_EQ(long_one.byte(), 0);
}

}  // namespace
}  // namespace runink::net
