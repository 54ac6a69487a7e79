#include "base/little_endian.h"

#include <gtest/gtest.h>

namespace runink {
namespace {

TEST(LittleEndian, TheLowestByteComesFirstAndComesBack) {
  std::string bytes;
  append_little_endian(bytes, uint64_t{0x0102030405060788});
  append_little_endian(bytes, uint32_t{0xfffefdfc});
  append_little_endian(bytes, uint16_t{0x8001});
  append_little_endian(bytes, uint8_t{0xff});
  EXPECT_EQ(bytes, std::string("\x88\x07\x06\x05\x04\x03\x02\x01\xfc\xfd\xfe\xff\x01\x80\xff"));
  EXPECT_EQ(load_little_endian<uint64_t>(bytes.data()), 0x0102030405060788u);
  EXPECT_EQ(load_little_endian<uint32_t>(bytes.data() + 8), 0xfffefdfcu);
  EXPECT_EQ(load_little_endian<uint16_t>(bytes.data() + 12), 0x8001u);
  EXPECT_EQ(load_little_endian<uint8_t>(bytes.data() + 14), 0xffu);
}

}  // namespace
}  // namespace runink
