#include "base/clock.h"

#include <gtest/gtest.h>

namespace runink {
namespace {

TEST(ClockTest, FormatsAndParsesUtc) {
  EXPECT_EQ(format_utc(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_utc(1'700'000'000'123'456), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(format_utc(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(format_utc(951'782'400'000'000), "2000-02-29T00:00:00Z");
  EXPECT_EQ(format_utc(INT64_MIN), "-290308-12-21T19:59:05.224192Z");
  for (const int64_t micros : {int64_t{0}, int64_t{-62'167'219'200'000'000}, int64_t{253'402'300'799'999'999},
                               int64_t{1'582'934'400'000'001}, int64_t{-86'400'000'000}}) {
    int64_t back = 1;
    ASSERT_TRUE(parse_utc(format_utc(micros), &back)) << format_utc(micros);
    EXPECT_EQ(back, micros);
  }
}

TEST(ClockTest, RefusesWhatIsNoTime) {
  int64_t micros = 0;
  for (const char* text : {"", "2001-02-29T00:00:00Z", "2001-02-28T24:00:00Z", "2001-13-01T00:00:00Z",
                           "2001-02-28T00:00:00", "2001-02-28T00:00:00.Z", "2001-02-28T00:00:00.1234567890Z",
                           "2001-02-28 00:00:00Z", "2001-02-28T00:00:00+00:00"}) {
    EXPECT_FALSE(parse_utc(text, &micros)) << text;
  }
  ASSERT_TRUE(parse_utc("2001-02-28T00:00:00.5Z", &micros));
  EXPECT_EQ(format_utc(micros), "2001-02-28T00:00:00.500000Z");
}

}  // namespace
}  // namespace runink
