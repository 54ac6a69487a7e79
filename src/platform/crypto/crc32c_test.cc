#include "platform/crypto/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace runink::crypto {
namespace {

// RFC 3720, appendix B.4; its bytes are the checksum as it is sent, lowest first.
TEST(Crc32cTest, KnownAnswers) {
  std::string up, down;
  for (int i = 0; i < 32; ++i) up += static_cast<char>(i);
  for (int i = 31; i >= 0; --i) down += static_cast<char>(i);
  const std::string read_command = std::string("\x01\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) +
                                   std::string("\x14\0\0\0\0\0\x04\0\0\0\0\x14\0\0\0\x18", 16) +
                                   std::string("\x28\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16);
  for (const auto function : {crc32c, crc32c_by_table}) {
    EXPECT_EQ(function(std::string(32, '\0'), 0), 0x8a9136aau);
    EXPECT_EQ(function(std::string(32, '\xff'), 0), 0x62a8ab43u);
    EXPECT_EQ(function(up, 0), 0x46dd794eu);
    EXPECT_EQ(function(down, 0), 0x113fdb5cu);
    EXPECT_EQ(function(read_command, 0), 0xd9963a56u);
    EXPECT_EQ(function("123456789", 0), 0xe3069283u);
    EXPECT_EQ(function("", 0), 0u);
  }
}

TEST(Crc32cTest, GoesOnFromWhatStandsBefore) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) bytes += static_cast<char>(i * 37 + i / 7);
  const uint32_t whole = crc32c(bytes);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    EXPECT_EQ(crc32c(std::string_view(bytes).substr(cut), crc32c(std::string_view(bytes).substr(0, cut))), whole);
  }
}

TEST(Crc32cTest, BothWaysAgreeAtEveryLengthAndAlignment) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += static_cast<char>(i * 101);
  for (size_t from = 0; from < 16; ++from) {
    for (size_t size = 0; size + from <= bytes.size(); ++size) {
      const auto piece = std::string_view(bytes).substr(from, size);
      EXPECT_EQ(crc32c(piece, 0x1234), crc32c_by_table(piece, 0x1234));
    }
  }
}

}  // namespace
}  // namespace runink::crypto
