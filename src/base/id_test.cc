#include "base/id.h"

#include <gtest/gtest.h>

namespace runink {
namespace {

// The example of RFC 9562, appendix A.6.
TEST(Uuid, Version7MatchesTheRfc) {
  const std::array<uint8_t, 10> random = {0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F};
  const std::string id = make_uuid_v7(0x017F22E279B0, random);
  EXPECT_EQ(id, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  EXPECT_TRUE(is_uuid(id));
  EXPECT_FALSE(is_uuid("017f22e2-79b0-7cc3-98c4-dc0c0c07398"));
}

}  // namespace
}  // namespace runink
